"""All rules of L = f ∘ S, with f a multilayer perceptron of few features S, in closed form.

Only the gradient g and the Hessian H of f in its features are needed,

    ∂²L/∂v² = Jᵀ H J + Σ_m g_m ∂²S_m/∂v²,        J = ∂S/∂v,
    (∂²L/∂v∂q) v = Jᵀ H ṡ + Σ_m g_m (∂²S_m/∂v∂q) v,    ṡ = (∂S/∂q) v,

and both follow from one sweep through the network. The derivatives of S do not depend on the
weights, so that training differentiates the network sweep alone; and of that only what changes along
the motion.

An implicit integrator needs (∂L/∂q, ∂L/∂v) and their Jacobian. Automatic differentiation sends one
tangent per coordinate through the network, forth and back. One per feature, and forth alone, is enough:
the Jacobian of ∂f/∂S is H.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._precision import full_precision
from .._programs import one_program
from .._types import check_motion, check_state
from ..features import InvariantFeatures
from ..lagrangians import NeuralLagrangian
from ._batches import over_batch
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._motion import differentiated_residual, terms_and_change
from ._perceptron import gradient_along, gradient_and_hessian
from ._weighted_features import residual_of_features, weighted_terms


@euler_lagrange_terms.register
@one_program
def _(lagrangian: NeuralLagrangian, q, v):
    terms, _ = _terms_of(lagrangian, q, v)
    return terms


@euler_lagrange_residual.register
@one_program
def _(lagrangian: NeuralLagrangian, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    features, standardisation = lagrangian.features, lagrangian.standardisation
    values, rate = over_batch(lambda q, v, a: jax.jvp(features, (q, v), (v, a)), q)(q, v, a)
    # x' changes in time only where ∂S/∂v = 0, and drops out.
    x, scale = standardisation(values), standardisation.slope(values)
    gradient, change = gradient_along(lagrangian.scaled_network, x, scale * rate)
    return residual_of_features(features, (q, v, a), scale * gradient, scale * change)


@terms_and_change.register
def _(lagrangian: NeuralLagrangian, q, v):
    terms, known = _terms_of(lagrangian, q, v)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        if jax.tree.leaves((moved.features, moved.standardisation, moved.unit, *state)):
            return differentiated_residual((lagrangian, q, v), tangents, a)

        # Weights alone change, as in training.
        @full_precision()
        def residual(network):
            flat = a.reshape(*known.rate.shape[:-1], -1)
            along = known.rate + jnp.einsum("...mi,...i->...m", known.velocity_slope, flat)
            gradient, change = gradient_along(network, known.x, along)
            motion = q.astype(a.dtype), v.astype(a.dtype), a
            return residual_of_features(
                lagrangian.features, motion, known.scale * gradient, known.scale * change
            )

        network, change = eqx.filter_jvp(lambda x: x.scaled_network, (lagrangian,), (moved,))
        return eqx.filter_jvp(residual, (network,), (change,))[1]

    return terms, change_of_residual


@lagrangian_gradient.register
@one_program
def _(lagrangian: NeuralLagrangian, q, v):
    if lagrangian.features.num_features > 2 * q.size:
        return jax.grad(lagrangian, argnums=(0, 1))(q, v)
    values, pull_back = jax.vjp(lagrangian.features, q, v)
    standardisation = lagrangian.standardisation
    slope = _slope(lagrangian.scaled_network, standardisation(values))
    return pull_back(slope * standardisation.slope(values))


class _Standardised(NamedTuple):
    """Standardised features x(S) at a state: x, ∂x/∂v, (∂x/∂q) v, x'.

    Given to both, since XLA sees that the sweeps of terms and residual are the same only if they start
    from the same x: in a loop it moves each computation of it out on its own.
    """

    x: Array
    velocity_slope: Array
    rate: Array
    scale: Array


@full_precision()
def _terms_of(lagrangian: NeuralLagrangian, q, v) -> tuple[EulerLagrangeTerms, _Standardised]:
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    features, standardisation = lagrangian.features, lagrangian.standardisation
    size = v.shape[-2] * v.shape[-1]

    values, velocity_slope, rate = over_batch(lambda q, v: _slopes(features, q, v), q)(q, v)
    # Standardised features x(S): first derivatives are multiplied by x', here or as `weights`. Features
    # that depend on velocities have x'' = 0, and no second derivative below concerns the others.
    x, scale = standardisation(values), standardisation.slope(values)
    velocity_slope, rate = velocity_slope * scale[..., None], rate * scale

    if features.num_features <= size + 1:
        # Few features: their full Hessian.
        gradient, hessian = gradient_and_hessian(lagrangian.scaled_network, x, None)
        curved = hessian @ velocity_slope
        mass_matrix = jnp.swapaxes(velocity_slope, -1, -2) @ curved
        transport = jnp.einsum("...mn,...m->...n", curved, rate)
    else:
        # Many features: the Hessian only along the velocities and along the motion.
        directions = jnp.concatenate([velocity_slope, rate[..., None]], axis=-1)
        gradient, hessian = gradient_and_hessian(lagrangian.scaled_network, x, directions)
        mass_matrix, transport = hessian[..., :size, :size], hessian[..., :size, size]

    weighted = over_batch(lambda *state: weighted_terms(features, *state), q)
    curvature, force = weighted(q, v, gradient * scale)
    terms = EulerLagrangeTerms(mass_matrix + curvature, force - transport)
    return terms, _Standardised(x, velocity_slope, rate, scale)


def _slopes(features: InvariantFeatures, q, v):
    """S, ∂S/∂v and (∂S/∂q) v, with the velocity flattened: all from one push of tangents, the first
    along the motion and one for each component of the velocity."""
    moving = jnp.concatenate([v[None], jnp.zeros((v.size, *v.shape), v.dtype)])
    turning = jnp.eye(v.size + 1, v.size, -1, dtype=v.dtype).reshape(moving.shape)
    push = jax.vmap(lambda *tangents: jax.jvp(features, (q, v), tangents)[1])
    slopes = push(moving, turning)
    return features(q, v), slopes[1:].T, slopes[0]


@eqx.filter_custom_jvp
def _slope(network, x):
    return jax.grad(network)(x)


@_slope.def_jvp
@full_precision()
def _(primals, tangents):
    network, x = primals
    network_tangent, tangent = tangents
    slope, hessian = gradient_and_hessian(network, x, None)
    change = jnp.zeros_like(x) if tangent is None else hessian @ tangent
    if jax.tree.leaves(network_tangent):
        weights, rest = eqx.partition(network, _perturbed(network, network_tangent))
        tangents = eqx.filter(network_tangent, eqx.is_array)
        _, moved = jax.jvp(lambda w: jax.grad(eqx.combine(w, rest))(x), (weights,), (tangents,))
        change = change + moved
    return slope, change


def _perturbed(network, tangents):
    """Which leaves of the network have a tangent."""
    return jax.tree.map(lambda t, _: t is not None, tangents, network, is_leaf=lambda t: t is None)
