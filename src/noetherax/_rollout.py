"""Solutions of the Euler–Lagrange equations, and how well they keep what should be conserved."""

import functools
import warnings
from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple, final

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from ._types import PRECISION, Configuration, FloatArray, Velocity, check_state
from .charges import MomentumMap
from .dynamics import (
    NOT_FINITE,
    SINGULAR,
    equilibrate,
    euler_lagrange_terms,
    is_finite,
    is_regular,
    momentum,
    solve_motion,
    solve_terms,
)
from .solvers import (
    EndingController,
    LagrangianTerm,
    RelativeController,
    StateRounding,
    VariationalSolver,
    check_options,
    chosen_steps,
    in_precision,
    plan_times,
    velocity,
)

TOLERANCE = 1e-8
"""Tolerance of error-estimating solvers relative to the motion, where the precision allows it."""

ROUNDINGS = 10
"""The same where it does not, in roundings; and the smallest step, in roundings of the time."""

UNPHYSICAL = 1e-2
"""Of Σ|a_i F_i|: a·F = aᵀMa below its negative shows that M is not definite, whatever rounding does."""

VANISHED = 1e-3
"""Part of its first size to which a singular value of the mass matrix falls where that is the cause."""

COARSE = 1e-3
"""Part of the distance travelled that rounding of a position may be before a rollout says so."""

TOO_LARGE = (
    "Newton's method found no solution of a variational step. The step is too large for this motion, "
    "or the mass matrix ∂²L/∂v² became singular on the way. Take a smaller dt, or let a "
    "stepsize_controller choose."
)

ENDS = (
    "The motion becomes singular: a step as small as time resolves was still rejected. Either forces "
    "diverge, as in a collision, or the mass matrix ∂²L/∂v² becomes singular."
)

LEAVES = (
    "The state becomes nonfinite. A step is too large for this motion, or the motion itself is singular "
    "there."
)

SINGLE = (
    "Variational solvers keep charges to rounding, and in float32 rounding is 1e-7 in every step: the "
    "guarantee cannot be seen there. Use float64 (`jax.config.update('jax_enable_x64', True)`)."
)


@final
class Trajectory(eqx.Module):
    """A solution sampled at times `ts`.

    - `ts`: times, shape `(times,)`.
    - `q`, `v`: configurations and velocities, shape `(times, points, space)`.
    - `p`: momenta of the same shape if the solver carries them, else `None`.
    - `stats`: Diffrax' statistics of the solve.
    - `result`: Diffrax' result code; `diffrax.is_successful(trajectory.result)`.
    """

    ts: Float[Array, " times"]
    q: Float[Array, "times points space"]
    v: Float[Array, "times points space"]
    p: Float[Array, "times points space"] | None
    stats: dict[str, Any]
    result: diffrax.RESULTS


