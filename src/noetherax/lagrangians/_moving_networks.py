"""Networks of the states of one point or of two, with what they see."""

from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._programs import run
from ..features import Bend, InvariantFeatures, Standardisation
from ._perceptron import perceptron

START = 1e-2
"""Size of the value of a network at random weights, in units of the kinetic energy of the data: too
small to make a mass matrix singular, which the masses make regular."""

TURNED = 1e-3
"""Change of |v|² by a generator, relative, that is no rounding of single precision."""


@final
class MovingNetwork(eqx.Module):
    """A scalar of the states of a few points and of their attributes: the mean of a network over both
    orders of two points, so that it is the same for both, and may be any such function."""

    features: InvariantFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        attributes: int,
        *,
        width: SupportsIndex,
        depth: SupportsIndex,
        activation: Callable,
        dtype: Any,
        key: PRNGKeyArray,
    ):
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        options: dict[str, Any] = dict(activation=activation, dtype=dtype, key=key)
        network = perceptron(features, width, depth, more=attributes, **options)
        last = network.layers[-1].weight
        self.network = eqx.tree_at(
            lambda net: net.layers[-1].weight, network, START / network.width_size * last
        )

    def __call__(
        self,
        q: Float[Array, "many points space"],
        v: Float[Array, "many points space"],
        attributes: Float[Array, "many points columns"],
    ) -> Float[Array, " many"]:
        """Its value at each of many states."""
        q, v, attributes = (in_both_orders(x) for x in (q, v, attributes))
        x = self.standardisation(jax.vmap(self.features)(q, v))
        values = jax.vmap(self.network)(with_attributes_of(x, attributes))
        return mean_of_orders(values[:, None], q.shape[1])[:, 0]

    def standardised(self, q, v, bend: Bend) -> "MovingNetwork":
        """With the standardisation set from states, shape `(many, points, space)`."""
        q, v = in_both_orders(jnp.asarray(q)), in_both_orders(jnp.asarray(v))
        fitted = Standardisation.fit(self.features, q, v, bend=bend)
        return eqx.tree_at(lambda x: x.standardisation, self, fitted)


def in_both_orders(x: Float[Array, "many points *rest"]) -> Float[Array, "orders points *rest"]:
    """What belongs to two points, and the same with the points exchanged; one point has one order."""
    return x if x.shape[1] == 1 else jnp.concatenate([x, x[:, ::-1]])


def mean_of_orders(x: Float[Array, "orders entries *rest"], points: int) -> Array:
    """The mean over both orders, where entries are those points."""
    if points == 1:
        return x
    there, back = jnp.split(x, 2)
    return (there + back[:, ::-1]) / 2


def with_attributes_of(x: Float[Array, "many features"], attributes) -> Float[Array, "many in"]:
    """What the network sees of each state: features, in units of the data, then attributes."""
    _, points, columns = attributes.shape  # not −1, which there may be no states to tell
    told = attributes.reshape(len(x), points * columns)
    return jnp.concatenate([x, told.astype(x.dtype)], axis=-1)


def check_kinetic(group: Any) -> None:
    """Raises a `ValueError` if a group does not keep the kinetic energy m v²/2 of a point, or acts on
    velocities in another way at another place."""
    states = np.random.default_rng(0).normal(size=(3, 1, group.space))
    rates = np.asarray(run(_turned, group, *map(jnp.asarray, states)), float)
    here, there = rates[0], rates[1]
    speed, size = np.linalg.norm(states[2]), np.linalg.norm(here, axis=(1, 2))
    power = np.abs(np.sum(here * states[2], axis=(1, 2)))
    worst = np.flatnonzero(power > TURNED * speed * size)
    if len(worst):
        k = int(worst[0])
        raise ValueError(
            f"The kinetic energy Σ m v²/2 is none of this group's invariants: generator {k} changes it "
            f"({power[k] / (speed * size[k]):.2g}, relative). A law of pairs with that energy needs a "
            "group of rotations, reflections, translations or periods."
        )
    moved = np.linalg.norm(there - here, axis=(1, 2))
    if np.any(moved > TURNED * (size + np.linalg.norm(there, axis=(1, 2)))):
        raise ValueError(
            "This group acts on velocities in another way at another place, so that a mean of "
            "velocities means nothing to it. A law of pairs needs an affine group."
        )


def _turned(group, here, there, v):
    """What the generators do to a velocity at two places."""
    return jnp.stack([jax.jvp(lambda q: group.generators(q), (q,), (v,))[1] for q in (here, there)])
