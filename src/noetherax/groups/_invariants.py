"""From an affine algebra to its invariant features: closed forms where known, tensors otherwise."""

import warnings

import numpy as np

from ..features import (
    Concatenation,
    Coordinates,
    Determinants,
    InvariantFeatures,
    ScalarProducts,
    StateVectors,
)
from ._algebra import AffineAlgebra, independent_rows, null_space, translations
from ._blocks import blocks, restrict
from ._tensors import tensor_invariants

MANY_DETERMINANTS = 1000


def affine_invariants(
    algebra: AffineAlgebra, points: int, name: str, determinants: bool, max_degree: int
) -> InvariantFeatures:
    """Features of `points` points invariant under the group of `algebra`, block of axes by block."""
    space = algebra.shift.shape[1]
    parts: list[InvariantFeatures] = []
    for axes in blocks(algebra):
        block = restrict(algebra, axes)
        if not np.any(np.abs(block.linear) > block.tolerance):
            parts.append(_flat(block, points, space, axes))
        elif (metric := _orthogonal_metric(block)) is not None:
            parts += _orthogonal(block, metric, points, space, axes, determinants)
        else:
            parts.append(tensor_invariants(block, points, space, axes, name, max_degree))
    return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))


def _flat(
    block: AffineAlgebra, points: int, space: int, axes: tuple[int, ...]
) -> InvariantFeatures:
    """No linear part: coordinates along untranslated directions, differences along the others."""
    moved = translations(block)
    # Directions that are coordinate axes are taken as such, so that nothing is rounded.
    projector = moved.T @ moved
    identity = np.eye(len(axes))
    on_axes = np.abs(projector - np.diag(np.round(np.diag(projector)))).max() <= block.tolerance
    if on_axes:
        picked = np.round(np.diag(projector)).astype(bool)
        moved, fixed = identity[picked], identity[~picked]
    else:
        fixed = null_space(moved, block.tolerance)
    return Coordinates(points, space, axes, _nested(moved), _nested(fixed))


def _orthogonal_metric(block: AffineAlgebra) -> np.ndarray | None:
    """The metric G if the block is *all* of so(G), with all translations or none; else `None`."""
    count, dim = block.shift.shape
    linear_rows = independent_rows(block.linear.reshape(count, -1), block.tolerance)
    shifts = len(translations(block))
    if dim < 2 or len(linear_rows) != dim * (dim - 1) // 2 or shifts not in (0, dim):
        return None
    if shifts == 0 and centre(block) is None:
        return None
    # Invariant bilinear forms: Aᵀ G + G A = 0 for all generators, and G symmetric.
    identity = np.eye(dim)
    conditions = [np.kron(a.T, identity) + np.kron(identity, a.T) for a in block.linear]
    swap = np.eye(dim * dim).reshape(dim, dim, dim * dim).transpose(1, 0, 2)
    conditions.append(np.eye(dim * dim) - swap.reshape(dim * dim, dim * dim))
    forms = null_space(np.concatenate(conditions), block.tolerance * dim)
    if len(forms) != 1:
        return None
    metric = forms[0].reshape(dim, dim)
    # Scaled so that its largest entry is 1, a diagonal one where there is a choice.
    weight = np.abs(metric) + block.tolerance * np.eye(dim)
    metric = metric / metric.ravel()[np.argmax(weight)]
    if np.linalg.cond(metric) > 1 / np.sqrt(block.tolerance):
        return None
    rounded = np.round(metric)
    return rounded if np.abs(metric - rounded).max() <= 10 * block.tolerance else metric


def _orthogonal(
    block: AffineAlgebra,
    metric: np.ndarray,
    points: int,
    space: int,
    axes: tuple[int, ...],
    determinants: bool,
) -> list[InvariantFeatures]:
    """All products, and all determinants (Weyl's first fundamental theorem for SO(G))."""
    relative = len(translations(block)) > 0
    about = None if relative else centre(block)
    vectors = StateVectors(
        points, space, axes, None if about is None else tuple(about.tolist()), relative=relative
    )
    identity = np.array_equal(metric, np.eye(len(axes)))
    parts: list[InvariantFeatures] = [
        ScalarProducts(vectors, None if identity else _nested(metric))
    ]
    if determinants and (count := Determinants(vectors).num_features):
        if count > MANY_DETERMINANTS:
            warnings.warn(
                f"{count} determinants of {vectors.num_vectors} vectors in {len(axes)} dimensions "
                f"are listed beside {parts[0].num_features} products. Pass determinants=False to "
                "leave them out; the features are then invariant under reflections too.",
                stacklevel=5,
            )
        parts.append(Determinants(vectors))
    return parts


def centre(block: AffineAlgebra) -> np.ndarray | None:
    """A point c that the group moves along its own translations only, A_a c + b_a ∈ B; or `None`."""
    moved = translations(block)
    beyond = np.eye(block.shift.shape[1]) - moved.T @ moved
    linear = np.concatenate([beyond @ a for a in block.linear])
    shift = np.concatenate([beyond @ b for b in block.shift])
    point, *_ = np.linalg.lstsq(linear, -shift, rcond=block.tolerance)
    scale = max(1.0, float(np.abs(shift).max(initial=0.0)))
    if np.abs(linear @ point + shift).max(initial=0.0) > block.tolerance * scale * len(point):
        return None
    return np.where(np.abs(point) <= block.tolerance, 0.0, point)


def _nested(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
