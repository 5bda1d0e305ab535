"""Splits an affine algebra into factors that act on disjoint axes.

Invariants of a direct product of groups that act on different coordinates are those of its factors,
so each block of axes is treated alone, which is also what keeps the general route small.
"""

import numpy as np

from ._algebra import AffineAlgebra, independent_rows


def blocks(algebra: AffineAlgebra) -> list[tuple[int, ...]]:
    """The finest partition of the axes such that the algebra is the direct sum of its restrictions.

    Axes without a linear part (fixed or translated) are kept together in one block.
    """
    space = algebra.shift.shape[1]
    size = max(np.abs(algebra.linear).max(initial=0.0), 1e-300)
    coupled = np.abs(algebra.linear).max(axis=0, initial=0.0) > algebra.tolerance * size
    coupled = coupled | coupled.T
    flat = tuple(axis for axis in range(space) if not coupled[axis].any())
    partition = [flat] if flat else []
    partition += _components(coupled, [axis for axis in range(space) if axis not in flat])
    # Generators that act on several blocks at once tie these together.
    while (tied := _first_tied(algebra, partition)) is not None:
        merged = tuple(sorted(axis for index in tied for axis in partition[index]))
        partition = [block for index, block in enumerate(partition) if index not in tied]
        partition.append(merged)
    return sorted(partition)


def restrict(algebra: AffineAlgebra, axes: tuple[int, ...]) -> AffineAlgebra:
    """The independent generators of an algebra on `axes` that it does not mix with others."""
    index = np.array(axes, int)
    linear = algebra.linear[:, index[:, None], index]
    shift = algebra.shift[:, index]
    rows = np.concatenate([linear.reshape(len(linear), len(index) ** 2), shift], axis=1)
    chosen = independent_rows(rows, algebra.tolerance)
    # Of unit size, so that tolerances mean the same whatever the unit of a generator.
    size = np.linalg.norm(rows[chosen], axis=1)
    linear, shift = linear[chosen] / size[:, None, None], shift[chosen] / size[:, None]
    return AffineAlgebra(linear, shift, algebra.tolerance)


def _components(coupled: np.ndarray, axes: list[int]) -> list[tuple[int, ...]]:
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


def _first_tied(algebra: AffineAlgebra, partition: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Blocks on which the algebra acts jointly, not as a direct sum; pairs first, else all of them."""

    def dimension(axes: tuple[int, ...]) -> int:
        return len(restrict(algebra, axes).shift)

    sizes = [dimension(block) for block in partition]
    everything = tuple(range(algebra.shift.shape[1]))
    if sum(sizes) == dimension(everything):
        return None
    for first in range(len(partition)):
        for second in range(first + 1, len(partition)):
            joint = dimension(partition[first] + partition[second])
            if joint < sizes[first] + sizes[second]:
                return first, second
    return tuple(range(len(partition)))
