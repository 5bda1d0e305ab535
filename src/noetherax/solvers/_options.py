"""What `rollout` passes on to Diffrax, and what it cannot pass on."""

import functools
import inspect
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer

from ..forces import just_before
from ._adjoint import StoringAdjoint
from ._control import RESOLVED, ROUNDINGS, EndingController, RelativeController, StateRounding
from ._formulation import check_formulated, is_formulated, keeps_charges
from ._step_to_next import StepToNext
from ._times import Times

TOLERANCE = 1e-8
"""Tolerance of error-estimating solvers relative to the motion, where the precision allows it."""

HIGH_ORDER, FINE_TOLERANCE = 7, 1e-12
"""The same from this order on, where a step may be long and still be so exact: it takes half as many
steps as order five does for 1e-8."""

NEAR = 8.0
"""Roundings of time within which a jump is at the end of a step."""

KINDS = {
    "solver": (diffrax.AbstractSolver, "a Diffrax solver", "nx.RK4() or diffrax.Dopri8()"),
    "linear_solver": (lx.AbstractLinearSolver, "a Lineax solver", "lineax.LU()"),
    "stepsize_controller": (
        diffrax.AbstractStepSizeController,
        "a step-size controller of Diffrax",
        "diffrax.PIDController(rtol=1e-6, atol=1e-9)",
    ),
    "adjoint": (diffrax.AbstractAdjoint, "an adjoint of Diffrax", "diffrax.ForwardMode()"),
    "event": (diffrax.Event, "a Diffrax event", "diffrax.Event(condition)"),
    "saveat": (diffrax.SaveAt, "a SaveAt of Diffrax", "diffrax.SaveAt(t1=True)"),
    "progress_meter": (
        diffrax.AbstractProgressMeter,
        "a progress meter of Diffrax",
        "diffrax.TqdmProgressMeter()",
    ),
}
"""Options by the kind of thing they must be, with an example."""

OTHERS = ("dt0", "max_steps")

INSTEAD = {
    "rtol": "stepsize_controller=diffrax.PIDController(rtol=…, atol=…)",
    "atol": "stepsize_controller=diffrax.PIDController(rtol=…, atol=…)",
    "tol": "stepsize_controller=diffrax.PIDController(rtol=…, atol=…)",
    "t0": "ts, whose first time is that of the initial state",
    "t1": "ts, whose last time ends the motion",
    "y0": "q0 and v0",
    "args": "a Lagrangian that holds them: fields of a class, or functools.partial",
    "discrete_terminating_event": "event=diffrax.Event(…)",
}
"""What to pass for options that there are elsewhere."""


def check_options(solver, linear_solver, dt, options: dict[str, Any]) -> None:
    """Raises a `TypeError` or `ValueError` that names the option that `rollout` cannot pass on."""
    for name, option in {"solver": solver, "linear_solver": linear_solver, **options}.items():
        if name in KINDS:
            _check_kind(name, option)
        elif name not in OTHERS:
            known = ", ".join(sorted({*KINDS, *OTHERS} - {"solver", "linear_solver"}))
            advice = INSTEAD.get(name)
            raise TypeError(
                f"rollout has no option {name}=. "
                + (f"Pass {advice}. " if advice else "")
                + f"What goes on to Diffrax: {known}."
            )
    check_formulated(solver)
    _check_steps(solver, dt, options)
    if "saveat" in options:
        _check_saveat(options["saveat"], chosen_steps(solver, dt, options), options)
    _check_adjoint(solver, dt, options)


def chosen_steps(solver, dt, options: dict[str, Any]) -> bool:
    """Whether a controller chooses the steps, so that their number is not known before."""
    if "stepsize_controller" in options:
        return not isinstance(options["stepsize_controller"], diffrax.StepTo)
    estimates = isinstance(solver, diffrax.AbstractAdaptiveSolver)
    return dt is None and estimates and not keeps_charges(solver)


def _check_kind(name: str, option) -> None:
    kind, words, example = KINDS[name]
    if isinstance(option, kind) or (name == "event" and option is None):
        return
    hint = ""
    if inspect.isclass(option) and issubclass(option, kind):
        hint = f" That is the class; an instance is {option.__name__}(…)."
    raise TypeError(f"{name} must be {words}, for example {example}, but it is {option!r}.{hint}")


