"""From an affine algebra to its invariant features: closed forms where known, tensors otherwise."""

import itertools
import warnings

import numpy as np

from ..algebras import (
    AffineAlgebra,
    CheckedAlgebra,
    blocks,
    independent_rows,
    null_space,
    restrict,
    translations,
)
from ..features import (
    Concatenation,
    Coordinates,
    Determinants,
    InvariantFeatures,
    PeriodicCoordinates,
    ScalarProducts,
    StateVectors,
)
from ._errors import IllConditioned
from ._frame import Frame, centre, nested
from ._regularity import determinants_rank, warn_if_singular
from ._representation import invariant_tensors
from ._tensors import tensor_invariants

MANY_DETERMINANTS = 1000


def affine_invariants(
    algebra: CheckedAlgebra,
    points: int,
    name: str,
    determinants: bool,
    max_degree: int,
    periods: np.ndarray,
) -> InvariantFeatures:
    """Features of `points` points invariant under the group of `algebra`, block of axes by block.

    **Arguments:**

    - `algebra`: the generators and further components of the group.
    - `points`: number of points.
    - `name`: what messages call the group.
    - `periods`: of the coordinates, infinite for those without one.
    - `determinants`, `max_degree`: as in [`noetherax.AffineGroup.invariant_features`][].

    **Raises:**

    `ValueError` if no complete set is found, or if a coordinate with a period is mixed with others.
    """
    parts = invariant_parts(
        algebra, points, name, determinants, max_degree, periods, velocities=True
    )
    return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))


def invariant_parts(
    algebra: CheckedAlgebra,
    points: int,
    name: str,
    determinants: bool,
    max_degree: int,
    periods: np.ndarray,
    *,
    velocities: bool,
) -> list[InvariantFeatures]:
    """The same, one for each block of axes or two; of positions alone if not `velocities`."""
    balanced, unit = algebra.balanced, algebra.unit
    space = len(unit)
    parts: list[InvariantFeatures] = []
    for axes in blocks(balanced):
        block = restrict(balanced, axes)
        frame = Frame(points, space, axes, np.diag(unit[list(axes)]), velocities)
        linear = np.any(np.abs(block.linear) > block.tolerance)
        if not linear and not len(block.components):
            parts += _flat(block, frame, periods[list(axes)], name)
        elif np.any(np.isfinite(periods[list(axes)])):
            raise ValueError(_mixed(name, frame, periods[list(axes)]))
        elif (metric := _orthogonal_metric(block)) is not None:
            parts += _orthogonal(block, metric, frame, determinants)
        elif _is_special_linear(block):
            parts.append(_special_linear(block, frame, name))
        else:
            parts.append(tensor_invariants(block, frame, name, max_degree))
    return parts


def _flat(
    block: AffineAlgebra, frame: Frame, periods: np.ndarray, name: str
) -> list[InvariantFeatures]:
    """No linear part: coordinates along untranslated directions, differences along the others."""
    turning = np.isfinite(periods)
    moved = translations(block)
    # Directions that are coordinate axes are taken as such, so that nothing is rounded.
    projector = moved.T @ moved
    identity = np.eye(len(frame.axes))
    on_axes = np.abs(projector - np.diag(np.round(np.diag(projector)))).max() <= block.tolerance
    if on_axes:
        picked = np.round(np.diag(projector)).astype(bool)
        moved, fixed = identity[picked], identity[~picked]
        if np.any(turning):
            return _with_periods(frame, picked, periods)
    elif np.any(turning):
        raise ValueError(_mixed(name, frame, periods))
    else:
        inverse = np.linalg.inv(frame.coordinates)
        fixed, moved = null_space(moved, block.tolerance) @ inverse, moved @ inverse
        fixed, moved = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (fixed, moved))
    directions = nested(moved), nested(fixed)
    return [_coordinates(frame, frame.axes, *directions)]


def _with_periods(frame: Frame, moved: np.ndarray, periods: np.ndarray) -> list[InvariantFeatures]:
    """The same for axes of which some have a period, `moved` being those that are translated."""
    axes, turning = np.array(frame.axes), np.isfinite(periods)
    turned = PeriodicCoordinates(
        frame.points,
        frame.space,
        tuple(axes[turning].tolist()),
        tuple(periods[turning].tolist()),
        tuple(axes[turning & moved].tolist()),
        velocities=frame.velocities,
    )
    straight = tuple(axes[~turning].tolist())
    if not straight:
        return [turned]
    picked = moved[~turning]
    identity = np.eye(len(straight))
    directions = nested(identity[picked]), nested(identity[~picked])
    return [_coordinates(frame, straight, *directions), turned]


def _coordinates(frame: Frame, axes: tuple[int, ...], moved, fixed) -> Coordinates:
    about = frame.points, frame.space, axes
    return Coordinates(*about, moved, fixed, velocities=frame.velocities)


