"""Data held out of a training: which weights to keep, and when to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

from jaxtyping import PyTree

from ._checks import check_count, check_flag


@final
@dataclass(frozen=True, eq=False, init=False)
class Validation:
    """Data held out of a [`noetherax.fit`][] or [`noetherax.fit_ensemble`][], and what follows from
    them. Where only the data are given as `validation=`, all else is as here by default.

    What is judged are the weights that the run would return now, at its start, then after every `every`
    steps, and at its end.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        held_out = (q[48:], v[48:], -q[48:])
        options = dict(validation=nx.Validation(held_out, every=5, patience=5), steps=20)
        data = (q[:48], v[:48], -q[:48])
        model, history = nx.fit(model, data, key=jax.random.key(3), **options)
        assert list(history.validation_steps) == [0, 5, 10, 15, 20]
        ```

    **Arguments:**

    - `observations`: of any kind that `fit` trains on: arrays, [`noetherax.Tracks`][], or a sampler,
        which is asked once. Of arrays some four thousand samples are used. For an ensemble, those of
        all members or a list of such.
    - `every`: steps between two looks, which are also those between two calls of a `callback`; if not
        given, a twenty-fifth of the run.
    - `patience`: stop the run after so many looks in a row without a new least loss (an ensemble, once
        this is so of every member); `None` to take all steps.
    - `best`: return the weights of the least validation loss, and not those of the end.

    **Raises:**

    `ValueError` or `TypeError` for options that are out of range.
    """

    observations: Any
    every: int | None
    patience: int | None
    best: bool

    def __init__(
        self,
        observations: Any,
        *,
        every: int | None = None,
        patience: int | None = None,
        best: bool = True,
    ):
        counts = {"every": every, "patience": patience}
        counts = {k: None if x is None else check_count(k, x) for k, x in counts.items()}
        check_flag("best", best)
        for name, value in (counts | {"observations": observations, "best": best}).items():
            object.__setattr__(self, name, value)  # the class is frozen

    def of(self, prepared: Callable[[Any], Any]) -> "Validation":
        """The same of data that are prepared."""
        return Validation(
            prepared(self.observations), every=self.every, patience=self.patience, best=self.best
        )


class Report(NamedTuple):
    """What a callback of [`noetherax.fit`][] is given, now and then. It returns `True` to stop.

    - `step`: steps taken.
    - `loss`: median of the losses since the last report, not ruled by a single batch; for an ensemble
        of every member, and so is the rest.
    - `validation`: loss on the data held out, or `None` without such.
    - `best_step`: step of the least validation loss so far, or `None`.
    - `model`: the model that would be returned if the run ended here, but for `Validation.best`.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        reports = []


        def look(report: nx.Report):
            reports.append((report.step, float(report.loss)))
            return report.loss < 1e-6  # good enough: stop


        options = dict(steps=20, key=jax.random.key(3), callback=look)
        model, _ = nx.fit(model, (q, v, -q), **options)
        assert reports[-1][0] == 20 and reports[-1][1] < reports[0][1]
        ```
    """

    step: int
    loss: Any
    validation: Any
    best_step: Any
    model: PyTree


def as_validation(value: Any) -> Validation | None:
    """What `fit` takes as validation: the data alone will do."""
    return value if value is None or isinstance(value, Validation) else Validation(value)
