"""Networks of features with the weights that training starts from."""

import functools
import math
from collections.abc import Callable
from typing import Any, SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import check_count
from ..features import ConfigurationFeatures, InvariantFeatures
from ._activation import check_activation

OF_STATES = InvariantFeatures, "invariant_features"
OF_CONFIGURATIONS = ConfigurationFeatures, "configuration_features"
"""Kinds of features, and the method of a group that gives them."""


def perceptron(
    features: Any,
    width: SupportsIndex,
    depth: SupportsIndex,
    *,
    activation: Callable,
    dtype: Any,
    key: PRNGKeyArray,
    kind: tuple[type, str] = OF_STATES,
    more: int = 0,
) -> eqx.nn.MLP:
    """A scalar f of features with the weights of Müller 2023, section 3.1.

    **Arguments:**

    - `features`, `width`, `depth`, `activation`, `dtype`, `key`: as in
        [`noetherax.NeuralLagrangian`][].
    - `kind`: which features are expected.
    - `more`: inputs beside the features.

    **Raises:**

    `ValueError` or `TypeError` as there.
    """
    # Sizes are static: those of NumPy would be another structure, in files too.
    width, depth = check_count("width", width), check_count("depth", depth)
    (expected, method), others = kind, (InvariantFeatures, ConfigurationFeatures)
    if not hasattr(features, "num_features") or (
        isinstance(features, others) and not isinstance(features, expected)
    ):
        raise TypeError(
            f"features must be {expected.__name__}, such as group.{method}(points=1), "
            f"but got {features!r}."
        )
    if features.num_features < 1:
        raise ValueError(f"A network needs at least one feature, but {features} has none.")
    dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
    check_activation(activation, dtype)
    network = _unset(
        in_size=features.num_features + more,
        out_size="scalar",
        width_size=width,
        depth=depth,
        activation=activation,
        final_activation=_identity,
        use_final_bias=False,
        dtype=dtype,
        key=key,
    )
    return _initialise(network, width, math.sqrt(width), key)


def triangular(scalar: eqx.nn.MLP, activation: Callable, key: PRNGKeyArray) -> eqx.nn.MLP:
    """A network like a scalar one, for the entries of a lower triangular matrix with as many rows as
    there are features, row by row: near the identity at the start, which its last bias holds.

    **Arguments:**

    - `scalar`: from `perceptron`, of the same features.
    - `activation`, `key`: as there.
    """
    first = scalar.layers[0]
    rows, columns = np.tril_indices(int(first.in_features))
    width = int(first.out_features)
    network = _unset(
        in_size=first.in_features,
        out_size=len(rows),
        width_size=width,
        depth=len(scalar.layers) - 1,
        activation=activation,
        final_activation=_identity,
        dtype=first.weight.dtype,
        key=key,
    )
    network = _initialise(network, width, 1 / width, key)
    unit = jnp.asarray(rows == columns, first.weight.dtype)
    return eqx.tree_at(lambda net: net.layers[-1].bias, network, unit)


def widened(network: eqx.nn.MLP, width: int, key: PRNGKeyArray) -> eqx.nn.MLP:
    """A network like one given, with at least so many units in each hidden layer, and new weights.
    One whose activation has arrays of its own, some for each unit, is returned as it is."""
    first, *_, last = network.layers
    width = max(width, int(last.in_features))
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves(network.activation)):
        return network
    wide = _unset(
        in_size=first.in_features,
        out_size=network.out_size,
        width_size=width,
        depth=len(network.layers) - 1,
        activation=network.activation,
        final_activation=network.final_activation,
        use_final_bias=network.use_final_bias,
        dtype=first.weight.dtype,
        key=key,
    )
    return _initialise(wide, width, math.sqrt(width), key)


def _unset(**options: Any) -> eqx.nn.MLP:
    """A network whose weights and biases are all to be set: Equinox' own are not drawn, which would
    compile a program for every shape. An activation with parameters keeps its values."""
    make = functools.partial(eqx.nn.MLP, **options)
    trains = any(eqx.is_array(leaf) for leaf in jax.tree.leaves(options["activation"]))
    return make() if trains else eqx.filter_eval_shape(make)


def _identity(x: Array) -> Array:
    """The last layer is linear. Equinox' own default is a lambda, which cannot be pickled."""
    return x


linear_output = _identity
"""Its name elsewhere. Saved models hold the other one."""


def _initialise(network: eqx.nn.MLP, width: int, last: float, key: PRNGKeyArray) -> eqx.nn.MLP:
    """The paper's weights, whose size the curvature ∂²L/∂v² needs to be invertible at the start."""
    hidden = len(network.layers) - 1
    deviations = [2 / math.sqrt(width)] + [1 / math.sqrt(width)] * (hidden - 1) + [last]
    weights = [
        deviation * jax.random.normal(k, layer.weight.shape, layer.weight.dtype)
        for k, deviation, layer in zip(
            jax.random.split(key, hidden + 1), deviations, network.layers, strict=True
        )
    ]
    biases = [jnp.zeros(width, layer.weight.dtype) for layer in network.layers[:-1]]
    network = eqx.tree_at(lambda net: [layer.weight for layer in net.layers], network, weights)
    return eqx.tree_at(lambda net: [layer.bias for layer in net.layers[:-1]], network, biases)
