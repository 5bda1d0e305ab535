"""A readable basis of a space of tensors: sparse, and of fractions where these serve as well."""

import numpy as np

from ._tensor_action import derivative, transformed

PIVOT = 1e-3
"""Smallest pivot of the reduction to echelon form, which divides by it."""

LARGEST = 8.0
"""Largest entry of a reduced basis. In coordinates that mean nothing to a group entries are larger, and
their differences lose digits."""


def readable_basis(rows: np.ndarray, slots, components, shape) -> np.ndarray:
    """Tensors of `shape` that span what orthonormal `rows` span, for generators `slots` and further
    `components` that leave these alone."""
    return _polish(_row_echelon(rows), slots, components, shape)


def _row_echelon(rows: np.ndarray) -> np.ndarray:
    """Reduced row echelon form: a sparse, readable and deterministic basis of the row space of
    orthonormal rows. Where that would lose digits, the rows as they are."""
    reduced = rows.copy()
    done = 0
    for column in range(rows.shape[1]):
        if done == len(rows):
            break
        pivot = done + int(np.argmax(np.abs(reduced[done:, column])))
        if np.abs(reduced[pivot, column]) <= PIVOT:
            continue
        reduced[[done, pivot]] = reduced[[pivot, done]]
        reduced[done] /= reduced[done, column]
        others = np.flatnonzero(reduced[:, column])
        others = others[others != done]
        reduced[others] -= np.outer(reduced[others, column], reduced[done])
        done += 1
    return reduced if done == len(rows) and np.abs(reduced).max() <= LARGEST else rows


def _polish(tensors: np.ndarray, slots, components, shape) -> np.ndarray:
    """Rounds entries to nearby fractions where that is at least as invariant: most tensors of physics
    are integers, and exact ones keep the features invariant to the last bit."""

    size = int(np.prod(shape))

    def residual(tensors):
        worst = np.zeros(len(tensors))
        for generators in zip(*slots, strict=True):
            image = np.abs(derivative(generators, tensors)).reshape(len(tensors), size)
            worst = np.maximum(worst, image.max(axis=1))
        for maps in zip(*components, strict=True):
            change = np.abs(transformed(maps, tensors) - tensors).reshape(len(tensors), size)
            worst = np.maximum(worst, change.max(axis=1))
        return worst

    largest = np.abs(tensors).max(axis=1, keepdims=True)
    tensors = np.where(np.abs(tensors) <= 1e-10 * largest, 0.0, tensors)
    rounded = np.round(tensors * 12) / 12
    close = np.abs(rounded - tensors).max(axis=1) <= 1e-6 * largest[:, 0]
    tensors, rounded = tensors.reshape(-1, *shape), rounded.reshape(-1, *shape)
    close &= residual(rounded) <= residual(tensors)
    return np.where(close.reshape(-1, *(1,) * len(shape)), rounded, tensors)
