"""An algebra that has passed its checks, and what all uses of it need, made once."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ._algebra import AffineAlgebra
from ._balance import balance, unit_generators
from ._closure import check_closure
from ._kept import kept_by_content


class CheckedAlgebra(NamedTuple):
    """The algebra as it was `given`, and `balanced`: generators with entries about one, in coordinates
    x / `unit`. `smallest` and `largest` are sizes of entries of the given ones, but for zeros."""

    given: AffineAlgebra
    balanced: AffineAlgebra
    unit: np.ndarray
    smallest: float
    largest: float


@kept_by_content
def checked_algebra(algebra: AffineAlgebra, name: str) -> CheckedAlgebra:
    """The algebra after its checks. Raises a `ValueError` with the evidence if generators are redundant
    or do not close, or if further components do not normalise the group.

    **Arguments:**

    - `algebra`: generators and further components.
    - `name`: what messages call the group.
    """
    unit_sized, size = unit_generators(algebra)
    balanced, unit = balance(unit_sized)
    check_closure(balanced, size, name)
    entries = np.abs(np.concatenate([algebra.linear.ravel(), algebra.shift.ravel()]))
    smallest = np.min(entries, initial=np.inf, where=entries > 0)
    largest = np.max(entries, initial=0.0)
    return CheckedAlgebra(algebra, balanced, unit, float(smallest), float(largest))


def check_precision(algebra: CheckedAlgebra, dtype, name: str) -> None:
    """Raises if entries of generators are no numbers in the precision of a state, or vanish in it."""
    limits = jnp.finfo(dtype)
    least, most = float(limits.tiny), float(limits.max)
    if least <= algebra.smallest and algebra.largest <= most:
        return
    entries = np.abs(algebra.given.homogeneous)
    wrong = (entries > most) | ((entries > 0) & (entries < least))
    raise ValueError(
        f"The generators of {name} have an entry of {entries[wrong][0]:.3g}, which {dtype} does "
        f"not hold (it ends at {least:.2g} and {most:.2g}). Take other units, or states in float64."
    )
