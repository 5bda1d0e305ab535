"""Units in which the numbers of an algebra are of similar size. They are powers of two, so that nothing
is rounded."""

import numpy as np

from ._algebra import AffineAlgebra

ROUNDINGS = 100.0
"""Of the one part of a generator, below which the other is taken for rounding."""


def powers_of_two(sizes: np.ndarray) -> np.ndarray:
    """The largest power of two up to each of `sizes`, by which numbers are divided without rounding; 1
    for zero."""
    return np.where(sizes > 0, np.ldexp(1.0, np.frexp(sizes)[1] - 1), 1.0)


def unit_generators(algebra: AffineAlgebra) -> tuple[AffineAlgebra, np.ndarray]:
    """The same group by generators with entries about one, and what they are divided by. Squares of
    entries such as 1e300 or 1e-300 are no numbers any more."""
    size = powers_of_two(np.abs(algebra.homogeneous).max(axis=(1, 2), initial=0.0))
    linear, shift = algebra.linear / size[:, None, None], algebra.shift / size[:, None]
    return algebra._replace(linear=linear, shift=shift), size


def balance(algebra: AffineAlgebra) -> tuple[AffineAlgebra, np.ndarray]:
    """The algebra in coordinates x / unit whose generators have entries of similar size, and `unit`.

    A speed of light of 3e8 or lengths in metres would otherwise drown what is small in the same
    matrix. Units are powers of two, so that nothing is rounded.
    """
    from scipy.linalg import matrix_balance  # here, since it is slow to import

    unit = np.ones(algebra.shift.shape[1])
    for _ in range(2):  # the size of a generator depends on the units, and the units on it
        linear = algebra.linear * unit / unit[:, None]
        size = np.abs(linear).max(axis=(1, 2), initial=0.0)
        if not np.any(size > 0):
            break
        total = np.sqrt(np.sum((linear[size > 0] / size[size > 0, None, None]) ** 2, axis=0))
        np.fill_diagonal(total, 0.0)
        with np.errstate(all="ignore"):
            _, (scaling, _) = matrix_balance(total, permute=False, separate=True)
        if not np.all(np.isfinite(scaling)) or np.any(scaling <= 0):
            break
        unit = unit * scaling
    unit = unit / 2.0 ** np.round(np.mean(np.log2(unit)))
    linear = algebra.linear * unit / unit[:, None]
    # Where a generator turns and shifts, about a centre far away or along a screw, the distance is the
    # unit of length.
    size = np.abs(linear).max(axis=(1, 2), initial=0.0)
    reach = np.abs(algebra.shift / unit).max(axis=1, initial=0.0)
    rounding = ROUNDINGS * np.finfo(float).eps
    both = (size > rounding * reach) & (reach > rounding * size)
    length = np.max(reach[both] / size[both]) if np.any(both) else 1.0
    unit = unit * 2.0 ** np.round(np.log2(length))
    components = algebra.components * unit / unit[:, None]
    return AffineAlgebra(linear, algebra.shift / unit, algebra.tolerance, components), unit
