"""All rules of L = vᵀ m v/2 + l(x, ẋ), l = |B(x)ᵀ ẋ|²/2 − V(x), x features of the configuration.

The Euler–Lagrange expression of l is the same in any coordinates: that of q is (∂x/∂q)ᵀ times that of
x,

    d/dt (B Bᵀ ẋ) − ∂l/∂x     along     ẋ = (∂x/∂q) v,   ẍ = (∂x/∂q) a + (d/dt ∂x/∂q) v.

The matrix is read off B, the Coriolis forces are one derivative of B forth and one of l back in the few
x, and nothing is differentiated twice by a velocity.
"""

import jax
import jax.numpy as jnp

from .._precision import full_precision
from .._types import check_motion, check_state
from ..lagrangians import NeuralMechanicalLagrangian, inertia_of, inertia_times
from ._contracts import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    over_batch,
)


@euler_lagrange_terms.register
def _(lagrangian: NeuralMechanicalLagrangian, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    return over_batch(lambda q, v: _terms(lagrangian, q, v), q)(q, v)


@euler_lagrange_residual.register
def _(lagrangian: NeuralMechanicalLagrangian, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    return over_batch(lambda *motion: _residual(lagrangian, *motion), q)(q, v, a)


@full_precision()
def _terms(lagrangian: NeuralMechanicalLagrangian, q, v):
    def rate_of(q):
        return jax.jvp(lagrangian.coordinates, (q,), (v,))

    (x, rate), (_, bend) = jax.jvp(rate_of, (q,), (v,))
    slope = _slope(lagrangian, q).reshape(len(x), v.size)
    factored = lagrangian.factor(x).T @ slope
    inertia = jnp.asarray(inertia_of(lagrangian, *v.shape), factored.dtype)
    inertia = jnp.diag(inertia) if inertia.ndim == 1 else inertia
    force = -_expression(lagrangian, x, rate, bend) @ slope
    return EulerLagrangeTerms(inertia + factored.T @ factored, force)


@full_precision()
def _residual(lagrangian: NeuralMechanicalLagrangian, q, v, a):
    def rate_of(q, v):
        return jax.jvp(lagrangian.coordinates, (q,), (v,))

    (x, rate), (_, bend) = jax.jvp(rate_of, (q, v), (v, a))
    _, pull_back = jax.vjp(lagrangian.coordinates, q)
    (covector,) = pull_back(_expression(lagrangian, x, rate, bend))
    return (inertia_times(inertia_of(lagrangian, *v.shape), a) + covector).reshape(-1)


def _slope(lagrangian: NeuralMechanicalLagrangian, q):
    """∂x/∂q, from one side or the other: by whichever are fewer, features or coordinates."""
    few = lagrangian.features.num_features < q.size
    return (jax.jacrev if few else jax.jacfwd)(lagrangian.coordinates)(q)


def _expression(lagrangian: NeuralMechanicalLagrangian, x, rate, bend):
    """d/dt (B Bᵀ ẋ) − ∂l/∂x where x changes at the rate ẋ, and that at the rate ẍ."""

    def momentum(x, rate):
        factor = lagrangian.factor(x)
        return factor @ (rate @ factor)

    _, change = jax.jvp(momentum, (x, rate), (rate, bend))
    return change - jax.grad(lagrangian.reduced)(x, rate)
