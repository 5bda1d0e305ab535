"""Gradient and Hessian of a multilayer perceptron f(x) in closed form, from sweeps forth and back."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from ._activations import activate, recall, replaced


class HiddenLayer(NamedTuple):
    """What a sweep leaves of a hidden layer.

    - `values`: z, its values before the activation.
    - `derivatives`: σ, σ' and σ'' there.
    - `adjoint`: ∂f/∂σ.
    """

    values: Array
    derivatives: tuple[Array, Array, Array]
    adjoint: Array


def gradient_and_hessian(network: Any, x, directions) -> tuple[Array, Array, list[HiddenLayer]]:
    """g = ∂f/∂x, H = Dᵀ (∂²f/∂x²) D with D = `directions` (the identity if `None`), and the layers.

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
    for layer in rest:
        derivatives = activate(network.activation, values)
        swept.append((values, derivatives, tangents))
        if layer is rest[-1]:
            break
        activated, slope, _ = derivatives
        values = activated @ layer.weight.T + layer.bias
        tangents = (slope[..., None, :] * tangents) @ layer.weight.T

    adjoint = jnp.broadcast_to(rest[-1].weight[0], values.shape)
    hessian, layers = jnp.zeros((), x.dtype), []
    for layer, (values, derivatives, tangents) in zip(
        reversed(network.layers[:-1]), reversed(swept), strict=True
    ):
        layers.append(HiddenLayer(values, derivatives, adjoint))
        _, slope, curvature = derivatives
        weights = curvature * adjoint
        if layer is first and directions is None:
            hessian = hessian + _first_hessian(first.weight, weights)
        else:
            weighted = weights[..., None, :] * tangents
            hessian = hessian + jnp.einsum("...dw,...ew->...de", weighted, tangents)
        adjoint = (slope * adjoint) @ layer.weight
    return adjoint, hessian, layers[::-1]


def gradient_along(network: Any, x, direction, known: list[HiddenLayer] | None = None):
    """g = ∂f/∂x, and its derivative H u along u = `direction`, from one sweep forth and back.

    With the layers that [`gradient_and_hessian`] has left at the same x, nothing is computed twice;
    derivatives are the same.
    """
    first, *rest = network.layers
    values, tangent = x @ first.weight.T + first.bias, direction @ first.weight.T
    swept = []
    for index, layer in enumerate(rest):
        if known is None:
            derivatives = activate(network.activation, values)
        else:
            derivatives = recall(network.activation, values, *known[index][:2])
        activated, slope, curvature = derivatives
        swept.append((slope, curvature * tangent))
        if layer is rest[-1]:
            break
        values = activated @ layer.weight.T + layer.bias
        tangent = (slope * tangent) @ layer.weight.T

    adjoint = jnp.broadcast_to(rest[-1].weight[0], values.shape)
    change = jnp.zeros_like(adjoint)
    for index, layer in reversed(list(enumerate(network.layers[:-1]))):
        slope, turning = swept[index]
        if known is not None:
            adjoint = replaced(adjoint, known[index].adjoint)
        change = (slope * change + turning * adjoint) @ layer.weight
        adjoint = (slope * adjoint) @ layer.weight
    return adjoint, change


def _first_hessian(matrix, weights):
    """Wᵀ diag(weights) W. W is the same for all states, so that one product with all W_m W_n does what
    takes a small one for each state in the layers that follow."""
    outer = jnp.einsum("wm,wn->wmn", matrix, matrix)
    hessian = weights @ outer.reshape(len(outer), -1)
    return hessian.reshape(*weights.shape[:-1], *outer.shape[1:])
