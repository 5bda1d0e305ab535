"""Closed-form Euler–Lagrange terms of L = f ∘ S, with f a multilayer perceptron of few features S.

Only the gradient g and the Hessian H of f in its features are needed,

    ∂²L/∂v² = Jᵀ H J + Σ_m g_m ∂²S_m/∂v²,        J = ∂S/∂v,
    (∂²L/∂v∂q) v = Jᵀ H ṡ + Σ_m g_m (∂²S_m/∂v∂q) v,    ṡ = (∂S/∂q) v,

and both follow from one sweep through the network. The derivatives of S do not depend on the
weights, so that training differentiates the network sweep alone; and of that only what changes along
the motion.
"""

import jax
import jax.numpy as jnp

from .._types import check_motion, check_state
from ..features import InvariantFeatures
from ..lagrangians import NeuralLagrangian
from ._activations import activate
from ._residual import euler_lagrange_residual
from ._terms import EulerLagrangeTerms, euler_lagrange_terms, over_batch

MORE = 2
"""Features per direction up to which the first layer's part of the Hessian is found for all features:
its cost grows with the square of their number."""


@euler_lagrange_terms.register
def _(lagrangian: NeuralLagrangian, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    features, standardisation = lagrangian.features, lagrangian.standardisation
    size = v.shape[-2] * v.shape[-1]

    values, slope, velocity_slope, rate = over_batch(
        lambda q, v: _first_derivatives(features, q, v), q
    )(q, v)
    # Standardised features x(S): first derivatives are multiplied by x', here or as `weights`. Features
    # that depend on velocities have x'' = 0, and no second derivative below concerns the others.
    x, scale = standardisation(values), standardisation.slope(values)
    velocity_slope, rate = velocity_slope * scale[..., None], rate * scale

    if features.num_features <= size + 1:
        # Few features: their full Hessian.
        gradient, hessian = gradient_and_hessian(lagrangian.network, x, None)
        curved = hessian @ velocity_slope
        mass_matrix = jnp.swapaxes(velocity_slope, -1, -2) @ curved
        transport = jnp.einsum("...mn,...m->...n", curved, rate)
    else:
        # Many features: the Hessian only along the velocities and along the motion.
        directions = jnp.concatenate([velocity_slope, rate[..., None]], axis=-1)
        gradient, hessian = gradient_and_hessian(lagrangian.network, x, directions)
        mass_matrix, transport = hessian[..., :size, :size], hessian[..., :size, size]

    curvatures, drags = over_batch(lambda q, v: _second_derivatives(features, q, v), q)(q, v)
    weights = gradient * scale
    curvature = jnp.einsum("...m,...mij->...ij", weights, curvatures)
    force = jnp.einsum("...mi,...m->...i", slope - drags, weights) - transport
    return EulerLagrangeTerms(mass_matrix + curvature, force)


@euler_lagrange_residual.register
def _(lagrangian: NeuralLagrangian, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    features, standardisation = lagrangian.features, lagrangian.standardisation
    values, rate = over_batch(lambda q, v, a: jax.jvp(features, (q, v), (v, a)), q)(q, v, a)
    # x' changes in time only where ∂S/∂v = 0, and drops out.
    x, scale = standardisation(values), standardisation.slope(values)
    gradient, change = gradient_along(lagrangian.network, x, scale * rate)
    residual = over_batch(lambda *motion: _weighted_residual(features, *motion), q)
    return residual(q, v, a, scale * gradient, scale * change)


def _first_derivatives(features: InvariantFeatures, q, v):
    """S, ∂S/∂q, ∂S/∂v and (∂S/∂q) v, with the state flattened."""
    slope, velocity_slope = jax.jacfwd(features, argnums=(0, 1))(q, v)
    slope = slope.reshape(-1, q.size)
    return features(q, v), slope, velocity_slope.reshape(-1, v.size), slope @ v.reshape(-1)


def _second_derivatives(features: InvariantFeatures, q, v):
    """∂²S/∂v² and (∂²S/∂v∂q) v of every feature. Forward twice: what is constant, as it is of
    products, then is so to the compiler."""
    slope = jax.jacfwd(features, argnums=1)
    curvature = jax.jacfwd(slope, argnums=1)(q, v)
    _, drag = jax.jvp(lambda q: slope(q, v), (q,), (v,))
    return curvature.reshape(-1, v.size, v.size), drag.reshape(-1, v.size)


def _weighted_residual(features: InvariantFeatures, q, v, a, weights, change):
    """d/dt ∂/∂v − ∂/∂q of the sum of features with weights that change at the rate `change`."""

    def slope(q, v, weights):
        _, pull_back = jax.vjp(lambda q, v: features(q, v).astype(weights.dtype), q, v)
        return pull_back(weights)

    (force, _), (_, rate) = jax.jvp(slope, (q, v, weights), (v, a, change))
    return (rate - force).reshape(-1)


def gradient_along(network, x, direction):
    """g = ∂f/∂x, and its derivative H u along u = `direction`, from one sweep forth and back."""
    first, *rest = network.layers
    values, tangent = x @ first.weight.T + first.bias, direction @ first.weight.T
    layers = []
    for layer in rest:
        activated, slope, curvature = activate(network.activation, values)
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


def gradient_and_hessian(network, x, directions):
    """g = ∂f/∂x and H = Dᵀ (∂²f/∂x²) D of a perceptron, D = `directions` (the identity if `None`).

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
    layers = []
    for layer in rest:
        activated, slope, curvature = activate(network.activation, values)
        layers.append((tangents, slope, curvature))
        if layer is rest[-1]:
            break
        values = activated @ layer.weight.T + layer.bias
        tangents = (slope[..., None, :] * tangents) @ layer.weight.T

    adjoint = jnp.broadcast_to(rest[-1].weight[0], values.shape)
    hessian = jnp.zeros((), x.dtype)
    for layer, (tangents, slope, curvature) in zip(
        reversed(network.layers[:-1]), reversed(layers), strict=True
    ):
        weights = curvature * adjoint
        if layer is first and (directions is None or x.shape[-1] <= MORE * directions.shape[-1]):
            hessian = hessian + _first_hessian(first.weight, weights, directions)
        else:
            weighted = weights[..., None, :] * tangents
            hessian = hessian + weighted @ jnp.swapaxes(tangents, -1, -2)
        adjoint = (slope * adjoint) @ layer.weight
    return adjoint, hessian


def _first_hessian(matrix, weights, directions):
    """Dᵀ Wᵀ diag(weights) W D. W is the same for all states, so that one product with all W_m W_n does
    what takes a small one for each state in the layers that follow."""
    outer = jnp.einsum("wm,wn->wmn", matrix, matrix)
    hessian = weights @ outer.reshape(len(outer), -1)
    hessian = hessian.reshape(*weights.shape[:-1], *outer.shape[1:])
    if directions is None:
        return hessian
    return jnp.swapaxes(directions, -1, -2) @ (hessian @ directions)
