"""Solutions of the Euler–Lagrange equations."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, final

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jax.core import Tracer
from jaxtyping import Array, Float

from ._programs import run
from ._types import PRECISION, Configuration, FloatArray, Velocity, check_state
from .dynamics import (
    SINGULAR,
    euler_lagrange_terms,
    is_regular,
    known,
    lagrangian_gradient,
    momentum,
    opened,
    solve_motion,
    solve_terms,
)
from .solvers import LagrangianTerm, VariationalSolver, velocity

TOLERANCE = 1e-8
"""Relative and absolute tolerance of error-estimating solvers, where the precision allows it."""

# Without its own `jit`, which would find what it traced before by the identity of functions.
_integrate = inspect.unwrap(diffrax.diffeqsolve)

TOO_LARGE = (
    "Newton's method found no solution of a variational step. The step is too large for this motion, "
    "or the mass matrix ∂²L/∂v² became singular on the way. Take a smaller dt, or let a "
    "stepsize_controller choose."
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
    - `p`: momenta of the same shape if the solver carries them, else `None`. They are ∂L/∂v of the
        Lagrangian that was integrated, and of no other.
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

    A thin layer over `diffrax.diffeqsolve`. Solvers with an error estimate choose their steps with a
    PID controller at a tolerance of 1e-8 (ten rounding errors in float32). Solvers without one, such
    as [`noetherax.RK4`][], and variational ones step exactly from each time in `ts` to the next; with
    `dt`, any solver divides these intervals into equal steps no longer than that. There is no limit
    on the number of steps unless you pass `max_steps`. Steps chosen by a controller need it for
    reverse-mode differentiation, and to stop where a model diverges and the steps shrink without end.

    A variational solver such as [`noetherax.VariationalMidpoint`][] moves (q, p): p = ∂L/∂v is taken
    once, at the start, and v found again at the saved times only. With a `stepsize_controller` of your
    own it also steps on every time in `ts`, since between its steps charges are only interpolated.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q0`, `v0`: the state at `ts[0]`, shape `(points, space)`.
    - `ts`: times to save at, strictly increasing, at least two.
    - `dt`: largest step; steps are fixed if it is given.
    - `solver`: any Diffrax solver of ordinary differential equations.
    - `linear_solver`: Lineax solver for the mass matrix, as in [`noetherax.acceleration`][];
        variational solvers do not use it.
    - `throw`: raise if the solve fails or leaves the finite numbers; otherwise `result` says so.
    - further options go to `diffrax.diffeqsolve` as they are (`stepsize_controller`, `adjoint`,
        `event`, `saveat`, `max_steps`, `progress_meter`, …). What they see as the state is (q, v), or
        (q, p, v) with variational solvers, where that v is an estimate.

    **Returns:**

    A [`noetherax.Trajectory`][]. After a failure its entries are not finite from there on.

    **Raises:**

    `ValueError` for states and times of the wrong shape; `RuntimeError` as `throw` says.
    """
    check_state(q0, v0)
    q0, v0 = jnp.asarray(q0), jnp.asarray(v0)
    grid, ts = _steps(ts, dt, q0.dtype)

    variational = isinstance(solver, VariationalSolver)
    if variational and q0.dtype != jnp.float64:
        warnings.warn(SINGLE, stacklevel=2)

    options: dict[str, Any] = {"saveat": diffrax.SaveAt(ts=ts)}
    # Below the resolution of time the solve has failed; without this it would go on for ever.
    smallest = 10 * jnp.finfo(q0.dtype).eps * jnp.maximum(jnp.abs(ts[0]), jnp.abs(ts[-1]))
    adaptive = isinstance(solver, diffrax.AbstractAdaptiveSolver) and not variational
    if dt is None and adaptive:
        tolerance = max(TOLERANCE, 10 * float(jnp.finfo(q0.dtype).eps))
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance, dtmin=smallest)
        options |= {"stepsize_controller": controller, "max_steps": None}
    else:
        options |= {"stepsize_controller": diffrax.StepTo(grid), "max_steps": len(grid) - 1}
    if variational:
        diffeqsolve_options = _stepping_on(ts, smallest, diffeqsolve_options)
    options |= diffeqsolve_options
    options = {"dt0": None} | options | {"throw": False}
    with jax.default_matmul_precision(PRECISION):
        lagrangian = known(lagrangian, q0, v0, _used)
        regular = run(_regular_at, lagrangian, q0, v0)
        if throw:
            q0 = eqx.error_if(q0, ~regular, f"At the initial state: {SINGULAR}")
        if variational:
            solution = run(_solve_variational, lagrangian, solver, ts[0], ts[-1], (q0, v0), options)
        else:
            solution = run(
                _solve, lagrangian, linear_solver, solver, ts[0], ts[-1], (q0, v0), options
            )
    assert solution.ys is not None  # SaveAt saves something
    assert solution.ts is not None
    q, v, *p = solution.ys
    finite = jnp.all(jnp.isfinite(q) & jnp.isfinite(v), axis=(1, 2))
    unused = jnp.isinf(solution.ts)  # Diffrax pads what SaveAt(steps=True) does not need
    failed = (solution.result == diffrax.RESULTS.successful) & ~jnp.all(finite | unused)
    nonfinite = diffrax.RESULTS.promote(optx.RESULTS.nonfinite)
    singular = diffrax.RESULTS.promote(lx.RESULTS.singular)
    result = diffrax.RESULTS.where(failed, nonfinite, solution.result)
    result = diffrax.RESULTS.where(regular, result, singular)
    trajectory = Trajectory(solution.ts, q, v, p[0] if p else None, solution.stats, result)
    if throw:
        if variational:
            diverged = result == diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence)
            trajectory = eqx.error_if(trajectory, diverged, TOO_LARGE)
        okay = diffrax.is_okay(result)
        trajectory = result.error_if(trajectory, jnp.invert(okay))
    return trajectory