def rollout(
    lagrangian: Callable,
    q0: Configuration,
    v0: Velocity,
    *,
    ts: Float[FloatArray, " times"],
    dt: float | None = None,
    solver: diffrax.AbstractSolver = diffrax.Tsit5(),
    linear_solver: lx.AbstractLinearSolver = lx.LU(),
    throw: bool = True,
    **diffeqsolve_options: Any,
) -> Trajectory:
    """Solves the equations of motion of a Lagrangian from `(q0, v0)` at `ts[0]`.

    A thin layer over `diffrax.diffeqsolve`. Solvers with an error estimate choose their steps at a
    tolerance of 1e-8 (ten rounding errors in float32) relative to the motion: the error of a component
    of q or v in one step is at most that part of its largest change since the start. So the unit of no
    coordinate counts, nor that of time, nor where the origin is. Solvers without an error estimate, such
    as [`noetherax.RK4`][], and variational ones step exactly from each time in `ts` to the next; with
    `dt`, any solver divides these intervals into equal steps no longer than that. There is no limit
    on the number of steps unless you pass `max_steps`; steps chosen by a controller need it for
    reverse-mode differentiation. A rollout ends where a motion becomes singular: where a chosen step
    that is as small as time resolves is still rejected, and where a mass matrix that was definite at
    the start is no longer so, whatever the step.

    A variational solver such as [`noetherax.VariationalMidpoint`][] moves (q, p): p = ∂L/∂v is taken
    once, at the start, and v found again at the saved times only. With a `stepsize_controller` of your
    own it also steps on every time in `ts`, since between its steps charges are only interpolated.

    Times count from `ts[0]` inside, so that their steps are exact also where times themselves are
    rounded, as Julian dates are in float32. With `event`, `saveat` or `stepsize_controller`, which see
    times, they are as given.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q0`, `v0`: the state at `ts[0]`, shape `(points, space)`.
    - `ts`: times to save at, at least two, strictly increasing or, to go back in time, decreasing.
    - `dt`: largest step, positive; steps are fixed if it is given.
    - `solver`: any Diffrax solver of ordinary differential equations.
    - `linear_solver`: Lineax solver for the mass matrix, as in [`noetherax.acceleration`][];
        variational solvers do not use it.
    - `throw`: raise if the solve fails or leaves the finite numbers; otherwise `result` says so.
    - further options go to `diffrax.diffeqsolve`: `stepsize_controller`, `adjoint`, `event`, `saveat`
        (of states at times), `max_steps`, `progress_meter`, `dt0`. What they see as the state is (q, v),
        or (q, p, v) with variational solvers, where that v is an estimate.

    **Returns:**

    A [`noetherax.Trajectory`][]. After a failure its entries are not finite from there on.

    **Raises:**

    `ValueError` or `TypeError` for states, times and options that are wrong; `RuntimeError` as `throw`
    says. A `UserWarning` where float32 rounds the positions or times of a motion visibly.
    """
    check_state(q0, v0)
    if not callable(lagrangian):
        raise TypeError(
            f"lagrangian must be a function (q, v) -> scalar, but it is {lagrangian!r}."
        )
    check_options(solver, linear_solver, dt, diffeqsolve_options)
    q0, v0 = jnp.asarray(q0), jnp.asarray(v0)
    given = in_precision(diffeqsolve_options, q0.dtype)
    absolute = not given.keys().isdisjoint(("event", "saveat", "stepsize_controller"))
    times = plan_times(ts, dt, q0.dtype, absolute)

    variational = isinstance(solver, VariationalSolver)
    if variational and q0.dtype != jnp.float64:
        warnings.warn(SINGLE, stacklevel=2)

    with jax.default_matmul_precision(PRECISION):
        start = _regular_at(lagrangian, q0, v0)
        regular = start.regular | (not variational and not linear_solver.assume_full_rank())
        if throw:
            q0 = eqx.error_if(q0, ~start.finite, f"At the initial state: {NOT_FINITE}")
            q0 = eqx.error_if(q0, start.finite & ~regular, f"At the initial state: {SINGULAR}")
        options = _options(solver, times, start, (q0, v0), dt, given)
        t0, t1 = times.save[0], times.save[-1]
        if variational:
            motion = _solve_variational(lagrangian, solver, t0, t1, (q0, v0), options)
        else:
            field = linear_solver, start.definite
            motion = _solve(lagrangian, field, solver, t0, t1, (q0, v0), options)
    q, v, *p = motion.state
    finite = jnp.all(jnp.isfinite(q) & jnp.isfinite(v), axis=(1, 2))
    unused = jnp.isinf(motion.ts)  # Diffrax pads what SaveAt(steps=True) does not need
    failed = (motion.result == diffrax.RESULTS.successful) & ~jnp.all(finite | unused)
    nonfinite = diffrax.RESULTS.promote(optx.RESULTS.nonfinite)
    singular = diffrax.RESULTS.promote(lx.RESULTS.singular)
    result = diffrax.RESULTS.where(failed, nonfinite, motion.result)
    result = diffrax.RESULTS.where(regular, result, singular)
    result = diffrax.RESULTS.where(start.finite, result, nonfinite)
    shown = motion.ts if absolute else jnp.where(unused, motion.ts, times.shown)
    trajectory = Trajectory(shown, q, v, p[0] if p else None, motion.stats, result)

    known = not isinstance(trajectory.q, Tracer)
    if known:
        _warn_of_rounding(trajectory)
    if throw:
        ends = result == diffrax.RESULTS.dt_min_reached
        message = ENDS
        if known and ends and motion.last is not None:
            when = float(motion.last[0]) + (0.0 if absolute else float(times.shown[0]))
            message = _cause(start, _regular_at(lagrangian, *motion.last[1]), when)
        trajectory = eqx.error_if(trajectory, ends, message)
        if variational:
            diverged = result == diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence)
            trajectory = eqx.error_if(trajectory, diverged, TOO_LARGE)
        leaves = result == nonfinite
        trajectory = eqx.error_if(trajectory, leaves, _where_lost(trajectory) if known else LEAVES)
        okay = diffrax.is_okay(result)
        trajectory = result.error_if(trajectory, jnp.invert(okay))
    return trajectory


