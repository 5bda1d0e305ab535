from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_count
from .._precision import full_precision
from .._types import Configuration, FloatArray, Time, Velocity, check_state
from ..features import InvariantFeatures
from ._base import Force
from ._coefficients import Coefficients
from ._scale import Motions, is_unscaled, scaled_force


@final
class NeuralForce(Force):
    """A force to be learned that is as symmetric as its features are, for any weights,

        Q = Σ_m c_m(x) ∂x_m/∂q + d_m(x) ∂x_m/∂v,

    with coefficients from a network of the standardised invariants x of a group. The gradients of
    invariants turn with the state, and so does Q: the same machine, turned, feels the same force,
    turned. Q may change charges and may add energy. Where it must not, take [`noetherax.Friction`][].

    !!! example

        Whatever its weights, it turns with the state:

        ```python
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        force = eqx.filter_jit(nx.NeuralForce(features, width=8, key=jax.random.key(0)))
        q, v = jax.random.normal(jax.random.key(1), (2, 1, 2))
        turn = jnp.array([[0.0, 1.0], [-1.0, 0.0]])  # by a right angle
        assert jnp.allclose(force(q @ turn, v @ turn), force(q, v) @ turn, rtol=1e-3)
        ```

    **Arguments:**

    - `features`: from `group.invariant_features(points)`.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].

    **Raises:**

    `ValueError` if `width` or `depth` is not a positive integer; `TypeError` for features of another
    kind.
    """

    coefficients: Coefficients

    def __init__(
        self,
        features: InvariantFeatures,
        width: SupportsIndex = 32,
        depth: SupportsIndex = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        outputs = 2 * features.num_features
        self.coefficients = Coefficients(features, outputs, width, depth, activation, dtype, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        return _along_gradients(self.coefficients, q, v, self.coefficients)


@final
class NeuralControl(Force):
    """A force to be learned of what drives a machine: as [`noetherax.NeuralForce`][], with coefficients
    that depend on the inputs and vanish with them,

        Q = Σ_k u_k Σ_m (c_mk(x, u) ∂x_m/∂q + d_mk(x, u) ∂x_m/∂v).

    !!! example

        Two inputs steer one point of a plane:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Trivial(2).invariant_features(points=1)
        control = nx.NeuralControl(features, inputs=2, width=8, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 1, 2))
        assert jnp.all(control(q, v, 0.0, jnp.zeros(2)) == 0)  # no input, no force
        assert jnp.all(control(q, v, 0.0, jnp.array([1.0, -2.0])) != 0)
        ```

    **Arguments:**

    - `features`: from `group.invariant_features(points)`.
    - `inputs`: number of inputs u.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].

    **Raises:**

    `ValueError` if `inputs`, `width` or `depth` is not a positive integer; `TypeError` for features of
    another kind.
    """

    coefficients: Coefficients

    def __init__(
        self,
        features: InvariantFeatures,
        inputs: int,
        width: SupportsIndex = 32,
        depth: SupportsIndex = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        inputs = check_count("inputs", inputs)
        outputs = 2 * features.num_features * inputs
        network = features, outputs, width, depth, activation, dtype, key
        self.coefficients = Coefficients(*network, further=inputs, rates=inputs)

    def __call__(
        self, q: Configuration, v: Velocity, t: Time, u: Float[FloatArray, " inputs"]
    ) -> Float[Array, "points space"]:
        coefficients = self.coefficients
        count = len(coefficients.scale.rates)
        if jnp.shape(u) != (count,):
            raise ValueError(
                f"This force takes inputs of shape ({count},), but they have {jnp.shape(u)}."
            )
        scaled = jnp.asarray(u) / coefficients.scale.rates

        def of_inputs(values):
            per_input = coefficients(values, scaled)
            return per_input.reshape(-1, count) @ scaled.astype(per_input.dtype)

        return _along_gradients(coefficients, q, v, of_inputs)


def _along_gradients(coefficients: Coefficients, q, v, of_values: Callable):
    check_state(q, v)
    q, v = jnp.asarray(q), jnp.asarray(v)
    scale = coefficients.scale
    with full_precision():
        values, pull_back = jax.vjp(coefficients.features, q, v)
        of_q, of_v = jnp.split(of_values(values), 2)
        slope = coefficients.standardisation.slope(values)
        along_q, _ = pull_back((scale.energy * slope * of_q).astype(values.dtype))
        _, along_v = pull_back((scale.power * slope * of_v).astype(values.dtype))
        return along_q + along_v


@is_unscaled.register
def _(force: NeuralForce | NeuralControl) -> bool:
    return not bool(force.coefficients.scale.fitted)


@scaled_force.register
def _(force: NeuralForce, motions: Motions):
    scale = force.coefficients.scale.of(motions, None)
    return eqx.tree_at(lambda x: x.coefficients.scale, force, scale)


@scaled_force.register
def _(force: NeuralControl, motions: Motions):
    scale = force.coefficients.scale.of(motions, motions.u)
    return eqx.tree_at(lambda x: x.coefficients.scale, force, scale)