def _mixed(name: str, frame: Frame, periods: np.ndarray) -> str:
    axes = frame.axes
    found = [axis for axis, period in zip(axes, periods, strict=True) if np.isfinite(period)]
    return (
        f"{name} mixes or reflects the axes {axes}, or translates along a direction between them, and "
        f"coordinates with a period are among them (the axes {found}). Sine and cosine of a coordinate "
        "are invariant only if the group leaves that coordinate alone or translates along it. Write "
        f"{frame.own}."
    )


def _vectors(block: AffineAlgebra, frame: Frame) -> StateVectors:
    """The vectors that the linear part turns: relative to each other, or to the centre."""
    relative = len(translations(block)) > 0
    about = None if relative else centre(block)
    return frame.vectors(about, relative=relative)


def _is_complete(block: AffineAlgebra, dimension: int) -> bool:
    """Whether the linear parts span `dimension` directions, with all translations or none."""
    count, dim = block.shift.shape
    shifts = len(translations(block))
    if shifts not in (0, dim) or (shifts == 0 and centre(block) is None):
        return False
    return count - shifts == dimension  # generators are independent


def _is_special_linear(block: AffineAlgebra) -> bool:
    """Whether the block is *all* of sl(D), D > 1, whose only invariants are determinants."""
    dim = block.shift.shape[1]
    traceless = np.all(np.abs(np.trace(block.linear, axis1=1, axis2=2)) <= block.tolerance * dim)
    preserved = np.all(np.abs(np.linalg.det(block.components) - 1) <= block.tolerance * dim)
    return bool(traceless and preserved) and dim > 1 and _is_complete(block, dim**2 - 1)


def _special_linear(block: AffineAlgebra, frame: Frame, name: str) -> InvariantFeatures:
    vectors = _vectors(block, frame)
    if frame.velocities:
        subsets = list(itertools.combinations(range(vectors.num_vectors), vectors.dim))
        rank = determinants_rank(np.array(subsets), frame.points, vectors.dim, vectors.num_vectors)
        warn_if_singular(rank, frame.points, frame.axes, name, depth=3)
    return Determinants(vectors)


def _orthogonal_metric(block: AffineAlgebra) -> np.ndarray | None:
    """The metric G if the block is *all* of so(G), with all translations or none; else `None`."""
    dim = block.shift.shape[1]
    if dim < 2 or not _is_complete(block, dim * (dim - 1) // 2):
        return None
    dual = -np.swapaxes(block.linear, 1, 2)
    try:
        forms = invariant_tensors([dual, dual], [np.zeros((0, dim, dim))] * 2, block.tolerance)
    except IllConditioned:
        return None  # the general route tries other coordinates
    symmetric = forms + np.swapaxes(forms, 1, 2)
    rows = symmetric.reshape(len(forms), dim * dim)
    symmetric = symmetric[independent_rows(rows, block.tolerance)]
    if len(symmetric) != 1:
        return None
    metric = symmetric[0]
    first = metric.ravel()[np.argmax(np.abs(metric.ravel()) > block.tolerance)]
    metric = metric / first
    if np.linalg.cond(metric) > 1 / np.sqrt(block.tolerance):
        return None
    kept = np.swapaxes(block.components, 1, 2) @ metric @ block.components
    if not np.all(np.abs(kept - metric) <= block.tolerance * dim):
        return None
    return metric


def _orthogonal(
    block: AffineAlgebra, metric: np.ndarray, frame: Frame, determinants: bool
) -> list[InvariantFeatures]:
    """All products, and all determinants unless a reflection turns them (Weyl's first fundamental
    theorem for SO(G) and O(G))."""
    vectors = _vectors(block, frame)
    # Exact where it is meant to be. What is zero shows in units in which all axes are alike.
    metric = frame.covariant(np.where(np.abs(metric) <= 10 * block.tolerance, 0, metric))
    whole = np.abs(metric - np.round(metric)) <= 10 * block.tolerance * np.abs(metric)
    metric = np.where(whole, np.round(metric), metric)
    identity = np.array_equal(metric, np.eye(len(frame.axes)))
    parts: list[InvariantFeatures] = [ScalarProducts(vectors, None if identity else nested(metric))]
    reflected = np.any(np.linalg.det(block.components) < 0)
    if determinants and not reflected and (count := Determinants(vectors).num_features):
        if count > MANY_DETERMINANTS:
            warnings.warn(
                f"{count} determinants of {vectors.num_vectors} vectors in {len(frame.axes)} "
                f"dimensions are listed beside {parts[0].num_features} products. Pass "
                "determinants=False to leave them out; the features are then invariant under "
                "reflections too.",
                stacklevel=6 if frame.velocities else 8,  # Equinox adds a frame to methods
            )
        parts.append(Determinants(vectors))
    return parts