def _check_steps(solver, dt, options: dict[str, Any]) -> None:
    controller, dt0 = options.get("stepsize_controller"), options.get("dt0")
    if dt is not None and controller is not None:
        raise ValueError(
            "dt fixes the steps and a stepsize_controller chooses them: pass one of the two. "
            "dt0= is the first step of a controller, PIDController(dtmax=) the largest."
        )
    if dt0 is not None and not chosen_steps(solver, dt, options):
        raise ValueError(
            "dt0 is the first step of a stepsize_controller, but here steps are fixed: pass dt, their "
            "largest size."
        )
    if dt0 is not None and not isinstance(dt0, Tracer):
        number = np.asarray(dt0)
        if number.ndim or number.dtype == bool or not np.isfinite(number) or number == 0:
            raise ValueError(f"dt0 must be a finite number other than zero, but it is {dt0!r}.")
    most = options.get("max_steps")
    whole = isinstance(most, int | np.integer) and not isinstance(most, bool)
    if most is not None and not (whole and most > 0):
        raise ValueError(f"max_steps must be a positive integer or None, but it is {most!r}.")


def _check_saveat(saveat: diffrax.SaveAt, chosen: bool, options: dict[str, Any]) -> None:
    """Raises a `ValueError` for what a [`noetherax.Trajectory`][] cannot hold."""
    advice = (
        "A Trajectory holds states (q, v) at times. Save those, SaveAt(ts=…), SaveAt(steps=True) or "
        "SaveAt(t1=True); for anything else call diffrax.diffeqsolve, with nx.LagrangianTerm and a "
        "variational solver or with a term of nx.acceleration."
    )
    for name in ("dense", "solver_state", "controller_state", "made_jump"):
        if getattr(saveat, name):
            raise ValueError(f"saveat=SaveAt({name}=True) is not for rollout. {advice}")
    if saveat.subs is None:
        raise ValueError(f"saveat=SaveAt() saves nothing. {advice}")
    if not isinstance(saveat.subs, diffrax.SubSaveAt):
        raise ValueError(f"saveat=SaveAt(subs=…) of several parts is not for rollout. {advice}")
    if saveat.subs.fn is not diffrax.SubSaveAt(t1=True).fn:
        raise ValueError(
            f"saveat=SaveAt(fn=…) is not for rollout: apply the function to the q, v and ts of the "
            f"Trajectory, with jax.vmap. {advice}"
        )
    if saveat.subs.steps and chosen and options.get("max_steps") is None:
        raise ValueError(
            "saveat=SaveAt(steps=True) needs max_steps where the number of steps is not known before: "
            "memory is set aside for all of them."
        )


def _check_adjoint(solver, dt, options: dict[str, Any]) -> None:
    adjoint = options.get("adjoint")
    if isinstance(adjoint, diffrax.ImplicitAdjoint):
        raise ValueError(
            "ImplicitAdjoint is for steady states, which conservative motion does not reach. Leave "
            "adjoint out, or pass diffrax.ForwardMode() or diffrax.DirectAdjoint()."
        )
    if not isinstance(adjoint, diffrax.BacksolveAdjoint):
        return
    advice = (
        "The default adjoint differentiates the very steps that were taken: leave adjoint out "
        "(with max_steps, where a stepsize_controller chooses)."
    )
    if is_formulated(solver):
        raise ValueError(
            "BacksolveAdjoint integrates an equation for the sensitivities with the same solver, which "
            "a variational solver cannot, nor any other with a formulation of its own: it moves the "
            f"state of a Lagrangian alone. {advice}"
        )
    if not chosen_steps(solver, dt, options):
        raise ValueError(
            "BacksolveAdjoint chooses steps of its own on the way back, but here they are fixed in "
            f"advance. {advice} Or pass a solver with an error estimate and no dt."
        )


def in_precision(options: dict[str, Any], dtype) -> dict[str, Any]:
    """The options with all their times in the precision of the state."""

    def cast(x):
        array = isinstance(x, jax.Array | np.ndarray)
        return jnp.asarray(x, dtype) if array and jnp.issubdtype(x.dtype, jnp.floating) else x

    names = ("stepsize_controller", "saveat")
    timed = {name: jax.tree.map(cast, options[name]) for name in names if name in options}
    if options.get("dt0") is not None:
        timed["dt0"] = jnp.asarray(options["dt0"], dtype)
    if options.get("max_steps") is not None:
        timed["max_steps"] = int(options["max_steps"])
    return options | timed