class _Start(NamedTuple):
    """What is known of the equations of motion at a state.

    - `finite`, `regular`: whether they are finite, and their matrix has an inverse.
    - `definite`: 1 if the mass matrix is positive definite, −1 if negative definite, else 0.
    - `mass_matrix`, and the `units` in which its rows are of order one.
    - `a`: the acceleration.
    """

    finite: Bool[Array, ""]
    regular: Bool[Array, ""]
    definite: Array
    mass_matrix: Float[Array, "n n"]
    units: Float[Array, " n"]
    a: Float[Array, " n"]


class _Motion(NamedTuple):
    """A solution at the saved times, and its `last` accepted (t, (q, v)), where that is kept."""

    ts: Float[Array, " times"]
    state: tuple
    last: tuple | None
    stats: dict[str, Any]
    result: diffrax.RESULTS


@eqx.filter_jit
def _regular_at(lagrangian, q, v) -> _Start:
    terms = euler_lagrange_terms(lagrangian, q, v)
    finite, regular = is_finite(terms), is_regular(terms.mass_matrix)
    balanced, units = equilibrate(terms.mass_matrix)
    values = jnp.linalg.eigvalsh(balanced)
    sign = jnp.where(values[0] > 0, 1, jnp.where(values[-1] < 0, -1, 0))
    a, _ = solve_terms(terms)
    return _Start(finite, regular, jnp.where(regular, sign, 0), terms.mass_matrix, units, a)


@eqx.filter_jit
def _solve(lagrangian, field, solver, t0, t1, state, options) -> _Motion:
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_vector_field),
        solver,
        t0=t0,
        t1=t1,
        y0=state,
        args=(lagrangian, *field),
        **options,
    )
    return _motion(solution)


@eqx.filter_jit
def _solve_variational(lagrangian, solver, t0, t1, state, options) -> _Motion:
    """As `_solve`, with (q, v, p) at the saved times."""
    q, v = state
    term = LagrangianTerm(lagrangian)
    start = (q, momentum(lagrangian, q, v), v)
    solution = diffrax.diffeqsolve(term, solver, t0=t0, t1=t1, y0=start, **options)
    motion = _motion(solution)
    q, p, guess = motion.state
    v = jax.vmap(lambda q, p, guess: velocity(term, t0, q, p, guess))(q, p, guess)
    return motion._replace(state=(q, v, p))


def _motion(solution: diffrax.Solution) -> _Motion:
    assert solution.ts is not None  # SaveAt saves something
    assert solution.ys is not None
    if isinstance(solution.ts, tuple):
        (ts, last), (state, (q, *_, v)) = solution.ts, solution.ys
        end = (last[0], (q[0], v[0]))
    else:
        ts, state, end = solution.ts, solution.ys, None
    return _Motion(ts, state, end, solution.stats, solution.result)


