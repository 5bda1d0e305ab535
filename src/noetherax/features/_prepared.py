"""What a part of a model takes from the data before it trains: three functions for its type.

`noetherax.fit`, `noetherax.standardise` and `noetherax.regular_start` walk through a model and prepare
every part, a Lagrangian or anything else, for which `standardisation_of` is registered.
"""

from functools import singledispatch
from typing import Any

from jaxtyping import Array, Float

from .._types import FloatArray
from ._standardisation import Standardisation


@singledispatch
def standardisation_of(part: Any) -> Standardisation | None:
    """The standardisation that a part of a model keeps, fitted or not.

    **Arguments:**

    - `part`: anything.

    **Returns:**

    The standardisation; `None` for what has none, and so takes nothing from data.
    """
    return None


@singledispatch
def standardised_part(
    part: Any,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    bend: bool,
) -> Any:
    """The part with its standardisation, and whatever other units it has, set from states.

    **Arguments:**

    - `part`: one for which [`standardisation_of`][noetherax.features.standardisation_of] is registered.
    - `q`, `v`: states in the precision of the part, finite.
    - `bend`: whether features may be bent. A part that is no Lagrangian has no motion by which it can
        be tried with and without, and leaves this aside.

    **Returns:**

    Another part of the same type, whose standardisation is fitted.
    """
    raise TypeError(
        f"{type(part).__name__} has a standardisation, but does not say how it is set from data: "
        f"register noetherax.features.standardised_part for it, beside standardisation_of."
    )


@singledispatch
def linear_weights(part: Any) -> list[Array]:
    """The weights that a part of a model is linear in, such as the last layer of a network, and which
    least squares may set: see [`noetherax.regular_start`][].

    **Arguments:**

    - `part`: one for which [`standardisation_of`][noetherax.features.standardisation_of] is registered.

    **Returns:**

    The arrays, which are leaves of the part. None for a type that registers nothing.
    """
    return []
