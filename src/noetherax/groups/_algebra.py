"""The Lie algebra of an affine group as matrices, and the checks it must pass.

An affine generator ξ_a(q_i) = A_a q_i + b_a is the matrix [[A_a, b_a], [0, 0]] in homogeneous
coordinates (q, 1); brackets of generators are commutators of these matrices. All of this is float64
NumPy at construction, outside `jax.jit`; tolerances follow the precision the generators came in.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class AffineAlgebra(NamedTuple):
    """Generators of an affine group: `linear` `(k, space, space)`, `shift` `(k, space)`, float64.

    `tolerance` is what counts as zero for generators of unit size.
    """

    linear: np.ndarray
    shift: np.ndarray
    tolerance: float

    @property
    def homogeneous(self) -> np.ndarray:
        """The generators as matrices on (q, 1), shape `(k, space + 1, space + 1)`."""
        count, space = self.shift.shape
        matrices = np.zeros((count, space + 1, space + 1))
        matrices[:, :space, :space] = self.linear
        matrices[:, :space, space] = self.shift
        return matrices


def affine_algebra(group) -> AffineAlgebra:
    """What `group.algebra()` returns, brought into shape. Raises if it has none."""
    with jax.ensure_compile_time_eval():
        result = group.algebra()
    name = type(group).__name__
    expected = (
        f"{name}.algebra() must return a pair: linear of shape (generators, space, space) and "
        "shift of shape (generators, space)"
    )
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(f"{expected}, but it returned {type(result).__name__}: {result!r}.")
    arrays = []
    for part in result:
        if isinstance(part, Tracer):
            raise TypeError(
                f"{name}.algebra() depends on an array that jax.jit traces. The generators of a group "
                "are constants: hold what they depend on as static fields (numbers or tuples)."
            )
        try:
            arrays.append(np.asarray(part))
        except ValueError as error:
            raise ValueError(f"{expected}, but a part is ragged: {part!r}.") from error
    linear, shift = arrays
    shapes_fit = (
        linear.ndim == 3
        and shift.ndim == 2
        and linear.shape[1] == linear.shape[2] == shift.shape[1]
        and len(linear) == len(shift)
    )
    if not shapes_fit:
        raise ValueError(
            f"{expected}, but the shapes are {linear.shape} and {shift.shape}. "
            "A single generator has shapes (1, space, space) and (1, space)."
        )
    if linear.shape[1] < 1:
        raise ValueError(f"{expected}, but the space has no axes.")
    for part, array in (("linear", linear), ("shift", shift)):
        if not (jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.kind in "iub"):
            raise TypeError(f"{expected}, of real numbers, but {part} has dtype {array.dtype}.")
    precision = max(_precision(linear), _precision(shift))
    linear, shift = linear.astype(np.float64), shift.astype(np.float64)
    for part, array in (("linear", linear), ("shift", shift)):
        bad = [a for a in range(len(array)) if not np.all(np.isfinite(array[a]))]
        if bad:
            raise ValueError(
                f"Generator {bad[0]} of {name} is not finite: {part} = {array[bad[0]]}."
            )
    # Between the rounding of one product of generators and any structure constant of interest.
    return AffineAlgebra(linear, shift, tolerance=precision**0.75)


def _precision(array: np.ndarray) -> float:
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return float(jnp.finfo(array.dtype).eps) if floating else float(np.finfo(np.float64).eps)


def check_algebra(algebra: AffineAlgebra, name: str) -> None:
    """Raises a `ValueError` with the evidence if generators are redundant or do not close."""
    matrices = algebra.homogeneous
    count = len(matrices)
    norms = np.linalg.norm(matrices, axis=(1, 2))
    for a in range(count):
        if norms[a] <= algebra.tolerance:
            raise ValueError(
                f"Generator {a} of {name} is zero. Leave it out: generators must be independent."
            )
    unit = matrices.reshape(count, matrices.shape[1] ** 2) / norms[:, None]
    for a in range(1, count):
        residual, weights = _leave_span(unit[a], unit[:a])
        if residual <= algebra.tolerance * count:
            sum_of = " + ".join(
                f"{weight * norms[a] / norms[b]:.3g}·[{b}]"
                for b, weight in enumerate(weights)
                if abs(weight) > np.sqrt(algebra.tolerance)
            )
            raise ValueError(
                f"The generators of {name} are redundant: generator {a} = {sum_of}. Leave it out."
            )
    for a in range(count):
        for b in range(a + 1, count):
            first, second = unit[a].reshape(matrices[a].shape), unit[b].reshape(matrices[b].shape)
            bracket = (first @ second - second @ first).ravel()
            residual, _ = _leave_span(bracket, unit)
            if residual > algebra.tolerance * count:
                raise ValueError(
                    f"The generators of {name} must close under the bracket, but [{a}, {b}] leaves "
                    f"their span by {residual:.2g} (generators scaled to unit size). Its matrix on "
                    f"(q, 1), scaled likewise, is\n{bracket.reshape(matrices[a].shape).round(3)}\n"
                    "Add the missing generators, or drop one of these two."
                )


def _leave_span(vector: np.ndarray, span: np.ndarray) -> tuple[float, np.ndarray]:
    """Distance of `vector` from the span of the rows of `span`, and its coordinates there."""
    weights, *_ = np.linalg.lstsq(span.T, vector, rcond=None)
    return float(np.linalg.norm(vector - span.T @ weights)), weights


def independent_rows(rows: np.ndarray, tolerance: float) -> list[int]:
    """Indices of the first linearly independent rows, each row scaled to unit size."""
    chosen: list[int] = []
    basis = np.zeros((0, rows.shape[1]))
    for index, row in enumerate(rows):
        size = np.linalg.norm(row)
        if size <= tolerance:
            continue
        rest = row / size
        rest = rest - basis.T @ (basis @ rest)
        rest = rest - basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > tolerance * max(1, len(rows)):
            chosen.append(index)
            basis = np.concatenate([basis, rest[None] / np.linalg.norm(rest)])
    return chosen


def null_space(matrix: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal basis of {x : matrix x = 0} as rows."""
    columns = matrix.shape[1]
    if matrix.shape[0] == 0 or columns == 0:
        return np.eye(columns)
    if matrix.shape[0] < columns:
        matrix = np.concatenate([matrix, np.zeros((columns - matrix.shape[0], columns))])
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    scale = max(singular[0], 1.0)
    return right[singular <= tolerance * scale]


def translations(algebra: AffineAlgebra) -> np.ndarray:
    """Orthonormal basis (rows) of the pure translations of the algebra, {b : (0, b) in the span}."""
    count, space = algebra.shift.shape
    weights = null_space(
        algebra.linear.reshape(count, space * space).T, algebra.tolerance * max(count, 1)
    )
    shifts = weights @ algebra.shift
    if not len(shifts):
        return np.zeros((0, space))
    _, singular, right = np.linalg.svd(shifts, full_matrices=False)
    return right[singular > algebra.tolerance * max(count, 1)]
