import math
from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import InvariantFeatures, Standardisation
from ._activation import check_activation
from ._base import Lagrangian


@final
class NeuralLagrangian(Lagrangian):
    """A neural network of invariant features, L = f ∘ S (Müller 2023, section 2.2).

    L is invariant under the group that S belongs to, and so has its Noether charges, exactly in
    continuous time and for any weights. Features pass through a standardisation that is the identity
    until [`noetherax.fit`][] sets it from the data, once; it is part of the model and never trains.

    **Arguments:**

    - `features`: the invariant features, from `group.invariant_features(points)` or your own.
    - `width`: units of each hidden layer.
    - `depth`: number of hidden layers, at least one.
    - `activation`: a smooth function that acts on each number by itself. Twice differentiable: with a
        piecewise linear one (`relu`) ∂²L/∂v² would not see the curvature of the network. An
        `equinox.Module` with arrays of its own trains them, one set for each unit of each layer.
    - `dtype`: of the weights; JAX's default floating dtype if not given.
    - `key`: random key for the weights.

    Weights start as in the paper, section 3.1: normal with standard deviation 2/√width in the first
    layer, 1/√width in the others, √width in the last, which has no bias; biases start at zero. The
    network is an `equinox.nn.MLP`, whose weights can be replaced with `equinox.tree_at`.

    **Raises:**

    `ValueError` if `width` or `depth` is not a positive integer, there are no features, or the
    activation does not act on each number by itself.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        width: int = 128,
        depth: int = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        for name, value in {"width": width, "depth": depth}.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer, but it is {value!r}.")
        if not hasattr(features, "num_features"):
            raise TypeError(
                "features must be InvariantFeatures, such as group.invariant_features(points=1), "
                f"but got {features!r}."
            )
        if features.num_features < 1:
            raise ValueError(f"A network needs at least one feature, but {features} has none.")
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        check_activation(activation, dtype)
        network = eqx.nn.MLP(
            in_size=features.num_features,
            out_size="scalar",
            width_size=width,
            depth=depth,
            activation=activation,
            final_activation=_identity,
            use_final_bias=False,
            dtype=dtype,
            key=key,
        )
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        self.network = _initialise(network, width, key)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v)
        with full_precision():
            return self.network(self.standardisation(self.features(q, v)))


def _identity(x: Array) -> Array:
    """The last layer is linear. Equinox' own default is a lambda, which cannot be pickled."""
    return x


def _initialise(network: eqx.nn.MLP, width: int, key: PRNGKeyArray) -> eqx.nn.MLP:
    """The paper's weights, whose size the curvature ∂²L/∂v² needs to be invertible at the start."""
    hidden = len(network.layers) - 1
    deviations = [2 / math.sqrt(width)] + [1 / math.sqrt(width)] * (hidden - 1) + [math.sqrt(width)]
    weights = [
        deviation * jax.random.normal(k, layer.weight.shape, layer.weight.dtype)
        for k, deviation, layer in zip(
            jax.random.split(key, hidden + 1), deviations, network.layers, strict=True
        )
    ]
    biases = [jnp.zeros(width, layer.weight.dtype) for layer in network.layers[:-1]]
    network = eqx.tree_at(lambda net: [layer.weight for layer in net.layers], network, weights)
    return eqx.tree_at(lambda net: [layer.bias for layer in net.layers[:-1]], network, biases)
