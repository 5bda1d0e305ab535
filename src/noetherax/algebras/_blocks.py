"""Splits an affine algebra into factors that act on disjoint axes.

Invariants of a direct product of groups that act on different coordinates are those of its factors,
so each block of axes is treated alone, which is also what keeps the general route small.
"""

from collections.abc import Iterable

import numpy as np

from ._algebra import AffineAlgebra
from ._spans import independent_rows


def blocks(algebra: AffineAlgebra) -> list[tuple[int, ...]]:
    """The finest partition of the axes such that the group is the direct product of its restrictions.

    Axes without a linear part (fixed or translated) are kept together in one block.
    """
    space = algebra.shift.shape[1]
    maps = [*algebra.components - np.eye(space)]
    linear = [*algebra.linear / np.maximum(_sizes(algebra), 1e-300)[:, None, None], *maps]
    moved = np.abs(linear).max(axis=0, initial=0.0) if linear else np.zeros((space, space))
    coupled = moved > algebra.tolerance
    coupled = coupled | coupled.T
    flat = tuple(axis for axis in range(space) if not coupled[axis].any())
    partition = [flat] if flat else []
    partition += connected(coupled, [axis for axis in range(space) if axis not in flat])
    # Elements that act on several blocks at once tie these together.
    for change in maps:
        touched = [axes for axes in partition if np.any(np.abs(change[list(axes)]) > 0)]
        partition = _merge(partition, touched)
    while tied := _first_tied(algebra, partition):
        partition = _merge(partition, tied)
    return sorted(partition)


def restrict(algebra: AffineAlgebra, axes: tuple[int, ...]) -> AffineAlgebra:
    """The independent generators of an algebra on `axes` that it does not mix with others."""
    index = np.array(axes, int)
    linear = algebra.linear[:, index[:, None], index]
    shift = algebra.shift[:, index]
    rows = np.concatenate([linear.reshape(len(linear), len(index) ** 2), shift], axis=1)
    if len(axes) == algebra.shift.shape[1]:
        chosen = list(range(len(rows)))  # generators are independent
    else:
        # Relative to the whole generator: what is only rounding of it on other axes is none here.
        whole = np.maximum(_sizes(algebra), 1e-300)[:, None]
        chosen = independent_rows(rows / whole, algebra.tolerance)
    # Of unit size, so that tolerances mean the same whatever the unit of a generator.
    size = np.linalg.norm(rows[chosen], axis=1)
    linear, shift = linear[chosen] / size[:, None, None], shift[chosen] / size[:, None]
    components = algebra.components[:, index[:, None], index]
    acting = np.any(components != np.eye(len(index)), axis=(1, 2))
    return AffineAlgebra(linear, shift, algebra.tolerance, components[acting])


def _sizes(algebra: AffineAlgebra) -> np.ndarray:
    return np.linalg.norm(algebra.homogeneous, axis=(1, 2))


def connected(coupled: np.ndarray, axes: Iterable[int]) -> list[tuple[int, ...]]:
    """Parts of `axes` without a coupling between them, from a symmetric matrix of couplings."""
    components: list[tuple[int, ...]] = []
    remaining = set(axes)
    while remaining:
        component, frontier = set(), {min(remaining)}
        while frontier:
            component |= frontier
            reached = {int(k) for axis in frontier for k in np.flatnonzero(coupled[axis])}
            frontier = reached - component
        components.append(tuple(sorted(component)))
        remaining -= component
    return components


def _merge(
    partition: list[tuple[int, ...]], together: list[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    if len(together) < 2:
        return partition
    merged = tuple(sorted(axis for axes in together for axis in axes))
    return [axes for axes in partition if axes not in together] + [merged]


def _first_tied(algebra: AffineAlgebra, partition: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Blocks on which the algebra acts jointly, not as a direct sum; pairs first, else all of them."""

    def dimension(axes: tuple[int, ...]) -> int:
        return len(restrict(algebra, axes).shift)

    sizes = [dimension(axes) for axes in partition]
    if sum(sizes) == len(algebra.shift):
        return []
    for first in range(len(partition)):
        for second in range(first + 1, len(partition)):
            joint = dimension(partition[first] + partition[second])
            if joint < sizes[first] + sizes[second]:
                return [partition[first], partition[second]]
    return partition if len(partition) > 1 else []
