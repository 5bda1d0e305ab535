"""All rules of a model at an instant: those of its parts, and of one function of (q, v, t) by automatic
differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._precision import full_precision
from .._types import check_motion, check_state
from ._closed import closure_converted
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._inertia import constant_inertia, leading_inertia
from ._motion import solve_motion, terms_and_change
from ._registration import pass_on
from ._time import AtInstant, Instant, opened_instant, over_instants

pass_on(
    Instant,
    opened_instant,
    euler_lagrange_terms,
    euler_lagrange_residual,
    lagrangian_gradient,
    solve_motion,
    constant_inertia,
    leading_inertia,
)


@terms_and_change.register
def _(lagrangian: Instant, q, v):
    terms, change_inside = terms_and_change(opened_instant(lagrangian), q, v)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        _, moved = eqx.filter_jvp(opened_instant, (lagrangian,), (moved,))
        return change_inside(a, (moved, *state))

    return terms, change_of_residual


@closure_converted.register
def _(lagrangian: Instant, q, v):
    model = closure_converted(lagrangian.model, q, v, lagrangian.t, lagrangian.u)
    return lagrangian if model is lagrangian.model else Instant(model, lagrangian.t, lagrangian.u)


@euler_lagrange_terms.register
def _(lagrangian: AtInstant, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    return over_instants(
        lambda instant, q, v: _terms(lagrangian.function, instant, q, v), lagrangian, q, v
    )


@euler_lagrange_residual.register
def _(lagrangian: AtInstant, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    return over_instants(
        lambda instant, *motion: _residual(lagrangian.function, instant, *motion),
        lagrangian,
        q,
        v,
        a,
    )


@closure_converted.register
def _(lagrangian: AtInstant, q, v):
    function = closure_converted(lagrangian.function, q, v, lagrangian.t, lagrangian.u)
    same = function is lagrangian.function
    return lagrangian if same else AtInstant(function, lagrangian.t, lagrangian.u)


@full_precision()
def _terms(function, instant, q, v):
    size, (t, *u) = v.size, instant
    ones = jnp.ones_like(t)

    def momentum(q, v, t):
        return jax.grad(function, argnums=1)(q, v, t, *u)

    mass_matrix = jax.jacfwd(momentum, argnums=1)(q, v, t).reshape(size, size)
    _, transport = jax.jvp(lambda q, t: momentum(q, v, t), (q, t), (v, ones))
    force = jax.grad(function, argnums=0)(q, v, t, *u) - transport
    return EulerLagrangeTerms(mass_matrix, force.reshape(size))


@full_precision()
def _residual(function, instant, q, v, a):
    t, *u = instant
    slope = jax.grad(function, argnums=0)(q, v, t, *u)
    momentum = jax.grad(function, argnums=1)
    _, rate = jax.jvp(lambda q, v, t: momentum(q, v, t, *u), (q, v, t), (v, a, jnp.ones_like(t)))
    return (rate - slope).reshape(-1)
