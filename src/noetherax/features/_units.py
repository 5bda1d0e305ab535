from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._summaries import shown


@final
class Unit(eqx.Module):
    """The unit of a quantity that a model computes from numbers of order one: set from the data with
    the standardisation, once, and never trained.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        unit = nx.features.Unit.of("energy", 4e-21, jnp.float32)  # joules, of a molecule
        assert abs(unit.value / 4e-21 - 1) < 1e-6
        assert nx.features.Unit.of("energy", 0.0, jnp.float32).value == 1  # nothing moves
        try:
            nx.features.Unit.of("energy", 4e-60, jnp.float32)
        except ValueError as error:
            assert "outside of the range of float32" in str(error)
        ```
    """

    value: Float[Array, ""]

    @classmethod
    def of(cls, name: str, value: float, dtype) -> "Unit":
        """A unit of the size of the data.

        **Arguments:**

        - `name`: of the quantity, for the message of an error.
        - `value`: its size over the data. Data in which it vanishes tell no unit: then it is one.
        - `dtype`: of the model.

        **Raises:**

        `ValueError` if the size is outside of the range of this precision.
        """
        limits = jnp.finfo(dtype)
        if value and not float(limits.tiny) < value < float(limits.max):
            raise ValueError(
                f"The unit of {name} that the data give, {value:.2g}, is outside of the range of "
                f"{limits.dtype}. Measure lengths, times or masses in other units, such that it is "
                "nearer to one, or give data and weights in float64."
            )
        return cls(jnp.asarray(value or 1.0, dtype))


@shown.register
def _(value: Unit) -> str:
    return ""  # numbers of the data, not of the model
