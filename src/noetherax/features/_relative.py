from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._programs import run
from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._exchange import STATES, independent_columns


@final
class RelativeVelocities(InvariantFeatures):
    """Features that do not see how points move together: S(q, v − v̄), with the mean v̄ of the velocities
    of all points.

    A Galilean boost adds one velocity to all, and changes nothing of them. Those that then are constant
    or a combination of others are left out.

    !!! example

        ```python
        import noetherax as nx

        features = nx.Euclidean(3).invariant_features(points=2)
        relative = nx.features.RelativeVelocities(features, points=2, space=3)
        assert relative.num_features == 3  # r·r, r·(v₁ − v₂), (v₁ − v₂)²
        ```

    **Arguments:**

    - `features`: [`noetherax.InvariantFeatures`][] of a group that acts on all velocities by the same
        linear map, as affine groups do.
    - `points`, `space`: shape of the state.
    """

    features: InvariantFeatures
    kept: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, features: InvariantFeatures, points: int, space: int):
        self.features = features
        count = STATES + 8 * features.num_features
        states = np.random.default_rng(0).normal(size=(2, count, points, space))
        q, v = (jnp.asarray(x, jnp.result_type(float)) for x in states)
        found = run(_over_states, features, q, v)
        self.kept = tuple(independent_columns(*(np.asarray(x, float) for x in found)))

    @property
    def num_features(self) -> int:
        return len(self.kept)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        return _relative(self.features, q, v)[np.asarray(self.kept, int)]


def _relative(features: InvariantFeatures, q, v):
    v = jnp.asarray(v)
    return features(q, v - jnp.mean(v, axis=0))


def _over_states(features, q, v):
    """The features at each state, and their sizes where points move together, too."""
    return jax.vmap(lambda q, v: (_relative(features, q, v), jnp.abs(features(q, v))))(q, v)
