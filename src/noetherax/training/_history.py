"""What happened during a training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RECENT = 10
"""The end of a run is the last of so many parts of it."""


class History(NamedTuple):
    """What happened during a [`noetherax.fit`][], a [`noetherax.polish`][], or, with a leading axis of
    members, a [`noetherax.fit_ensemble`][]. Printed, it is a short summary.

    - `loss`: loss of every step taken, shape `(steps,)`; of the weights at that step, on its batch,
        not of those that are returned. Those of `polish` are another kind: see `full_batch`.
    - `skipped`: number of updates left out because they were not finite; of [`noetherax.polish`][],
        number of steps tried that did not help.
    - `seconds`: wall time, of which `compile_seconds` before the first step; with checkpoints, that of
        earlier parts of the run included.
    - `interrupted`: whether the run was stopped by Ctrl-C.
    - `preparation`: what was done with a model that was new to [`noetherax.fit`][], in words: which
        features were bent and why, and where the last layer comes from; one for each member.
    - `chosen_loss`: which loss was taken and why, where none was named and the accelerations span so
        much that their plain loss would not do.
    - `without_force`: what to compare the loss with: the loss of a free particle on the first
        batches; `None` where the loss has none.
    - `explained`: share of `without_force` that the model takes away, by `returned_loss`, or, where
        there is none, by the median loss of the last tenth of the steps; `None` where that scale is not
        known.
    - `validation`: loss of the weights that would be returned, on the data held out, at
        `validation_steps`; empty without [`noetherax.Validation`][].
    - `explained_validation`: share of the loss without force on the data held out that the model that
        is returned takes away.
    - `best_step`: the step whose weights are returned, if those of least validation loss are.
    - `stopped`: why the run ended before its last step, if not by Ctrl-C, in words; of a polish, why it
        ended at all.
    - `full_batch`: whether losses are of all the data, as in [`noetherax.polish`][]: before every step
        and after the last one, shape `(steps + 1,)`.
    - `optimizer_state`: of the optimiser, at the end, to go on from in a further fit.
    - `preparation_seconds`: wall time before all that, of preparing the model by its data and judging
        them; most of it compiles what a second fit finds compiled.
    - `returned_loss`: of the weights that are returned, its mean over some further batches; NaN after
        an interruption, and after a few steps; `None` of `polish`, whose losses are of all the data.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        _, history = nx.fit(model, (q, v, -q), steps=20, key=jax.random.key(3))
        assert history.loss.shape == (20,) and not history.interrupted
        assert history.recent_loss < history.loss[0]
        print(history)
        ```
    """

    loss: np.ndarray
    skipped: int | np.ndarray
    seconds: float
    compile_seconds: float
    interrupted: bool
    preparation: str | tuple[str, ...] = ""
    without_force: float | tuple[float | None, ...] | None = None
    explained: float | tuple[float | None, ...] | None = None
    validation: np.ndarray = np.empty(0)
    validation_steps: np.ndarray = np.empty(0, int)
    explained_validation: float | tuple[float | None, ...] | None = None
    best_step: int | np.ndarray | None = None
    stopped: str = ""
    optimizer_state: Any = None
    chosen_loss: str = ""
    full_batch: bool = False
    preparation_seconds: float = 0.0
    returned_loss: float | np.ndarray | None = None

    @property
    def recent_loss(self) -> np.floating | np.ndarray:
        """Median loss of the last tenth of the steps, which no single batch rules."""
        return recent(self.loss)

    @property
    def final_loss(self) -> Any:
        """`returned_loss` where it is known, else `recent_loss`."""
        if self.returned_loss is None:
            return self.recent_loss
        return np.where(np.isnan(self.returned_loss), self.recent_loss, self.returned_loss)[()]

    def __repr__(self) -> str:
        *members, steps = self.loss.shape
        steps -= self.full_batch
        ending = "interrupted" if self.interrupted else self.stopped
        head = (
            f"{steps} steps in {self.seconds:.3g} s, {self.compile_seconds:.3g} s of it before the"
        )
        head += " first"
        if self.preparation_seconds:
            head += f", after {self.preparation_seconds:.3g} s of preparation"
        head += f"; stopped: {ending}" if ending else ""
        rows = [("History of", head)]
        if members:
            rows.append(("members", str(members[0])))
        scale = f"{_numbers(self.recent_loss)}, the median of the last tenth"
        if self.full_batch:
            first, last = (_numbers(self.loss[..., i]) for i in (0, -1))
            scale = f"{last} in the end, {first} before"
        if _known(self.without_force):
            scale += f"; without any force {_numbers(self.without_force)}"
        rows.append(("loss", scale))
        if len(self.validation_steps):
            value = f"{_numbers(self.validation[..., -1])} at the end"
            if self.best_step is not None:
                value += f"; least {_numbers(np.nanmin(self.validation, axis=-1))}"
                value += f" at step {_numbers(self.best_step)}, whose weights these are"
            rows.append(("validation", value))
        shares = {"data": self.explained, "validation": self.explained_validation}
        told = [f"{_numbers(x, '.2%')} of the {name}" for name, x in shares.items() if _known(x)]
        if told:
            rows.append(("explained", ", ".join(told)))
        if np.any(self.skipped):
            number = _numbers(self.skipped, ".0f")
            if self.full_batch:
                rows.append(("also tried", f"{number} steps that did not help"))
            else:
                rows.append(("left out", f"{number} updates that were not finite"))
        if self.chosen_loss:
            rows.append(("by default", self.chosen_loss))
        if any(self.preparation):
            one = self.preparation if isinstance(self.preparation, str) else self.preparation[0]
            rows.append(("preparation", one + (", …" if members else "")))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows)


def recent(losses: np.ndarray) -> Any:
    """Median of what is finite of the last tenth of losses, along the steps."""
    steps = losses.shape[-1]
    return median(losses[..., steps - -(-steps // RECENT) :])


def median(losses: np.ndarray) -> Any:
    """Median of what is finite along the last axis; NaN where nothing is."""
    return _of_finite(np.median, losses)


def mean(losses: np.ndarray) -> Any:
    """As above, the mean."""
    return _of_finite(np.mean, losses)


def _of_finite(function: Callable, losses: np.ndarray) -> Any:
    members = losses.shape[:-1]
    rows = [x[np.isfinite(x)] for x in losses.reshape(int(np.prod(members)), -1)]
    return np.array([function(x) if len(x) else np.nan for x in rows]).reshape(members)[()]


def _known(values: Any) -> bool:
    return values is not None and (not isinstance(values, tuple) or None not in values)


def _numbers(values: Any, form: str = ".3g") -> str:
    """A number, or those of all members."""
    return ", ".join(f"{float(x):{form}}" for x in np.atleast_1d(values))
