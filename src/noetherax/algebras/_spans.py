"""Spans and null spaces of rows of numbers, up to a tolerance."""

import numpy as np


def independent_rows(rows: np.ndarray, tolerance: float) -> list[int]:
    """Indices of the first linearly independent rows, each row scaled to unit size."""
    sizes = np.linalg.norm(rows, axis=1)
    candidates = np.flatnonzero(sizes > tolerance)
    bound = tolerance * max(1, len(rows))
    unit = rows[candidates] / sizes[candidates, None]
    if 1 < len(unit) <= rows.shape[1]:
        distance = np.abs(np.diag(np.linalg.qr(unit.T, mode="r")))
        if np.all(distance > bound):
            return candidates.tolist()
    chosen: list[int] = []
    basis = np.zeros((min(unit.shape), rows.shape[1]))
    for index, row in zip(candidates.tolist(), unit, strict=True):
        known = basis[: len(chosen)]
        rest = row - known.T @ (known @ row)
        rest = rest - known.T @ (known @ rest)
        size = np.linalg.norm(rest)
        if size > bound and len(chosen) < len(basis):
            basis[len(chosen)] = rest / size
            chosen.append(index)
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


def outside(matrices: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Distance of each matrix from the span of the columns of an orthonormal `basis`."""
    flat = matrices.reshape(len(matrices), matrices.shape[1] * matrices.shape[2])
    return np.linalg.norm(flat - flat @ basis @ basis.T, axis=1)
