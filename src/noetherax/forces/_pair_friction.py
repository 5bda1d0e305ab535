from collections.abc import Callable
from typing import Any, SupportsIndex, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._programs import at_once
from .._types import Configuration, Velocity, check_state
from ..features import (
    ExchangeFeatures,
    Standardisation,
    WithoutVelocity,
    standardisation_of,
    standardised_part,
)
from ..lagrangians import (
    Attributes,
    Neighbourhood,
    Pairs,
    are_to_come,
    attributes_of_points,
    check_local,
    given_attributes,
    over_pairs,
    sampled_pairs,
    symmetric_attributes,
    symmetric_size,
    takes_new_attributes,
    values_for,
    with_attributes,
)
from ._base import Force
from ._networks import ConvexNetwork, perceptron
from ._neural_friction import RANK, Form, rayleigh_slope, standardised_rates
from ._scale import ForceScale, Motions, is_unscaled, scaled_force


@final
class PairFriction(Force):
    """Friction between the points of every pair, to be learned, for any number of points: the force of
    Rayleigh's function Σ_{i<j} R(x, ẋ, c_i, c_j) with the invariants x = S(q_i, q_j) of two points,
    their rates ẋ and attributes c of the points.

    As [`noetherax.Friction`][], and for any weights: R is convex in the rates and least at ẋ = 0, so
    that no energy is ever gained; and it keeps every charge of the group, by pairs. Under
    [`noetherax.Euclidean`][] the points of a pair resist a change of their distance, with opposite
    forces along the line between them: momentum and angular momentum stay, in a periodic `box`
    momentum alone. One network serves all
    pairs, at a cost that is linear in them, and the same weights any number of points.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        friction = nx.PairFriction(nx.Euclidean(2), width=8, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 5, 2))  # or any other number
        force = eqx.filter_jit(friction)(q, v)
        assert jnp.sum(force * v) < 0  # the power
        assert jnp.allclose(jnp.sum(force, axis=0), 0, atol=1e-4)
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][], whose `configuration_features` of two points, made
        symmetric by [`ExchangeFeatures`][noetherax.features.ExchangeFeatures], are resisted.
    - `form`, `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].
    - `attributes`, `train_attributes`, `attribute_unit`, `cutoff`, `box`, `neighbours`: as in
        [`noetherax.PairwiseLagrangian`][]. R is multiplied by what makes φ end at the cut-off.

    **Raises:**

    `ValueError` or `TypeError` as there, or if the group has no invariants of two points.
    """

    features: ExchangeFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP | ConvexNetwork
    attributes: Attributes | None
    learned: Float[Array, "points columns"] | None
    neighbourhood: Neighbourhood
    form: Form = eqx.field(static=True)
    space: int = eqx.field(static=True)

    def __init__(
        self,
        group: Any,
        form: Any = "linear",
        width: SupportsIndex = 32,
        depth: SupportsIndex = 2,
        *,
        attributes: Any = None,
        train_attributes: bool = False,
        attribute_unit: Any = None,
        cutoff: Any = None,
        box: Any = None,
        neighbours: int = 64,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        if isinstance(group, type) or not hasattr(group, "configuration_features"):
            raise TypeError(
                "PairFriction is made from a group, such as noetherax.Euclidean(3), whose invariants "
                f"of two points it takes, but got {group!r:.200}."
            )
        if form not in get_args(Form):
            raise ValueError(f"form must be one of {get_args(Form)}, but it is {form!r}.")
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        self.space = group.space
        self.neighbourhood = Neighbourhood(self.space, cutoff, box, neighbours)
        told = attributes_of_points(attributes, attribute_unit, train_attributes, dtype)
        self.attributes, self.learned, columns = told
        self.features = ExchangeFeatures(group.configuration_features(2), self.space)
        count = self.features.num_features
        if count < 1:
            raise ValueError(
                "PairFriction has nothing to act on: no function of the places of two points is "
                f"invariant under {group!r:.200}."
            )
        check_local(self.features, self.space, self.neighbourhood)
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(count, dtype)
        self.form = form
        seen = count + symmetric_size(columns)
        if form == "linear":
            outputs = count * min(count, RANK)
            self.network = perceptron(seen, outputs, width, depth, activation, dtype, key)
        else:
            self.network = ConvexNetwork(seen, count, width, depth, activation, dtype, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v, self.space)
        q, v = jnp.asarray(q), jnp.asarray(v)
        return at_once(_between, self, q, v, self.known_attributes(len(q)))

    def between(self, q: Array, v: Array, known: Array) -> Float[Array, "points space"]:
        """The force, where the points have these attributes, in units of each column."""

        def of_pair(q, v, attributes):
            values, rates = jax.jvp(self.features, (q,), (v,))
            _, pull_back = jax.vjp(self.features, q)
            resistance = rayleigh_slope(self, values, rates, attributes)
            (force,) = pull_back(-resistance.astype(values.dtype))
            return force

        def added(total, pairs: Pairs):
            first, second, present = pairs
            states, apart = self.neighbourhood.states(q[first], q[second])
            rates = jnp.stack([v[first], v[second]], axis=1)
            attributes = symmetric_attributes(known[first], known[second])
            taper = self.neighbourhood.taper(jnp.sum(jnp.square(apart), axis=1))
            force = taper[:, None, None] * jax.vmap(of_pair)(states, rates, attributes)
            if present is not None:
                force = jnp.where(present[:, None, None], force, 0)
            return total.at[first].add(force[:, 0]).at[second].add(force[:, 1])

        with full_precision():
            return over_pairs(added, jnp.zeros_like(q), self.neighbourhood, q)

    @property
    def takes_attributes(self) -> bool:
        """Whether the attributes are inputs, and none are there."""
        return self.learned is None and are_to_come(self.attributes)

    def known_attributes(self, points: int) -> Float[Array, "*batch points columns"]:
        """The attributes of the points in units of each column, as the network sees them."""
        if self.attributes is None:
            return jnp.zeros((points, 0), self.scale.rates.dtype)
        return values_for(self.attributes, self.learned, points) / self.attributes.unit


def _between(friction: PairFriction, q, v, known):
    return friction.between(q, v, known)


@standardisation_of.register
def _(part: PairFriction):
    return part.standardisation


@standardised_part.register
def _(part: PairFriction, q, v, bend):
    seen = sampled_pairs(part.neighbourhood, q, v, "PairFriction")
    states = jnp.asarray(seen.q), jnp.asarray(seen.v)
    fitted = Standardisation.fit(WithoutVelocity(part.features), *states, bend=None)
    return eqx.tree_at(lambda x: x.standardisation, part, fitted)


@is_unscaled.register
def _(force: PairFriction) -> bool:
    return not bool(force.scale.fitted)


@scaled_force.register
def _(force: PairFriction, motions: Motions):
    seen = sampled_pairs(force.neighbourhood, motions.q, motions.v, "PairFriction")
    found = standardised_rates(force, jnp.asarray(seen.q), jnp.asarray(seen.v))
    # Each pair has its part of the power.
    of_pair = motions._replace(power=motions.power / max(seen.number, 1.0))
    return eqx.tree_at(lambda x: x.scale, force, force.scale.of(of_pair, found))


@takes_new_attributes.register
def _(model: PairFriction) -> bool:
    return model.attributes is not None


@with_attributes.register
def _(model: PairFriction, attributes):
    return given_attributes(model, attributes)
