"""Fixed steps to times of which some may coincide."""

from typing import final

import diffrax
import jax.numpy as jnp
from jaxtyping import Array, Float


@final
class StepToNext(diffrax.AbstractStepSizeController):
    """Steps that each go to the next later one of some times, in any order. `diffrax.StepTo` takes
    none that coincide, and which do is not always known before a program runs."""

    ts: Float[Array, " times"]

    def wrap(self, direction):
        return StepToNext(jnp.sort(self.ts * direction))

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        return self._after(t0), None

    def adapt_step_size(
        self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
    ):
        return True, t1, self._after(t1), False, None, diffrax.RESULTS.successful

    def _after(self, t):
        index = jnp.searchsorted(self.ts, t, side="right")
        return self.ts[jnp.minimum(index, len(self.ts) - 1)]