def _options(solver, times, start: _Start, state, dt, given: dict[str, Any]) -> dict[str, Any]:
    """The options of Diffrax: those given, and defaults."""
    q, v = state
    epsilon = float(jnp.finfo(q.dtype).eps)
    first, last = jax.lax.stop_gradient((times.save[0], times.save[-1]))
    smallest = ROUNDINGS * epsilon * jnp.maximum(jnp.abs(first), jnp.abs(last))
    options: dict[str, Any] = {"dt0": None, "max_steps": None} | given
    subs: Any = diffrax.SubSaveAt(ts=times.save)
    if "saveat" in given:
        subs = given["saveat"].subs

    if not chosen_steps(solver, dt, given):
        controller = given.get("stepsize_controller", diffrax.StepTo(times.grid))
        options["max_steps"] = given.get("max_steps") or len(controller.ts) - 1
    elif "stepsize_controller" in given:
        controller = given["stepsize_controller"]
    else:
        size = jnp.maximum(jnp.max(jnp.abs(q)), jnp.max(jnp.abs(v)))
        floor = epsilon * jax.lax.stop_gradient(size) + float(jnp.finfo(q.dtype).tiny)
        rtol = max(TOLERANCE, ROUNDINGS * epsilon)
        relative = functools.partial(RelativeController, rtol, jnp.abs(last - first), floor)
        units = jax.lax.stop_gradient(start.units).astype(q.dtype).reshape(q.shape)
        controller = relative(StateRounding(units))
        if isinstance(given.get("adjoint"), diffrax.BacksolveAdjoint):
            # On the way back the state has parts that are no positions or velocities.
            back = {"stepsize_controller": EndingController(relative(), smallest)}
            options["adjoint"] = diffrax.BacksolveAdjoint(**(back | given["adjoint"].kwargs))
    if isinstance(controller, diffrax.AbstractAdaptiveStepSizeController):
        if isinstance(solver, VariationalSolver):
            controller = diffrax.ClipStepSizeController(controller, step_ts=times.save)
        controller = EndingController(controller, smallest)
    if not isinstance(given.get("adjoint"), diffrax.BacksolveAdjoint):  # it saves in one way only
        subs = (subs, diffrax.SubSaveAt(t1=True))
    saveat = diffrax.SaveAt(subs=subs)
    return options | {"stepsize_controller": controller, "saveat": saveat, "throw": False}


def _vector_field(t, state, args):
    q, v = state
    lagrangian, linear_solver, definite = args

    def solve(terms):
        a, resolved = solve_terms(terms, linear_solver)
        work = a * terms.force
        definite_work = definite.astype(work.dtype) * jnp.sum(work)
        return a, resolved & (definite_work >= -UNPHYSICAL * jnp.sum(jnp.abs(work)))

    a, resolved = solve_motion(lagrangian, q, v, solve)
    return v, jnp.where(resolved, a, jnp.nan).reshape(v.shape).astype(v.dtype)


def _cause(start: _Start, now: _Start, when: float) -> str:
    """Why a motion ends, from what is known where it starts and where it is last."""
    units = np.asarray(start.units, np.float64)
    before, after = (
        np.asarray(x.mass_matrix, np.float64) / np.outer(units, units) for x in (start, now)
    )
    message = (
        f"The motion becomes singular at t = {when:.9g}: the smallest steps are still rejected. "
    )
    if not now.finite:
        return message + NOT_FINITE
    part = np.linalg.svd(after, compute_uv=False)[-1] / np.linalg.svd(before, compute_uv=False)[-1]
    sizes = [np.linalg.norm(units * np.asarray(x.a, np.float64)) for x in (start, now)]
    if part < VANISHED or not now.regular:
        message += (
            f"There the mass matrix ∂²L/∂v² becomes singular: its smallest singular value fell to {part:.2g} "
            "of that at the start."
        )
    else:
        message += (
            "There the mass matrix is regular, but the force is not: the acceleration, weighted with "
            f"masses, was {sizes[0]:.3g} at the start and is {sizes[1]:.3g}, as in a collision."
        )
    return (
        message
        + " Let ts end before, or stop with event=; with throw=False you get what is before."
    )


