"""What is compiled of a rollout: its start, its steps, and how they end."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Bool, Float

from ._content import Incomparable
from ._programs import run
from .dynamics import at_time, euler_lagrange_terms, has_rule, solve_motion, solve_terms
from .solvers import Equations, equations_at, first_memory, formulate

UNPHYSICAL = 1e-2
"""Of Σ|a_i F_i|: a·F = aᵀMa below its negative shows that M is not definite, whatever rounding does."""

# Without its own `jit`, which would find what it traced before by the identity of functions.
_integrate = inspect.unwrap(diffrax.diffeqsolve)


def motion_of(solver, accelerate, lagrangian, q, v):
    """All that a rollout computes of a Lagrangian. A type with rules of its own need have no more: it
    may be no function of the state, but a network straight to the acceleration."""
    made = formulate(solver, lagrangian, q, v, accelerate)
    start = jnp.zeros((), q.dtype)
    try:
        rates = solver.func(made.term, start, made.state, made.args)
    except NotImplementedError:  # Diffrax needs it for a first step alone
        raise Incomparable from None
    terms = euler_lagrange_terms(lagrangian, q, v)
    return terms, made.state, rates, made.read(start, made.state)


class Motion(NamedTuple):
    """(q, v, p) at the saved times, and the `last` accepted (t, state) of the solver, where that is
    kept. Times of which none was needed are `unused`."""

    ts: Float[Array, " times"]
    unused: Bool[Array, " times"]
    state: tuple
    last: tuple | None
    stats: dict[str, Any]
    result: diffrax.RESULTS


def constant(tree):
    """The same without derivatives: no step depends on them, nor whether a motion goes on."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, tree)


def equations_of_solver(solver, lagrangian, state, accelerate, t, last) -> Equations:
    """Those at a state of the solver."""
    q, v, _ = formulate(solver, lagrangian, *state, accelerate).read(t, last)
    return equations_at(at_time(lagrangian, t), q, v)


def solve(solver, lagrangian, state, accelerate, t0, t1, options) -> Motion:
    term, y, args, read = formulate(solver, lagrangian, *state, accelerate)
    if has_rule(first_memory, type(solver)):
        options = {"solver_state": first_memory(solver, term, t0, t1, y, args)} | options
    solution = _integrate(term, solver, t0=t0, t1=t1, y0=y, args=args, **options)
    assert solution.ts is not None  # SaveAt saves something
    assert solution.ys is not None
    if isinstance(solution.ts, tuple):
        (ts, last), (states, end) = solution.ts, solution.ys
        end = last[0], jax.tree.map(lambda x: x[0], end)
    else:
        ts, states, end = solution.ts, solution.ys, None
    q, v, p = jax.vmap(read)(ts, states)
    finite = jnp.all(jnp.isfinite(q) & jnp.isfinite(v), axis=(1, 2))
    unused = jnp.isinf(ts)  # Diffrax pads what SaveAt(steps=True) does not need
    failed = (solution.result == diffrax.RESULTS.successful) & ~jnp.all(finite | unused)
    nonfinite = diffrax.RESULTS.promote(optx.RESULTS.nonfinite)
    result = diffrax.RESULTS.where(failed, nonfinite, solution.result)
    return Motion(ts, unused, (q, v, p), end, solution.stats, result)


def accelerate_by(linear_solver, definite) -> Callable:
    """The acceleration at a step, `(lagrangian, q, v) -> a`."""
    return eqx.Partial(_found, linear_solver, definite)


def _found(linear_solver, definite, lagrangian, q, v):
    # Diffrax traces a step several times, and `run` this but once.
    return run(_acceleration, lagrangian, linear_solver, definite, q, v)


def _acceleration(lagrangian, linear_solver, definite, q, v):
    step = eqx.Partial(_solve_step, linear_solver, definite)
    a, resolved = solve_motion(lagrangian, q, v, step)
    return jnp.where(resolved, a, jnp.nan).reshape(v.shape).astype(v.dtype)


def _solve_step(linear_solver, definite, terms):
    """As `solve_terms`, and not beyond where a definite mass matrix becomes indefinite."""
    a, resolved = solve_terms(terms, linear_solver)
    work = a * terms.force
    signed = definite.astype(work.dtype) * jnp.sum(work)
    return a, resolved & (signed >= -UNPHYSICAL * jnp.sum(jnp.abs(work)))
