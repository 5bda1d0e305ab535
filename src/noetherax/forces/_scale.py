from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


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