def _where_lost(trajectory: Trajectory) -> str:
    finite = np.all(np.isfinite(np.concatenate([trajectory.q, trajectory.v], axis=-1)), axis=(1, 2))
    count = int(np.argmin(finite))
    ts = np.asarray(trajectory.ts)
    return (
        LEAVES if not count else f"{LEAVES} That was between t = {ts[count - 1]} and {ts[count]}."
    )


def _warn_of_rounding(trajectory: Trajectory) -> None:
    """Says that positions are too far from the origin for the precision of the state."""
    q, v, ts = (np.asarray(x, np.float64) for x in (trajectory.q, trajectory.v, trajectory.ts))
    good = np.isfinite(ts) & np.all(np.isfinite(q) & np.isfinite(v), axis=(1, 2))
    if not np.any(good):
        return
    q, v, ts = q[good], v[good], ts[good]
    moved = np.max(np.abs(q - q[0]), axis=(0, 1))
    ahead = np.max(np.abs(v), axis=(0, 1)) * abs(ts[-1] - ts[0])
    moved = np.where(moved > 0, moved, ahead)
    rounding = float(jnp.finfo(trajectory.q.dtype).eps) * np.max(np.abs(q), axis=(0, 1))
    if np.any((rounding > COARSE * moved) & (moved > 0)):
        axis = int(np.argmax(np.where(moved > 0, rounding / np.where(moved > 0, moved, 1), 0)))
        warnings.warn(
            f"Positions near {np.max(np.abs(q[..., axis])):.3g} on axis {axis} are known to "
            f"{rounding[axis]:.2g} only in {trajectory.q.dtype}, but the motion covers "
            f"{moved[axis]:.2g}. Take positions from a nearer origin, or float64.",
            stacklevel=3,
        )


def drift(
    charge: Callable, trajectory: Trajectory, *, scale: float | Float[FloatArray, ""] | None = None
) -> Float[Array, " times"]:
    """Relative change of a conserved quantity along a trajectory,

        ‖I(t) − I(0)‖₂ / ‖I(0)‖₂    (Müller 2023, Eq. 35).

    **Arguments:**

    - `charge`: a [`noetherax.NoetherCharge`][] or any function `(q, v, t) -> array`.
    - `trajectory`: from [`noetherax.rollout`][].
    - `scale`: what to divide by instead of ‖I(0)‖, for a charge that vanishes at the start.

    **Returns:**

    The drift at each time, shape `(times,)`.

    **Raises:**

    `RuntimeError` (through `equinox.error_if`) if the charge vanishes at the start and there is no
    `scale`.
    """
    values = charge_along(charge, trajectory)
    values = values.reshape(len(values), -1)
    if not values.shape[1]:
        raise ValueError("There is no charge to measure: the group has no generators.")
    change = jnp.linalg.norm(values - values[0], axis=-1)
    if scale is None:
        start = jnp.linalg.norm(values[0])
        start = eqx.error_if(
            start,
            start == 0,
            "The charge is zero at the start, so its relative drift is undefined. Pass scale=, for "
            "example the size of one particle's share.",
        )
    else:
        start = jnp.asarray(scale, values.dtype)
        start = eqx.error_if(start, ~(start > 0), "scale must be positive.")
    return change / start


@singledispatch
def charge_along(charge: Callable, trajectory: Trajectory) -> Float[Array, "times ..."]:
    """A charge at every time of a trajectory, `(times, charges)`."""
    return jax.vmap(charge)(trajectory.q, trajectory.v, trajectory.ts)


@charge_along.register
def _(charge: MomentumMap, trajectory: Trajectory):
    if trajectory.p is None:
        return jax.vmap(charge)(trajectory.q, trajectory.v, trajectory.ts)
    return jax.vmap(charge.at_momentum)(trajectory.q, trajectory.p, trajectory.ts)


__all__ = ["Trajectory", "charge_along", "drift", "rollout"]