def _used(lagrangian, q, v):
    """All that a rollout computes of a Lagrangian, whichever the solver."""
    return (
        euler_lagrange_terms(lagrangian, q, v),
        lagrangian_gradient(lagrangian, q, v),
        solve_motion(lagrangian, q, v, solve_terms)[0],
    )


def _regular_at(lagrangian, q, v):
    return is_regular(euler_lagrange_terms(opened(lagrangian), q, v).mass_matrix)


def _solve(lagrangian, linear_solver, solver, t0, t1, state, options) -> diffrax.Solution:
    return _integrate(
        diffrax.ODETerm(_vector_field),
        solver,
        t0=t0,
        t1=t1,
        y0=state,
        args=(opened(lagrangian), linear_solver),
        **options,
    )


def _solve_variational(lagrangian, solver, t0, t1, state, options) -> diffrax.Solution:
    """As `_solve`, with (q, v, p) at the saved times."""
    lagrangian = opened(lagrangian)
    q, v = state
    term = LagrangianTerm(lagrangian)
    start = (q, momentum(lagrangian, q, v), v)
    solution = _integrate(term, solver, t0=t0, t1=t1, y0=start, **options)
    assert solution.ys is not None
    q, p, guess = solution.ys
    v = jax.vmap(lambda q, p, guess: velocity(term, t0, q, p, guess))(q, p, guess)
    return eqx.tree_at(lambda solution: solution.ys, solution, (q, v, p))


def _stepping_on(ts, smallest, options: dict[str, Any]) -> dict[str, Any]:
    """Options in which an adaptive controller, if there is one, steps on all times to save."""
    controller = options.get("stepsize_controller")
    if not isinstance(controller, diffrax.AbstractAdaptiveStepSizeController):
        return options
    if isinstance(controller, diffrax.PIDController) and controller.dtmin is None:
        controller = eqx.tree_at(
            lambda c: c.dtmin, controller, smallest, is_leaf=lambda x: x is None
        )
    controller = diffrax.ClipStepSizeController(controller, step_ts=ts)
    return {"max_steps": None} | options | {"stepsize_controller": controller}


def _vector_field(t, state, args):
    q, v = state
    lagrangian, linear_solver = args
    a, resolved = solve_motion(lagrangian, q, v, lambda terms: solve_terms(terms, linear_solver))
    return v, jnp.where(resolved, a, jnp.nan).reshape(v.shape)


def _steps(ts, dt: float | None, dtype) -> tuple[Float[Array, " steps"], Float[Array, " times"]]:
    """The grid of fixed steps and the times to save, in the precision of the state."""
    if jnp.ndim(ts) != 1 or jnp.shape(ts)[0] < 2:
        raise ValueError(
            f"ts must be a vector of at least two times, but its shape is {jnp.shape(ts)}."
        )
    if isinstance(ts, Tracer):
        if dt is not None:
            raise ValueError(
                "With dt, ts must be known outside jax.jit: it sets the number of steps."
            )
        return ts.astype(dtype), ts.astype(dtype)
    times = np.asarray(ts, np.float64)
    if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        raise ValueError(f"ts must be finite and strictly increasing, but it is {times}.")
    grid = times
    if dt is not None:
        if not dt > 0:
            raise ValueError(f"dt must be positive, but it is {dt!r}.")
        # A hundredth of a step of slack, so that 0.1 = 10 × 0.01 takes ten steps, not eleven.
        counts = np.maximum(1, np.ceil(np.diff(times) / dt - 1e-2)).astype(int)
        parts = [
            np.linspace(start, stop, count, endpoint=False)
            for start, stop, count in zip(times[:-1], times[1:], counts, strict=True)
        ]
        grid = np.concatenate([*parts, times[-1:]])
    grid = grid.astype(dtype)
    if np.any(np.diff(grid) <= 0):
        raise ValueError(
            f"Steps of {np.diff(times).min() if dt is None else dt:.3g} near t = {times[-1]:.6g} are "
            f"below the resolution of {jnp.dtype(dtype).name}. Use float64 or a larger step."
        )
    return jnp.asarray(grid), jnp.asarray(times.astype(dtype))


__all__ = ["Trajectory", "rollout"]
