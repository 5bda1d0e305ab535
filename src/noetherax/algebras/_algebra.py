"""The Lie algebra of an affine group as matrices.

An affine generator ξ_a(q_i) = A_a q_i + b_a is the matrix [[A_a, b_a], [0, 0]] in homogeneous
coordinates (q, 1); brackets of generators are commutators of these matrices. All of this is float64
NumPy, outside `jax.jit`; tolerances follow the precision the generators came in.
"""

from typing import NamedTuple

import numpy as np

from ._spans import null_space


class AffineAlgebra(NamedTuple):
    """Generators of an affine group: `linear` `(k, space, space)`, `shift` `(k, space)`, float64.

    `tolerance` is what counts as zero for generators of unit size. `components` `(c, space, space)`
    are linear maps that reach the other connected components of the group.
    """

    linear: np.ndarray
    shift: np.ndarray
    tolerance: float
    components: np.ndarray

    @property
    def precision(self) -> float:
        """The rounding of the numbers that the generators came in."""
        return self.tolerance ** (4 / 3)

    @property
    def homogeneous(self) -> np.ndarray:
        """The generators as matrices on (q, 1), shape `(k, space + 1, space + 1)`."""
        count, space = self.shift.shape
        matrices = np.zeros((count, space + 1, space + 1))
        matrices[:, :space, :space] = self.linear
        matrices[:, :space, space] = self.shift
        return matrices


def translations(algebra: AffineAlgebra) -> np.ndarray:
    """Orthonormal basis (rows) of the pure translations of the algebra, {b : (0, b) in the span}."""
    count, space = algebra.shift.shape
    if not np.any(algebra.shift):
        return np.zeros((0, space))
    weights = null_space(
        algebra.linear.reshape(count, space * space).T, algebra.tolerance * max(count, 1)
    )
    shifts = weights @ algebra.shift
    if not len(shifts):
        return np.zeros((0, space))
    _, singular, right = np.linalg.svd(shifts, full_matrices=False)
    return right[singular > algebra.tolerance * max(count, 1)]
