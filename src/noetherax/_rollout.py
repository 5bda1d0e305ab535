"""Solutions of the Euler–Lagrange equations."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from ._integration import (
    accelerate_by,
    constant,
    equations_of_solver,
    motion_of,
    solve,
)
from ._precision import PRECISION
from ._programs import run
from ._trajectory import Trajectory
from ._types import Configuration, FloatArray, Velocity, check_state
from .dynamics import NOT_FINITE, SINGULAR, at_time, clock_of, depends_on_time, has_rule, known
from .forces import held_until, jumps_of, kinks_within, together
from .solvers import (
    ENDS,
    LEAVES,
    by_default,
    cause,
    check_options,
    chosen_steps,
    diffrax_options,
    equations_at,
    for_adjoint,
    in_precision,
    keeps_charges,
    plan_times,
    quadrature,
    warn_of_length,
    warn_of_rounding,
    where_lost,
)

TOO_LARGE = (
    "Newton's method found no solution of a variational step. The step is too large for this motion, "
    "or the mass matrix ∂²L/∂v² became singular on the way. Take a smaller dt, or let a "
    "stepsize_controller choose."
)

NO_JUMPS = (
    "BacksolveAdjoint has no derivative by the times at which inputs jump. The default adjoint has: "
    "leave adjoint out (with max_steps)."
)

SINGLE = (
    "Variational solvers keep charges to rounding, and in float32 rounding is 1e-7 in every step: the "
    "guarantee cannot be seen there. Use float64 (`jax.config.update('jax_enable_x64', True)`)."
)


def rollout(
    lagrangian: Callable,
    q0: Configuration,
    v0: Velocity,
    *,
    ts: Float[FloatArray, " times"],
    dt: float | None = None,
    solver: diffrax.AbstractSolver | None = None,
    linear_solver: lx.AbstractLinearSolver = lx.LU(),
    throw: bool = True,
    **diffeqsolve_options: Any,
) -> Trajectory:
    """Solves the equations of motion of a Lagrangian from `(q0, v0)` at `ts[0]`.

    A thin layer over `diffrax.diffeqsolve`. Solvers with an error estimate choose their steps so
    that the error of a component of q or v in one step is at most 1e-12 (below order 7, 1e-8; in
    float32, a tenth of a rounding) of the largest change of that component since the start. So
    neither the units of coordinates and time nor the place of the origin make a difference. Solvers
    without an error estimate, such as [`noetherax.RK4`][], and variational ones step exactly from
    each time in `ts` to the next; with `dt`, any solver divides these intervals into equal steps no
    longer than that. There is no limit on the number of steps unless you pass `max_steps`; steps
    chosen by a controller need it for reverse-mode differentiation. No controller sees a force whose
    range is shorter than its step: pass `dt` where a motion may fly past something small. A rollout
    ends where a motion becomes singular: where a chosen step that is as small as time resolves is
    still rejected, and where a mass matrix that was definite at the start is no longer so. Fixed
    steps may leap across a collision; the drift of the energy shows it.

    A variational solver such as [`noetherax.VariationalMidpoint`][] moves (q, p): p = ∂L/∂v is taken
    once, at the start, and v found again at the saved times only. With a `stepsize_controller` of your
    own it also steps on every time in `ts`, since between its steps charges are only interpolated.

    What drift of a charge to expect: on a Kepler orbit of eccentricity 0.3, to t = 100, the default
    keeps the angular momentum to 2e-10 in float64 and 1e-6 in float32, `RK4` with `dt=0.01` to 7e-10
    and 1e-7 with three and six times the evaluations, and variational solvers in float64 to some
    1e-14 at any step. `diffrax.Tsit5()` takes half the time in float64 and keeps it to 3e-7; choose
    it also where forces have kinks, which make small steps of any method.
    The page [Exact where?](../exact.md) has learned Lagrangians and longer times.

    Times count from `ts[0]` inside, so that their steps are exact also where times themselves are
    rounded, as Julian dates are in float32. With `event`, `saveat` or `stepsize_controller`, which see
    times, and with a model that depends on time, they are as given.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0]]), jnp.array([[0.0]])  # one point on a line, at rest
        path = nx.rollout(spring, q0, v0, ts=jnp.linspace(0.0, 2 * jnp.pi, 9))
        assert path.q.shape == (9, 1, 1)
        assert jnp.allclose(path.q[-1], q0, atol=1e-5)  # back after one period
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar` or
        `(q, v, t) -> scalar`, with forces ([`noetherax.Forced`][]) and inputs
        ([`noetherax.Driven`][]) or without.
    - `q0`, `v0`: the state at `ts[0]`, shape `(points, space)`.
    - `ts`: times to save at, at least two, strictly increasing or, to go back in time, decreasing.
    - `dt`: largest step, positive; steps are fixed if it is given.
    - `solver`: any Diffrax solver of ordinary differential equations with a single term; one that steps
        something else than (q, v) registers [`noetherax.solvers.formulate`][]. By default
        [`noetherax.Compensated`][] steps of `diffrax.Dopri8()`; of `diffrax.Tsit5()` in float32, where
        a method of higher order loses more to rounding, and at fixed steps.
    - `linear_solver`: Lineax solver for the mass matrix, as in [`noetherax.acceleration`][];
        variational solvers do not use it.
    - `throw`: raise if the solve fails or leaves the finite numbers; otherwise `result` says so.
    - further options go to `diffrax.diffeqsolve`: `stepsize_controller`, `adjoint`, `event`, `saveat`
        (of states at times), `max_steps`, `progress_meter`, `dt0`. What they see as the state is
        (q, v), or (q, p, v) with variational solvers, where that v is an estimate, or what the solver
        has registered. By default a motion has derivatives in reverse (`jax.grad`), with `max_steps`
        where steps are chosen. `adjoint=diffrax.ForwardMode()` gives those forward (`jax.jacfwd`), and
        `diffrax.DirectAdjoint()` both: it stores every one of `max_steps`.

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
    q0, v0 = jnp.asarray(q0), jnp.asarray(v0)
    solver = by_default(q0.dtype, dt) if solver is None else solver
    check_options(solver, linear_solver, dt, diffeqsolve_options)
    given = in_precision(diffeqsolve_options, q0.dtype)
    absolute = not given.keys().isdisjoint(("event", "saveat", "stepsize_controller"))
    absolute = absolute or depends_on_time(lagrangian)
    times = plan_times(ts, dt, q0.dtype, absolute)
    jumps = jumps_of(lagrangian)
    if isinstance(given.get("adjoint"), diffrax.BacksolveAdjoint):
        kinks = jax.lax.stop_gradient(kinks_within(lagrangian))
        jumps = together(eqxi.nondifferentiable(jumps, msg=NO_JUMPS), kinks)
    if jumps is not None:
        concrete = not isinstance(jumps, Tracer)
        jumps = np.asarray(jumps, q0.dtype) if concrete else jumps.astype(q0.dtype)
        end = jnp.maximum(times.save[0], times.save[-1])
        lagrangian = held_until(lagrangian, end)
    clock = clock_of(lagrangian)
    lagrangian = at_time(lagrangian, times.save[0])

    exact = keeps_charges(solver)
    if exact and q0.dtype != jnp.float64:
        warnings.warn(SINGLE, stacklevel=2)

    with jax.default_matmul_precision(PRECISION):
        # Whether a motion starts regularly is not known yet, and has no say in what is computed.
        uses = functools.partial(motion_of, solver, accelerate_by(linear_solver, jnp.array(1)))
        lagrangian = _strongly_typed(known(lagrangian, q0, v0, uses))
        law, *state = constant((lagrangian, q0, v0))
        start = run(equations_at, law, *state)
        regular = start.regular | (not exact and not linear_solver.assume_full_rank())
        if throw:
            q0 = _error_if(q0, ~start.finite, f"At the initial state: {NOT_FINITE}")
            q0 = _error_if(q0, start.finite & ~regular, f"At the initial state: {SINGULAR}")
        options = diffrax_options(solver, times, (q0, v0), start.units, dt, given, jumps, clock)
        t0, t1 = times.save[0], times.save[-1]
        endless = options["max_steps"] is None
        if endless and not any(isinstance(x, Tracer) for x in (start.a, *state, t1)):
            warn_of_length(start, state[0], state[1], times.save)
        solver = for_adjoint(solver, options.get("adjoint"))
        formulated = solver, lagrangian, (q0, v0), accelerate_by(linear_solver, start.definite)
        motion = run(solve, *formulated, t0, t1, options)
    q, v, p = motion.state
    nonfinite = diffrax.RESULTS.promote(optx.RESULTS.nonfinite)
    singular = diffrax.RESULTS.promote(lx.RESULTS.singular)
    result = diffrax.RESULTS.where(regular, motion.result, singular)
    result = diffrax.RESULTS.where(start.finite, result, nonfinite)
    shown = motion.ts if absolute else jnp.where(motion.unused, motion.ts, times.shown)
    fixed = has_rule(quadrature, type(solver)) and not chosen_steps(solver, dt, given)
    fixed = fixed and given.keys().isdisjoint(("event", "saveat", "stepsize_controller"))
    made_by: dict[str, Any] = {}
    if fixed:
        grid = options["stepsize_controller"].ts
        made_by = dict(solver=solver, steps=_steps_before(times.save, grid))
        made_by |= {} if jumps is None else dict(grid=grid)
    trajectory = Trajectory(shown, q, v, p, motion.stats, result, **made_by)

    concrete = not isinstance(trajectory.q, Tracer)
    if concrete:
        warn_of_rounding(trajectory)
    if throw:
        ends = result == diffrax.RESULTS.dt_min_reached
        message = ENDS
        if concrete and ends and motion.last is not None:
            when = float(motion.last[0]) + (0.0 if absolute else float(times.shown[0]))
            now = run(equations_of_solver, *formulated, *motion.last)
            message = cause(start, now, when, abs(float(t1 - t0)))
        trajectory = _error_if(trajectory, ends, message)
        if exact:
            diverged = result == diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence)
            trajectory = _error_if(trajectory, diverged, TOO_LARGE)
        leaves = result == nonfinite
        trajectory = _error_if(trajectory, leaves, where_lost(trajectory) if concrete else LEAVES)
        okay = diffrax.is_okay(result)
        if isinstance(okay, Tracer) or not okay:
            trajectory = result.error_if(trajectory, jnp.invert(okay))
    return trajectory


def _strongly_typed(tree):
    """The same with no weakly typed arrays, such as what `jax.grad` makes of a Python number: Diffrax's
    BacksolveAdjoint gives those a derivative of zero."""

    def strong(x):
        weak = getattr(x, "weak_type", False)
        return jax.lax.convert_element_type(x, x.dtype) if weak else x

    return jax.tree.map(strong, tree)


def _error_if(x, wrong, message: str):
    """As Equinox does, which compiles a program for every shape even if nothing is wrong."""
    fine = not isinstance(wrong, Tracer) and not np.any(wrong)
    return x if fine else eqx.error_if(x, wrong, message)


def _steps_before(save, grid) -> Int[Array, " times"]:
    """Steps from each saved time to the next, that to the first one being zero."""
    if isinstance(grid, Tracer) or isinstance(save, Tracer):
        forward = jnp.sign(grid[-1] - grid[0])
        return jnp.diff(jnp.searchsorted(forward * grid, forward * save), prepend=0)
    save, grid = np.asarray(save), np.asarray(grid)
    forward = np.sign(grid[-1] - grid[0])
    before = np.searchsorted(forward * grid, forward * save)
    return jnp.asarray(np.diff(before, prepend=0), jnp.int32)


__all__ = ["rollout"]
