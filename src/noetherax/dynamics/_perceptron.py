"""Gradient and Hessian of a multilayer perceptron f(x) in closed form, from sweeps forth and back."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ._activations import activate, of_layer


def gradient_and_hessian(network: Any, x, directions) -> tuple[Array, Array]:
    """g = ∂f/∂x and H = Dᵀ (∂²f/∂x²) D, D = `directions` (the identity if `None`).

    Forward, every layer carries its values z and the derivatives Z = ∂z/∂x D, these in one matrix
    product; backward, the adjoint weights of each layer's σ'' are the curvature,
    H = Σ_layers Zᵀ diag(σ''(z) ∂f/∂σ) Z.
    """
    first, *rest = network.layers
    values = x @ first.weight.T + first.bias
    if directions is None:
        tangents = jnp.broadcast_to(first.weight.T, (*x.shape, first.weight.shape[0]))
    else:
        tangents = jnp.einsum("...md,wm->...dw", directions, first.weight)
    swept = []
    for index, layer in enumerate(rest):
        activated, slope, curvature = activate(of_layer(network.activation, index), values)
        swept.append((tangents, slope, curvature))
        if layer is rest[-1]:
            break
        values = activated @ layer.weight.T + layer.bias
        tangents = (slope[..., None, :] * tangents) @ layer.weight.T

    adjoint = jnp.broadcast_to(rest[-1].weight[0], values.shape)
    hessian = jnp.zeros((), x.dtype)
    for layer, (tangents, slope, curvature) in zip(
        reversed(network.layers[:-1]), reversed(swept), strict=True
    ):
        weights = curvature * adjoint
        if layer is first and directions is None:
            hessian = hessian + _first_hessian(first.weight, weights)
        else:
            weighted = weights[..., None, :] * tangents
            hessian = hessian + jnp.einsum("...dw,...ew->...de", weighted, tangents)
        adjoint = (slope * adjoint) @ layer.weight
    return adjoint, hessian


def value_and_gradient(network: Any, x) -> tuple[Array, Array]:
    """f and g = ∂f/∂x, from one sweep forth and back with one exponential for each unit."""
    *hidden, last = network.layers
    values, slopes = x, []
    for index, layer in enumerate(hidden):
        values, slope, _ = activate(
            of_layer(network.activation, index), values @ layer.weight.T + layer.bias
        )
        slopes.append(slope)
    adjoint = jnp.broadcast_to(last.weight[0], values.shape)
    for layer, slope in zip(reversed(hidden), reversed(slopes), strict=True):
        adjoint = (slope * adjoint) @ layer.weight
    return values @ last.weight[0], adjoint


def gradient_along(network: Any, x, direction) -> tuple[Array, Array]:
    """g = ∂f/∂x, and its derivative H u along u = `direction`, from one sweep forth and back."""
    first, *rest = network.layers
    values, tangent = x @ first.weight.T + first.bias, direction @ first.weight.T
    layers = []
    for index, layer in enumerate(rest):
        activated, slope, curvature = activate(of_layer(network.activation, index), values)
        layers.append((slope, curvature * tangent))
        if layer is rest[-1]:
            break
        values = activated @ layer.weight.T + layer.bias
        tangent = (slope * tangent) @ layer.weight.T

    adjoint = jnp.broadcast_to(rest[-1].weight[0], values.shape)
    change = jnp.zeros_like(adjoint)
    for layer, (slope, turning) in zip(
        reversed(network.layers[:-1]), reversed(layers), strict=True
    ):
        change = (slope * change + turning * adjoint) @ layer.weight
        adjoint = (slope * adjoint) @ layer.weight
    return adjoint, change


def derivatives_along(network: Any, x, direction) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Outputs f(x), their derivative along u = `direction`, and the adjoint c → cᵀ ∂f/∂x: one sweep
    forth and one back, with one exponential for each unit."""
    *hidden, last = network.layers
    values, tangent = x, direction
    slopes = []
    for index, layer in enumerate(hidden):
        values, slope, _ = activate(
            of_layer(network.activation, index), values @ layer.weight.T + layer.bias
        )
        tangent = slope * (tangent @ layer.weight.T)
        slopes.append(slope)
    outputs = values @ last.weight.T
    outputs = outputs if last.bias is None else outputs + last.bias

    def pull_back(covector):
        adjoint = covector @ last.weight
        for layer, slope in zip(reversed(hidden), reversed(slopes), strict=True):
            adjoint = (slope * adjoint) @ layer.weight
        return adjoint

    return outputs, tangent @ last.weight.T, pull_back


def _first_hessian(matrix, weights):
    """Wᵀ diag(weights) W. W is the same for all states, so that one product with all W_m W_n does what
    takes a small one for each state in the layers that follow."""
    outer = jnp.einsum("wm,wn->wmn", matrix, matrix)
    hessian = weights @ outer.reshape(len(outer), -1)
    return hessian.reshape(*weights.shape[:-1], *outer.shape[1:])
