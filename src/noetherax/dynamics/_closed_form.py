"""Closed-form Euler–Lagrange terms of L = f ∘ S, with f a multilayer perceptron of few features S.

Only the gradient g and the Hessian H of f in its features are needed,

    ∂²L/∂v² = Jᵀ H J + Σ_m g_m ∂²S_m/∂v²,        J = ∂S/∂v,
    (∂²L/∂v∂q) v = Jᵀ H ṡ + Σ_m g_m (∂²S_m/∂v∂q) v,    ṡ = (∂S/∂q) v,

and both follow from one sweep through the network. The derivatives of S do not depend on the
weights, so that training differentiates the network sweep alone; and of that only what changes along
the motion.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._types import check_motion, check_state
from ..features import InvariantFeatures
from ..lagrangians import NeuralLagrangian
from ._motion import differentiated_residual, terms_and_change
from ._perceptron import HiddenLayer, gradient_along, gradient_and_hessian
from ._residual import euler_lagrange_residual
from ._terms import EulerLagrangeTerms, euler_lagrange_terms, over_batch


class _Known(NamedTuple):
    """All that the terms are made of and that the residual at the same state is made of again, with
    standardised features x(S): x, ∂x/∂v, (∂x/∂q) v, x', ∂S/∂q − (∂²S/∂v∂q) v, ∂²S/∂v²."""

    x: Array
    velocity_slope: Array
    rate: Array
    scale: Array
    pull: Array
    curvatures: Array
    layers: list[HiddenLayer]


@euler_lagrange_terms.register
def _(lagrangian: NeuralLagrangian, q, v):
    terms, _ = _terms(lagrangian, q, v)
    return terms


@terms_and_change.register
def _(lagrangian: NeuralLagrangian, q, v):
    terms, known = _terms(lagrangian, q, v)

    def change(a, tangents):
        moved = tangents[0]
        if jax.tree.leaves((moved.features, moved.standardisation, *tangents[1:])):
            return differentiated_residual((lagrangian, q, v), tangents, a)
        # Only weights change, as in training.
        return eqx.filter_jvp(
            lambda network: _residual(network, known, a), (lagrangian.network,), (moved.network,)
        )[1]

    return terms, change


def _terms(lagrangian, q, v):
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
        gradient, hessian, layers = gradient_and_hessian(lagrangian.network, x, None)
        curved = hessian @ velocity_slope
        mass_matrix = jnp.swapaxes(velocity_slope, -1, -2) @ curved
        transport = jnp.einsum("...mn,...m->...n", curved, rate)
    else:
        # Many features: the Hessian only along the velocities and along the motion.
        directions = jnp.concatenate([velocity_slope, rate[..., None]], axis=-1)
        gradient, hessian, layers = gradient_and_hessian(lagrangian.network, x, directions)
        mass_matrix, transport = hessian[..., :size, :size], hessian[..., :size, size]

    curvatures, drags = over_batch(lambda q, v: _second_derivatives(features, q, v), q)(q, v)
    weights = gradient * scale
    curvature = jnp.einsum("...m,...mij->...ij", weights, curvatures)
    pull = slope - drags
    force = jnp.einsum("...mi,...m->...i", pull, weights) - transport
    known = _Known(x, velocity_slope, rate, scale, pull, curvatures, layers)
    return EulerLagrangeTerms(mass_matrix + curvature, force), known


def _residual(network, known: _Known, a):
    """The residual of an acceleration at the state of which all is known."""
    a = a.reshape(*known.rate.shape[:-1], -1)
    along = known.rate + jnp.einsum("...mi,...i->...m", known.velocity_slope, a)
    gradient, change = gradient_along(network, known.x, along, known.layers)
    turning = jnp.einsum("...mij,...j->...mi", known.curvatures, a) - known.pull
    return jnp.einsum("...mi,...m->...i", known.velocity_slope, change) + jnp.einsum(
        "...mi,...m->...i", turning, known.scale * gradient
    )


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
