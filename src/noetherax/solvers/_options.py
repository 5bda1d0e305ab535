"""Which options `rollout` takes, and what it says to others."""

import inspect
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer

from ._formulation import check_formulated, is_formulated, keeps_charges

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
            check_kind(name, option)
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


def check_kind(name: str, option) -> None:
    """Raises a `TypeError` for an option that is not of its kind."""
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
