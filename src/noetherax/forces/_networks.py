"""Networks that forces are made of."""

from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_count
from ..lagrangians import check_activation, linear_output


def perceptron(
    inputs: int,
    outputs: int,
    width: SupportsIndex,
    depth: SupportsIndex,
    activation: Callable,
    dtype,
    key: PRNGKeyArray,
) -> eqx.nn.MLP:
    """A multilayer perceptron, with errors that name the argument that is wrong."""
    width, depth = check_count("width", width), check_count("depth", depth)
    check_activation(activation, dtype)
    sizes = inputs, outputs, width, depth
    return eqx.nn.MLP(*sizes, activation, linear_output, dtype=dtype, key=key)


@final
class ConvexNetwork(eqx.Module):
    """A function g(x, y) that is convex in y for any weights (Amos, Xu & Kolter 2017, section 3.2):
    convex functions of y, layer upon layer, with weights that are not negative and an activation that
    is convex and grows. On x it may depend in any way.
    """

    conditions: eqx.nn.MLP
    directions: list[Float[Array, "width rates"]]
    mixing: list[Float[Array, "out width"]]
    width: int = eqx.field(static=True)

    def __init__(
        self,
        values: int,
        rates: int,
        width: SupportsIndex,
        depth: SupportsIndex,
        activation: Callable,
        dtype: Any,
        key: PRNGKeyArray,
    ):
        width, depth = check_count("width", width), check_count("depth", depth)
        first, *keys = jax.random.split(key, 2 * depth + 1)
        self.conditions = perceptron(
            values, width * depth + width, width, depth, activation, dtype, first
        )
        self.directions = [
            jax.random.normal(k, (width, rates), dtype) / np.sqrt(rates) for k in keys[:depth]
        ]
        shapes = [(width, width)] * (depth - 1)
        self.mixing = [
            jax.random.normal(k, shape, dtype) - np.log(width)
            for k, shape in zip(keys[depth:], shapes, strict=False)
        ]
        self.width = width

    def __call__(self, x: Float[Array, " values"], y: Float[Array, " rates"]) -> Float[Array, ""]:
        *shifts, weights = jnp.split(self.conditions(x), len(self.directions) + 1)
        z = jnp.zeros(self.width, y.dtype)
        for index, (direction, shift) in enumerate(zip(self.directions, shifts, strict=True)):
            inner = direction @ y + shift
            if index:
                inner = inner + jax.nn.softplus(self.mixing[index - 1]) @ z
            z = jax.nn.softplus(inner)
        return jax.nn.softplus(weights) @ z / self.width

    def resistance(
        self, x: Float[Array, " values"], y: Float[Array, " rates"]
    ) -> Float[Array, " rates"]:
        """The gradient in y, less that at y = 0: of the convex function whose minimum is there."""
        slope = jax.grad(self, argnums=1)
        return slope(x, y) - slope(x, jnp.zeros_like(y))
