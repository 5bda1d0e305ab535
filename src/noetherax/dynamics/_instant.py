"""All rules of a model at an instant: those of its parts, and of one function of (q, v, t) by automatic
differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._precision import full_precision
from .._types import check_motion, check_state
from ..forces import held_until, jumps_of
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
from ._time import AtInstant, Instant, opened_instant, over_instants, value_of

NO_RATE = (
    "The momentum of this Lagrangian changes with its inputs, so that its equations of motion hold "
    "du/dt, too, and only u is known, or u jumps. Bind them as a function of time, "
    "noetherax.Driven(model, inputs), of the kind 'linear' or 'cubic', or learn from trajectories, "
    "noetherax.TrajectoryLoss."
)

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


@jumps_of.register
def _(part: Instant):
    return jumps_of(part.model)


@held_until.register
def _(model: Instant, end):
    return Instant(held_until(model.model, end), model.t, model.u)


@closure_converted.register
def _(lagrangian: Instant, q, v):
    model = closure_converted(lagrangian.model, q, v, lagrangian.t, lagrangian.u)
    return lagrangian if model is lagrangian.model else Instant(model, lagrangian.t, lagrangian.u)


@euler_lagrange_terms.register
def _(lagrangian: AtInstant, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    return over_instants(
        lambda instant, q, v: _terms(lagrangian.function, instant, q, v),
        lagrangian,
        q,
        v,
        rates=True,
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
        rates=True,
    )


@closure_converted.register
def _(lagrangian: AtInstant, q, v):
    function = closure_converted(lagrangian.function, q, v, lagrangian.t, value_of(lagrangian.u))
    same = function is lagrangian.function
    return lagrangian if same else AtInstant(function, lagrangian.t, lagrangian.u)


@full_precision()
def _terms(function, instant, q, v):
    size = v.size
    momentum = jax.grad(function, argnums=1)
    mass_matrix = jax.jacfwd(momentum, argnums=1)(q, v, *instant[:2]).reshape(size, size)
    transport = _rate(momentum, instant, q, v, jnp.zeros_like(v))
    force = jax.grad(function, argnums=0)(q, v, *instant[:2]) - transport
    return EulerLagrangeTerms(mass_matrix, force.reshape(size))


@full_precision()
def _residual(function, instant, q, v, a):
    slope = jax.grad(function, argnums=0)(q, v, *instant[:2])
    rate = _rate(jax.grad(function, argnums=1), instant, q, v, a)
    return (rate - slope).reshape(-1)


def _rate(momentum, instant, q, v, a):
    """The rate of ∂L/∂v along a motion. Inputs of which only the value is known must have no part in
    it."""
    t, *u = instant
    moving = (jnp.ones_like(t), *u[1:])
    held = u[:1] if len(moving) == 1 else []

    def along(q, v, *instant):
        return momentum(q, v, *instant, *held)

    state = (q, v, *instant[: len(moving)])
    _, rate = jax.jvp(along, state, (v, a, *moving))
    if not held:
        return rate
    by_inputs = jax.jacfwd(momentum, argnums=3)(q, v, t, *held)
    return eqx.error_if(rate, jnp.any(jnp.abs(by_inputs) > 0), NO_RATE)