def diffrax_options(
    solver,
    times: Times,
    state,
    units,
    dt,
    given: dict[str, Any],
    jumps: Any = None,
    clock: Any = None,
) -> dict[str, Any]:
    """The options of `diffrax.diffeqsolve`: those given, and defaults.

    - `state`, `units`: (q, v) at the start, and the units of its coordinates.
    - `jumps`: times at which inputs jump, or `None`.
    - `clock`: the time that the law sees at t = 0, or `None` where it sees none.
    """
    q, v = state
    epsilon = float(jnp.finfo(q.dtype).eps)
    first, last = jax.lax.stop_gradient((times.save[0], times.save[-1]))
    smallest = ROUNDINGS * epsilon * jnp.maximum(jnp.abs(first), jnp.abs(last))
    options: dict[str, Any] = {"dt0": None, "max_steps": None} | given
    subs: Any = diffrax.SubSaveAt(ts=times.save)
    if "saveat" in given:
        subs = given["saveat"].subs

    back = None
    if not chosen_steps(solver, dt, given):
        controller = given.get("stepsize_controller")
        if controller is not None:
            _check_ends(controller.ts, jumps)
        else:
            inside = keeps_charges(solver)
            plain = diffrax.StepTo(times.grid)
            controller = plain if jumps is None else _ending_at(times.grid, jumps, inside)
        options["max_steps"] = given.get("max_steps") or len(controller.ts) - 1
    elif "stepsize_controller" in given:
        controller = back = given["stepsize_controller"]
        if jumps is not None and isinstance(controller, diffrax.ConstantStepSize):
            raise ValueError(
                "Inputs jump, and steps of ConstantStepSize would go across, with an error of first "
                "order. Pass dt= instead: such steps end at jumps."
            )
    else:
        size = jnp.maximum(jnp.max(jnp.abs(q)), jnp.max(jnp.abs(v)))
        floor = epsilon * jax.lax.stop_gradient(size) + float(jnp.finfo(q.dtype).tiny)
        rtol = max(_tolerance(solver), RESOLVED * epsilon)
        span = jnp.abs(last - first)
        relative = functools.partial(RelativeController, rtol, span, floor, clock=clock)
        units = jax.lax.stop_gradient(units).astype(q.dtype).reshape(q.shape)
        # Of another state than (q, v) nothing is known but its entries.
        controller = relative(None if is_formulated(solver) else StateRounding(units))
        # On the way back the state has parts that are no positions or velocities.
        back = relative()
    if isinstance(controller, diffrax.AbstractAdaptiveStepSizeController):
        if keeps_charges(solver):
            ends = times.save
            if jumps is not None:
                low, high = jnp.minimum(first, last), jnp.maximum(first, last)
                ends = jnp.sort(jnp.concatenate([ends, jnp.clip(jumps, low, high)]))
                ends = jnp.where(first < last, ends, ends[::-1])
            controller = diffrax.ClipStepSizeController(controller, step_ts=ends)
        elif jumps is not None:
            controller = _stopping_at(controller, jumps, first < last)
        controller = EndingController(controller, smallest)
    adjoint = options.get("adjoint")
    if isinstance(adjoint, diffrax.DirectAdjoint) and back is not None:
        options["adjoint"] = adjoint if options["max_steps"] is None else StoringAdjoint()
    if isinstance(adjoint, diffrax.BacksolveAdjoint):
        if isinstance(back, diffrax.AbstractAdaptiveStepSizeController):
            back = EndingController(_stopping_at(back, jumps, first > last), smallest)
        # A way back that fails can only say so by an error: the result is that of the motion.
        own = {"stepsize_controller": back, "throw": True}
        options["adjoint"] = diffrax.BacksolveAdjoint(**(own | adjoint.kwargs))
    if given.get("event") is not None:
        options["event"] = _event_in_time(given["event"], jnp.where(first < last, 1, -1))
    if not isinstance(given.get("adjoint"), diffrax.BacksolveAdjoint):  # it saves in one way only
        subs = (subs, diffrax.SubSaveAt(t1=True))
    saveat = diffrax.SaveAt(subs=subs)
    return options | {"stepsize_controller": controller, "saveat": saveat, "throw": False}


def _stopping_at(controller, jumps, forward):
    """Steps that end at jumps. Going back, Diffrax counts −t, and takes jumps in that order."""
    if jumps is None:
        return controller
    ordered = jnp.where(forward, jumps, jumps[::-1])
    return diffrax.ClipStepSizeController(controller, jump_ts=ordered)


def _tolerance(solver: diffrax.AbstractSolver) -> float:
    order = solver.order(diffrax.ODETerm(lambda t, y, args: y))
    return TOLERANCE if order is None or order < HIGH_ORDER else FINE_TOLERANCE


