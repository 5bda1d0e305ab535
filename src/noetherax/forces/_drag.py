from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import (
    InvariantFeatures,
    Standardisation,
    standardisation_of,
    standardised_part,
)
from ._base import Force
from ._networks import perceptron
from ._scale import ForceScale, Motions, is_unscaled, scaled_force


@final
class Drag(Force):
    """Friction against a medium at rest, to be learned: every point is held back along its velocity,

        Q_i = −γ_i(S(q, v)) v_i,    γ_i > 0,

    with coefficients from a network of the invariants S of a group. It is as symmetric as S is, for
    groups that keep |v|² (rotations, reflections, translations), and never adds energy, since its power
    is −Σ γ_i |v_i|². But the medium is a reservoir: momentum and angular momentum go there, and
    [`noetherax.balance`][] tells how much. Friction that keeps them is [`noetherax.Friction`][].

    **Arguments:**

    - `features`: S, from `group.invariant_features(points)`.
    - `points`: number of points.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].

    **Raises:**

    `ValueError` if `points`, `width` or `depth` is not a positive integer.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        points: int,
        width: int = 32,
        depth: int = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        if not isinstance(points, int | np.integer) or points < 1:
            raise ValueError(f"points must be a positive integer, but it is {points!r}.")
        count = features.num_features
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        self.features = features
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(1, dtype)
        self.network = perceptron(count, int(points), width, depth, activation, dtype, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v)
        v = jnp.asarray(v)
        with full_precision():
            x = self.standardisation(self.features(q, v))
            coefficients = jax.nn.softplus(self.network(x))
        speed = v / self.scale.rates
        return -(self.scale.power / self.scale.rates) * coefficients[:, None] * speed


@standardisation_of.register
def _(part: Drag):
    return part.standardisation


@standardised_part.register
def _(part: Drag, q, v, bend):
    fitted = Standardisation.fit(part.features, q, v, bend=False)
    return eqx.tree_at(lambda x: x.standardisation, part, fitted)


@is_unscaled.register
def _(force: Drag) -> bool:
    return not bool(force.scale.fitted)


@scaled_force.register
def _(force: Drag, motions: Motions):
    speeds = np.sqrt(np.sum(np.square(np.asarray(motions.v, float)), axis=(1, 2)))[:, None]
    return eqx.tree_at(lambda x: x.scale, force, force.scale.of(motions, speeds))
