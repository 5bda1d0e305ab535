from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_count
from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import InvariantFeatures
from ._base import Force
from ._coefficients import Coefficients
from ._scale import Motions, is_unscaled, scaled_force


@final
class Drag(Force):
    """Friction against a medium at rest, to be learned: every point is held back along its velocity,

        Q_i = −γ_i(S(q, v)) v_i,    γ_i > 0,

    with coefficients from a network of the invariants S of a group. It is as symmetric as S is, for
    groups that keep |v|² (rotations, reflections, translations), and never adds energy, since its power
    is −Σ γ_i |v_i|². But the medium is a reservoir: momentum and angular momentum go there, and
    [`noetherax.balance`][] tells how much. Friction that keeps them is [`noetherax.Friction`][].

    !!! example

        Whatever its weights, it takes energy:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        drag = nx.Drag(features, points=1, width=8, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 1, 2))
        force = drag(q, v)
        assert jnp.sum(force * v) < 0  # its power
        assert jnp.allclose(force[0, 0] / v[0, 0], force[0, 1] / v[0, 1])  # along v
        ```

    **Arguments:**

    - `features`: S, from `group.invariant_features(points)`.
    - `points`: number of points.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].

    **Raises:**

    `ValueError` if `points`, `width` or `depth` is not a positive integer.
    """

    coefficients: Coefficients

    def __init__(
        self,
        features: InvariantFeatures,
        points: int,
        width: SupportsIndex = 32,
        depth: SupportsIndex = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        points = check_count("points", points)
        self.coefficients = Coefficients(features, points, width, depth, activation, dtype, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v)
        v, scale = jnp.asarray(v), self.coefficients.scale
        with full_precision():
            coefficients = self.coefficients(self.coefficients.features(q, v))
        speed = v / scale.rates
        return -(scale.power / scale.rates) * jax.nn.softplus(coefficients)[:, None] * speed


@is_unscaled.register
def _(force: Drag) -> bool:
    return not bool(force.coefficients.scale.fitted)


@scaled_force.register
def _(force: Drag, motions: Motions):
    speeds = np.sqrt(np.sum(np.square(np.asarray(motions.v, float)), axis=(1, 2)))[:, None]
    scale = force.coefficients.scale.of(motions, speeds)
    return eqx.tree_at(lambda x: x.coefficients.scale, force, scale)