def _ending_at(grid, jumps, inside: bool) -> diffrax.StepTo | StepToNext:
    """Fixed steps that end at each jump. Solvers that evaluate the ends of a step would see one value
    on both sides: theirs end just before it, too. Variational ones evaluate states `inside` a step."""
    if not inside and (isinstance(grid, Tracer) or isinstance(jumps, Tracer)):
        grid, jumps = jnp.asarray(grid), jnp.asarray(jumps)
        low, high = jnp.minimum(grid[0], grid[-1]), jnp.maximum(grid[0], grid[-1])
        before = jumps + (just_before(jax.lax.stop_gradient(jumps)) - jax.lax.stop_gradient(jumps))
        added = jnp.concatenate([jumps, before])
        added = jnp.where((low < added) & (added < high), added, grid[0])
        # Jumps first: a step that ends at one moves with it, and not with a time that is the same.
        return StepToNext(jnp.concatenate([added, grid]))
    if isinstance(grid, Tracer) or isinstance(jumps, Tracer):
        grid = eqx.error_if(
            grid,
            jnp.any(_apart(jnp, grid, jumps)),
            "Inputs of the kind 'hold' jump within a step, whose error is then of first order. Where "
            "ts or the times of the inputs are not known outside jax.jit, ts must have all times at "
            "which they jump. Close over both, and steps end there by themselves.",
        )
        return diffrax.StepTo(_moving_with(grid, jumps))
    steps, jumps = np.asarray(grid), np.asarray(jumps)
    added = jumps[_apart(np, steps, jumps)]
    if not inside:
        within = jumps[(jumps > steps.min()) & (jumps < steps.max())]
        added = np.concatenate([within, just_before(within)])
    ends = np.unique(np.concatenate([steps, added]))
    return diffrax.StepTo(jnp.asarray(ends if steps[0] < steps[-1] else ends[::-1]))


def _moving_with(grid, jumps):
    """The ends of steps. Those between the first and the last at which inputs jump move with the time
    of the jump, and no longer with a saved time that is the same: that is read off the step."""
    grid, jumps = jnp.asarray(grid), jnp.asarray(jumps)
    after = jnp.minimum(jnp.searchsorted(jumps, grid), len(jumps) - 1)
    before = jnp.maximum(after - 1, 0)
    nearer = jnp.abs(jumps[before] - grid) < jnp.abs(jumps[after] - grid)
    nearest = jumps[jnp.where(nearer, before, after)]
    there = jax.lax.stop_gradient(jnp.abs(grid - nearest)) <= _rounding_of(jnp, grid)
    there = there.at[jnp.array([0, -1])].set(False)
    now = jax.lax.stop_gradient(grid)
    return jnp.where(there, now + (nearest - jax.lax.stop_gradient(nearest)), grid)


def _check_ends(grid, jumps) -> None:
    """Raises where inputs jump within a step that the user has fixed."""
    if jumps is None or isinstance(grid, Tracer) or isinstance(jumps, Tracer):
        return
    apart = jumps[_apart(np, np.asarray(grid), np.asarray(jumps))]
    if len(apart):
        raise ValueError(
            f"Inputs of the kind 'hold' jump at t = {apart[0]:.9g}, within a step of the StepTo that "
            "was given, whose error is then of first order. Give it all times at which they jump, or "
            "pass dt= in its place."
        )


def _apart(np_, grid, jumps):
    """Which jumps lie within the motion, and away from the end of any step, by more than rounding."""
    order = np_.sort(grid)
    rounding = _rounding_of(np_, grid)
    after = np_.clip(np_.searchsorted(order, jumps), 1, len(order) - 1)
    distance = np_.minimum(np_.abs(jumps - order[after - 1]), np_.abs(order[after] - jumps))
    return (jumps > order[0]) & (jumps < order[-1]) & (distance > rounding)


def _rounding_of(np_, grid):
    """How far times may be apart and be the same."""
    return NEAR * np_.finfo(grid.dtype).eps * np_.max(np_.abs(grid))


def _event_in_time(event: diffrax.Event, direction) -> diffrax.Event:
    """The event with conditions of the time that the user knows: going back, Diffrax counts −t."""
    conditions = jax.tree.map(
        lambda condition: eqx.Partial(_at_time, condition, direction),
        event.cond_fn,
        is_leaf=callable,
    )
    return diffrax.Event(conditions, event.root_finder, event.direction)


def _at_time(condition, direction, t, y, args, **kwargs):
    return condition(direction.astype(t.dtype) * t, y, args, **kwargs)
