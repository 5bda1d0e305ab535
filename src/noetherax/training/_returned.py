"""Which weights a run returns, and their loss: by the program that takes its steps, so that nothing
more is compiled."""

from collections.abc import Callable
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._history import median
from ._steps import State
from ._watch import either

MOST = 16
"""Batches on which weights are judged."""

STEPS_FOR_EACH = 50
"""Steps taken for every one of them: in a short run hardly anything was learned."""

WORSE = 1.1
"""Times the loss of the last weights: an average with more has not stayed in one valley of the loss."""


@final
class Comparison:
    """Of weights, by their losses on the batches of the steps to come.

    - `take`: the program that takes steps, `take(given, state)`, and `given`, for one step.
    - `state`: that of the run, which is left as it is.
    """

    def __init__(self, take: Callable, given: tuple, state: State, done: int):
        self.take, self.given, self.state = take, given, state
        self.count = min(MOST, done // STEPS_FOR_EACH)

    def losses(self, weights: PyTree) -> np.ndarray:
        """Of these weights, by members, if there are any, and batches."""
        members = self.state.skipped.shape
        found = np.zeros((*members, self.count))
        for index in range(self.count):
            step = self.state.step + index
            start = State(weights, weights, self.state.optimizer, step, self.state.skipped)
            # Copies, since a step takes over the buffers of what it starts from.
            start = jax.tree.map(jnp.copy, start)
            found[..., index] = np.asarray(self.take(self.given, start)[1])[..., 0]
        return found

    def better(self, averaging: bool, validates: bool) -> tuple[PyTree, np.ndarray]:
        """The average, or where that is clearly worse the last weights, with the losses of what is
        taken. Data held out judge averages, so that these are taken where there are such data."""
        last, average = self.state.parameters, self.state.average
        taken = average if averaging else last
        losses = self.losses(taken)
        if not averaging or validates or not self.count:
            return taken, losses
        of_last = self.losses(last)
        worse = np.isfinite(median(of_last)) & ~(median(losses) <= WORSE * median(of_last))
        return either(worse, last, average), np.where(worse[..., None], of_last, losses)
