"""How generators and elements of a group act on a stack of tensors, one matrix for each slot."""

from collections.abc import Iterable

import numpy as np


def derivative(generators: Iterable[np.ndarray], tensors: np.ndarray) -> np.ndarray:
    """Σ over slots of a generator on that slot, `generators[s]` on the s-th."""
    total = np.zeros_like(tensors)
    for slot, matrix in enumerate(generators):
        total = total + _apply(matrix, tensors, slot)
    return total


def transformed(maps: Iterable[np.ndarray], tensors: np.ndarray) -> np.ndarray:
    """The tensors with `maps[s]` on the s-th slot, all at once."""
    for slot, matrix in enumerate(maps):
        tensors = _apply(matrix, tensors, slot)
    return tensors


def _apply(matrix: np.ndarray, tensors: np.ndarray, slot: int) -> np.ndarray:
    moved = np.tensordot(tensors, matrix, axes=(slot + 1, 1))
    return np.moveaxis(moved, -1, slot + 1)
