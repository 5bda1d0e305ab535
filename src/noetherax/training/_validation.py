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

        model = nx.NeuralLagrangian(nx.Rotations(3).invariant_features(1), key=jax.random.key(0))
        data = nx.systems.Kepler().sampler()
        validation = nx.Validation(data, every=10, patience=5)
        options = dict(steps=100, validation=validation, key=jax.random.key(1))
        model, history = nx.fit(model, data, **options)
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
    """

    step: int
    loss: Any
    validation: Any
    best_step: Any
    model: PyTree


def as_validation(value: Any) -> Validation | None:
    """What `fit` takes as validation: the data alone will do."""
    return value if value is None or isinstance(value, Validation) else Validation(value)
