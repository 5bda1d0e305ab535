"""What a force takes from the data: its units, or where its constants start."""

from functools import singledispatch
from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._types import FloatArray

SHARE = 0.1
"""Part of the power of a motion that a new force starts with: enough for its gradients to be seen, and
too little to drive the motion astray."""


class Motions(NamedTuple):
    """What the data tell of the motion that forces act on.

    - `q`, `v`: states; `u`: inputs, or `None`.
    - `energy`, `power`: the mean of |v · M a|, and that times the time |v|/|a|.
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    u: Float[FloatArray, "samples inputs"] | None
    energy: float
    power: float


@singledispatch
def is_unscaled(force: Any) -> bool:
    """Whether a force has units or constants of its own that the data have not set yet."""
    return False


@singledispatch
def scaled_force(force: Any, motions: Motions) -> Any:
    """The force in units of the data. With an energy and power of zero it vanishes. A type that takes
    part registers this and `is_unscaled`."""
    return force


@final
class ForceScale(eqx.Module):
    """The units of a neural force: part of a model, set from the data once, never trained.

    - `energy`, `power`: of the motion, so that a network with values of order one gives forces of the
        size that the data call for, whatever their units.
    - `rates`: of what the force resists, shape `(rates,)`.
    - `fitted`: whether they have been set.
    """

    energy: Float[Array, ""]
    power: Float[Array, ""]
    rates: Float[Array, " rates"]
    fitted: Bool[Array, ""]

    @classmethod
    def identity(cls, rates: int, dtype) -> "ForceScale":
        """Units of one, still to be set."""
        one = jnp.ones((), dtype)
        return cls(one, one, jnp.ones(rates, dtype), jnp.array(False))

    def of(
        self, motions: Motions, rates: Float[FloatArray, "samples rates"] | None
    ) -> "ForceScale":
        """Those of the data, and of what the force resists in them, or as it was."""
        dtype = self.rates.dtype
        energy, power = (jnp.asarray(SHARE * x, dtype) for x in (motions.energy, motions.power))
        known = self.rates
        # A force that vanishes resists nothing: rates from before a standardisation would only take it
        # out of the range of a precision.
        if rates is not None and motions.power:
            # Squares of rates in other units may leave the range of a precision.
            size = np.sqrt(np.mean(np.square(np.asarray(rates, float)), axis=0))
            known = jnp.asarray(np.where(size > 0, size, 1), dtype)
        return ForceScale(energy, power, known, jnp.array(True))
