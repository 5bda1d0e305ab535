from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, FloatArray, Time, Velocity, check_state
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
class NeuralForce(Force):
    """A force to be learned that is as symmetric as its features are, for any weights,

        Q = Σ_m c_m(x) ∂x_m/∂q + d_m(x) ∂x_m/∂v,

    with coefficients from a network of the standardised invariants x of a group. The gradients of
    invariants turn with the state, and so does Q: the same machine, turned, feels the same force,
    turned. It keeps no charge and no energy; [`noetherax.Friction`][] does.

    **Arguments:**

    - `features`: from `group.invariant_features(points)`.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].
    """

    features: InvariantFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        width: int = 32,
        depth: int = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        count = features.num_features
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        self.features = features
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(1, dtype)
        self.network = perceptron(count, 2 * count, width, depth, activation, dtype, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        return _along_gradients(self, q, v, self.network)


@final
class NeuralControl(Force):
    """A force to be learned of what drives a machine: as [`noetherax.NeuralForce`][], with coefficients
    that depend on the inputs and vanish with them,

        Q = Σ_k u_k Σ_m (c_mk(x, u) ∂x_m/∂q + d_mk(x, u) ∂x_m/∂v).

    **Arguments:**

    - `features`: from `group.invariant_features(points)`.
    - `inputs`: number of inputs u.
    - `width`, `depth`, `activation`, `dtype`, `key`: as in [`noetherax.Friction`][].

    **Raises:**

    `ValueError` if `inputs` is not a positive integer.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        inputs: int,
        width: int = 32,
        depth: int = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        if not isinstance(inputs, int | np.integer) or inputs < 1:
            raise ValueError(f"inputs must be a positive integer, but it is {inputs!r}.")
        count = features.num_features
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        self.features = features
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(inputs, dtype)
        outputs = 2 * count * int(inputs)
        self.network = perceptron(
            count + int(inputs), outputs, width, depth, activation, dtype, key
        )

    def __call__(
        self, q: Configuration, v: Velocity, t: Time, u: Float[FloatArray, " inputs"]
    ) -> Float[Array, "points space"]:
        count = len(self.scale.rates)
        if jnp.shape(u) != (count,):
            raise ValueError(
                f"This force takes inputs of shape ({count},), but they have {jnp.shape(u)}."
            )
        scaled = jnp.asarray(u) / self.scale.rates

        def coefficients(x):
            per_input = self.network(jnp.concatenate([x, scaled.astype(x.dtype)]))
            return per_input.reshape(-1, count) @ scaled

        return _along_gradients(self, q, v, coefficients)


def _along_gradients(force: NeuralForce | NeuralControl, q, v, coefficients: Callable):
    check_state(q, v)
    q, v = jnp.asarray(q), jnp.asarray(v)
    with full_precision():
        values, pull_back = jax.vjp(force.features, q, v)
        standardisation, scale = force.standardisation, force.scale
        of_q, of_v = jnp.split(coefficients(standardisation(values)), 2)
        slope = standardisation.slope(values)
        along_q, _ = pull_back((scale.energy * slope * of_q).astype(values.dtype))
        _, along_v = pull_back((scale.power * slope * of_v).astype(values.dtype))
        return along_q + along_v


@standardisation_of.register
def _(part: NeuralForce | NeuralControl):
    return part.standardisation


@standardised_part.register
def _(part: NeuralForce | NeuralControl, q, v, bend):
    fitted = Standardisation.fit(part.features, q, v, bend=False)
    return eqx.tree_at(lambda x: x.standardisation, part, fitted)


@is_unscaled.register
def _(force: NeuralForce | NeuralControl) -> bool:
    return not bool(force.scale.fitted)


@scaled_force.register
def _(force: NeuralForce, motions: Motions):
    return eqx.tree_at(lambda x: x.scale, force, force.scale.of(motions, None))


@scaled_force.register
def _(force: NeuralControl, motions: Motions):
    return eqx.tree_at(lambda x: x.scale, force, force.scale.of(motions, motions.u))
