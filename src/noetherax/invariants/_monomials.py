"""Tensors contracted with vectors, by their monomials or slot by slot."""

from collections import Counter

import numpy as np


def monomials(factors: list[np.ndarray]) -> np.ndarray:
    """All products of one entry of each factor, `(rows, dim^k)` from k factors `(rows, dim)`."""
    product = factors[0]
    for factor in factors[1:]:
        width = product.shape[1] * factor.shape[1]
        product = (product[:, :, None] * factor[:, None, :]).reshape(len(product), width)
    return product


def contract(tensors: np.ndarray, x: np.ndarray, slots: tuple[int, ...], free: list[int]):
    """Tensors `(tensors, dim^k)` with a vector in every slot but those left `free`, in that order."""
    result = tensors.reshape(len(tensors), *(x.shape[1],) * len(slots))
    for place in reversed(range(len(slots))):
        if place not in free:
            result = np.tensordot(result, x[slots[place]], axes=(place + 1, 0))
    return result if free == sorted(free) else np.swapaxes(result, 1, 2)


def by_multiplicity(multiset: tuple[int, ...]) -> tuple[int, ...]:
    """The multiset with the most frequent vectors first, so that equal patterns line up."""
    counts = Counter(multiset)
    return tuple(sorted(multiset, key=lambda vector: (-counts[vector], vector)))
