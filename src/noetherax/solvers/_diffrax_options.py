"""What `rollout` passes on to Diffrax: a controller of steps, an adjoint, what is saved, events."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from ._adjoint import StoringAdjoint
from ._control import RESOLVED, ROUNDINGS, EndingController, RelativeController, StateRounding
from ._formulation import is_formulated, keeps_charges
from ._options import chosen_steps
from ._step_ends import check_ends, ending_at
from ._times import Times

TOLERANCE = 1e-8
"""Tolerance of error-estimating solvers relative to the motion, where the precision allows it."""

HIGH_ORDER, FINE_TOLERANCE = 7, 1e-12
"""The same from this order on, where a step may be long and still be so exact: it takes half as many
steps as order five does for 1e-8."""


class _Choice(NamedTuple):
    """What chooses steps, on the way there and, for `diffrax.BacksolveAdjoint`, back."""

    there: diffrax.AbstractStepSizeController
    back: diffrax.AbstractStepSizeController


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
    forward = jax.lax.stop_gradient(times.save[0] < times.save[-1])
    options: dict[str, Any] = {"dt0": None, "max_steps": None} | given
    if chosen_steps(solver, dt, given):
        choice = _choice_of(solver, times, state, units, given, jumps, clock)
        options["stepsize_controller"] = choice.there
        options["adjoint"] = _adjoint_of(given.get("adjoint"), options["max_steps"], choice.back)
    else:
        controller = _fixed_steps(solver, times, given, jumps)
        options["stepsize_controller"] = controller
        options["max_steps"] = given.get("max_steps") or len(controller.ts) - 1
    if options.get("adjoint") is None:
        options.pop("adjoint", None)
    if given.get("event") is not None:
        options["event"] = _event_in_time(given["event"], jnp.where(forward, 1, -1))
    saved: Any = given["saveat"].subs if "saveat" in given else diffrax.SubSaveAt(ts=times.save)
    if not isinstance(given.get("adjoint"), diffrax.BacksolveAdjoint):  # it saves in one way only
        saved = (saved, diffrax.SubSaveAt(t1=True))
    return options | {"saveat": diffrax.SaveAt(subs=saved), "throw": False}


def _fixed_steps(solver, times: Times, given: dict[str, Any], jumps):
    controller = given.get("stepsize_controller")
    if controller is not None:
        check_ends(controller.ts, jumps)
        return controller
    if jumps is None:
        return diffrax.StepTo(times.grid)
    return ending_at(times.grid, jumps, keeps_charges(solver))


def _choice_of(solver, times: Times, state, units, given: dict[str, Any], jumps, clock) -> _Choice:
    first, last = jax.lax.stop_gradient((times.save[0], times.save[-1]))
    forward, q = first < last, state[0]
    smallest = jnp.maximum(jnp.abs(first), jnp.abs(last))
    smallest = ROUNDINGS * float(jnp.finfo(q.dtype).eps) * smallest
    choice = _plain_choice(solver, state, units, jnp.abs(last - first), given, clock)

    def ending(controller, clipped):
        adaptive = isinstance(controller, diffrax.AbstractAdaptiveStepSizeController)
        if not adaptive and jumps is not None:
            raise ValueError(
                f"Inputs jump, and steps of {type(controller).__name__} would go across, with an error "
                "of first order. Pass dt= instead: such steps end at jumps."
            )
        return EndingController(clipped(controller), smallest) if adaptive else controller

    def stopping(controller, forward):
        """Steps that end at jumps. Going back, Diffrax counts −t, and takes jumps in that order."""
        if jumps is None:
            return controller
        ordered = jnp.where(forward, jumps, jumps[::-1])
        return diffrax.ClipStepSizeController(controller, jump_ts=ordered)

    def on_all_that_is_saved(controller):
        ends = times.save
        if jumps is not None:
            low, high = jnp.minimum(first, last), jnp.maximum(first, last)
            ends = jnp.sort(jnp.concatenate([ends, jnp.clip(jumps, low, high)]))
            ends = jnp.where(forward, ends, ends[::-1])
        return diffrax.ClipStepSizeController(controller, step_ts=ends)

    saving = keeps_charges(solver)
    return _Choice(
        ending(choice.there, on_all_that_is_saved if saving else lambda x: stopping(x, forward)),
        ending(choice.back, lambda x: stopping(x, jnp.invert(forward))),
    )


def _plain_choice(solver, state, units, span, given: dict[str, Any], clock) -> _Choice:
    if "stepsize_controller" in given:
        return _Choice(given["stepsize_controller"], given["stepsize_controller"])
    q, v = state
    epsilon = float(jnp.finfo(q.dtype).eps)
    size = jnp.maximum(jnp.max(jnp.abs(q)), jnp.max(jnp.abs(v)))
    floor = epsilon * jax.lax.stop_gradient(size) + float(jnp.finfo(q.dtype).tiny)
    rtol = max(_tolerance(solver), RESOLVED * epsilon)
    units = jax.lax.stop_gradient(units).astype(q.dtype).reshape(q.shape)
    # Of another state than (q, v) nothing is known but its entries; the state on the way back has
    # parts that are no positions or velocities.
    rounding = None if is_formulated(solver) else StateRounding(units)
    return _Choice(
        RelativeController(rtol, span, floor, rounding, clock=clock),
        RelativeController(rtol, span, floor, clock=clock),
    )


def _tolerance(solver: diffrax.AbstractSolver) -> float:
    order = solver.order(diffrax.ODETerm(lambda t, y, args: y))
    return TOLERANCE if order is None or order < HIGH_ORDER else FINE_TOLERANCE


def _adjoint_of(adjoint, max_steps: int | None, back: diffrax.AbstractStepSizeController):
    """The way of differentiating where steps are chosen."""
    if isinstance(adjoint, diffrax.DirectAdjoint) and max_steps is not None:
        return StoringAdjoint()
    if isinstance(adjoint, diffrax.BacksolveAdjoint):
        # A way back that fails can only say so by an error: the result is that of the motion.
        own = {"stepsize_controller": back, "throw": True}
        return diffrax.BacksolveAdjoint(**(own | adjoint.kwargs))
    return adjoint


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
