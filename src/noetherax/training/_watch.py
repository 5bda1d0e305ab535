"""A run that is watched: looks at data held out, reports to a callback, and an early end."""

from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._held_out import Watching
from ._history import median
from ._plan import Placement, Problem
from ._sharding import from_first_process, in_any_process, on_this_process
from ._steps import State
from ._validation import Report

LOOKS = 25
"""At the validation data in a run, where their number was not chosen: each costs some steps."""

REPORTS = 100
"""Calls of a callback in a run without validation data."""


class Found(NamedTuple):
    """What the looks so far have found; kept in checkpoints."""

    values: np.ndarray  # one for each member and look; NaN for those to come
    best: PyTree  # the parameters of the least


@final
class Watch:
    """Looks at a run at its start, after every so many steps, and at its end."""

    def __init__(self, watching: Watching, steps: int, members: tuple, problem: Problem, averaging):
        self.watching, self.steps, self.members = watching, steps, members
        self.problem, self.averaging = problem, averaging
        self.held_out: Any = watching.held_out
        held_out, callback = watching.held_out, watching.callback
        unwatched = held_out is None and callback is None
        usual = max(1, steps // (REPORTS if held_out is None else LOOKS))
        self.every: int = steps if unwatched else watching.every or usual
        self.found: Any = None
        self.stopped, self.reported = "", 0
        self.asked = ""  # why it ends, if the callback has asked for it
        if held_out is not None:
            values = np.full((*members, 1 - (-steps // self.every)), np.nan)
            self.found = Found(values, problem.parameters)

    @property
    def kept(self) -> tuple[Found, ...]:
        """What a checkpoint keeps of it."""
        return () if self.found is None else (self.found,)

    def go_on(self, step: int, kept: list[Any], asked: str) -> None:
        """Goes on from what a checkpoint kept; not at all where a callback has asked for the end and
        there still is one."""
        self.reported = step  # a callback has heard of it
        if self.watching.callback is not None:
            self.stopped = self.asked = asked
        if kept:
            self.found = Found(*kept[0])

    def room(self, step: int) -> int:
        """Steps until the next look."""
        return self.every - step % self.every

    def look(self, placement: Placement, state: State, losses: np.ndarray) -> None:
        """Looks, where a look is due: at weights that are better than those before, at whether it is
        time to stop, and at what the callback says."""
        step = int(state.step)
        if self.asked or (step % self.every and step != self.steps):
            return
        watching, weights = self.watching, None
        if self.found is not None:
            index = -(-step // self.every)
            if np.any(np.isnan(self.found.values[..., index])):
                weights = self._weights(placement, state)
                self._note(index, weights)
            self.stopped = self._run_out(index)
        if watching.callback is not None and self.reported < step:
            weights = self._weights(placement, state) if weights is None else weights
            stop = watching.callback(self._report(step, losses, weights))
            if stop is not None and not isinstance(stop, bool | np.bool_):
                raise TypeError(
                    "callback must return True to stop, and False or None to go on, but it returned "
                    f"{stop!r}."
                )
            if in_any_process(bool(stop)):
                self.stopped = self.asked = f"the callback asked for it at step {step}"
        self.reported = step

    def _weights(self, placement: Placement, state: State) -> PyTree:
        """A copy of the parameters that the run would return now: chunks reuse the buffers."""
        kept = state.average if self.averaging else state.parameters
        return jax.tree.map(jnp.copy, on_this_process(placement.weights, kept))

    def _model(self, parameters: PyTree) -> PyTree:
        return eqx.combine(parameters, self.problem.constants)

    def _note(self, index: int, weights: PyTree) -> None:
        values, best = self.found
        value = from_first_process(self.held_out.judge(self._model(weights)))
        value = np.asarray(value, float).reshape(self.members)
        value = np.where(np.isfinite(value), value, np.inf)
        least = np.min(values[..., :index], axis=-1, initial=np.inf)
        values[..., index] = value
        self.found = Found(values, either(value < least, weights, best))

    def _best(self) -> Any:
        """The look of the least loss, for each member."""
        values = self.found.values
        return np.argmin(np.where(np.isnan(values), np.inf, values), axis=-1)

    def _run_out(self, index: int) -> str:
        patience = self.held_out.patience
        if patience is None or np.any(index - self._best() < patience):
            return ""
        return f"no lower validation loss in {patience} looks"

    def _steps_of(self, looks: Any) -> Any:
        return np.minimum(looks * self.every, self.steps)

    def _report(self, step: int, losses: np.ndarray, weights: PyTree) -> Report:
        loss, found = median(losses[..., self.reported : step]), self.found
        if found is None:
            return Report(step, loss, None, None, self._model(weights))
        value = found.values[..., -(-step // self.every)][()]
        return Report(step, loss, value, self._steps_of(self._best())[()], self._model(weights))

    @property
    def shown(self) -> dict[str, str]:
        """What a progress bar shows of it."""
        if self.found is None or np.all(np.isnan(self.found.values)):
            return {}
        looks = np.sum(~np.isnan(self.found.values), axis=-1)
        return {"validation": f"{np.median(self.found.values[..., np.max(looks) - 1]):.3g}"}

    @property
    def validates(self) -> bool:
        """Whether weights are judged by data held out."""
        return self.found is not None

    @property
    def chooses(self) -> bool:
        """Whether other weights than the last ones may be returned."""
        return self.validates and self.held_out.best and bool(np.any(self._finite))

    def chosen(self, last: PyTree) -> PyTree:
        """The parameters to return."""
        return either(self._finite, self.found.best, last) if self.chooses else last

    @property
    def _finite(self) -> Any:
        """Whether a member had a finite validation loss at all."""
        return np.any(np.isfinite(self.found.values), axis=-1)

    def record(self, step: int) -> dict[str, Any]:
        """What a history tells of it."""
        told: dict[str, Any] = {"stopped": self.stopped if step < self.steps else ""}
        if self.found is None:
            return told
        looks = 1 + (-(-step // self.every) if step == self.steps else step // self.every)
        values = told["validation"] = self.found.values[..., :looks]
        told["validation_steps"] = self._steps_of(np.arange(looks))
        returned = values[..., -1]
        if self.held_out.best and np.any(self._finite):
            told["best_step"] = self._steps_of(self._best())[()]
            returned = np.min(values, axis=-1)
        shares = [
            None if scale is None else float(1 - value / scale)
            for value, scale in zip(
                np.atleast_1d(returned), self.held_out.without_force, strict=True
            )
        ]
        told["explained_validation"] = tuple(shares) if self.members else shares[0]
        return told


def either(members: Any, yes: PyTree, no: PyTree) -> PyTree:
    """One tree for some members, and another for the rest."""
    of = np.asarray(members)  # which goes to whatever devices the trees are on
    return jax.tree.map(
        lambda yes, no: jnp.where(of.reshape(of.shape + (1,) * (yes.ndim - of.ndim)), yes, no),
        yes,
        no,
    )
