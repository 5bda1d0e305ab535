"""The general route: polynomial invariants of any affine algebra from its invariant tensors.

The polynomial invariants of degree k are the contractions of invariant tensors of rank k with the
vectors of the state. Tensors are found degree by degree; those that are polynomials in invariants of
lower degree are dropped; the result is complete when there are as many independent features as the
state has coordinates beyond the orbits of the group.
"""

import numpy as np

from ..algebras import AffineAlgebra, null_space, translations
from ..features import InvariantFeatures, StateVectors
from ._conditioning import well_conditioned
from ._errors import NEARLY, IllConditioned, Incomplete, TooManyTensors
from ._frame import Frame, centre
from ._generic_state import jacobian_rank, largest_change, moved, velocity_rank, verify
from ._regularity import warn_if_singular
from ._search import Search, Slots

LARGEST_TENSOR = 4096
"""Tensors of more entries than this are not searched for."""

NEAR = 1e-3
"""Generators that leave tensors alone to this are said to do so nearly, if they miss others."""


def tensor_invariants(
    block: AffineAlgebra, frame: Frame, name: str, max_degree: int
) -> InvariantFeatures:
    """Contractions of invariant tensors, complete up to a finite ambiguity, or else an error."""
    needed = _independent_count(block, frame)
    try:
        return _tensor_invariants(block, frame, name, max_degree, needed)
    except IllConditioned as error:
        # Not at first: other coordinates make integers of most groups of physics irrational.
        try:
            return _tensor_invariants(*well_conditioned(block, frame), name, max_degree, needed)
        except (IllConditioned, Incomplete):
            raise error from None  # which shows the group in the coordinates of the user


def _tensor_invariants(
    block: AffineAlgebra, frame: Frame, name: str, max_degree: int, needed: int
) -> InvariantFeatures:
    points, axes = frame.points, frame.axes
    vectors, slots, anchor = _vectors(block, frame)
    kinds = [slots] * (vectors.num_vectors - vectors.anchored)
    if vectors.anchored:
        kinds.append(anchor)
    search = Search(block, vectors, kinds)
    least = min(len(axes), max_degree)
    own = f"or write {frame.own}"
    degree, found = 0, 0
    while degree < max_degree and (found < needed or degree < least):
        if vectors.dim ** (degree + 1) > LARGEST_TENSOR:
            break
        degree += 1
        try:
            search.extend(degree)
        except TooManyTensors as error:
            if found == needed:
                break
            raise ValueError(
                f"On the axes {axes} of {name} there are {error}, too many to list as features. Let "
                f"the group act on fewer axes, {own}."
            ) from error
        found = jacobian_rank(search)
    if found < needed:
        counted = f"2·{points}" if frame.velocities else f"{points}"
        space = "state" if frame.velocities else "configuration"
        _refuse_if_nearly_invariant(block, vectors, kinds, needed, degree, axes, name)
        raise Incomplete(
            f"On the axes {axes} of {name}, {points} point(s) have {needed} independent invariants "
            f"({counted}·{len(axes)} coordinates of the {space} minus the dimension of the orbits), "
            f"but polynomials up to degree {degree} give {found}. The bound is max_degree="
            f"{max_degree}, and tensors of at most {LARGEST_TENSOR} entries, here {vectors.dim}^degree"
            f". Raise max_degree, {own}: invariants need not be polynomials."
        )
    verify(search)
    if frame.velocities:
        warn_if_singular(velocity_rank(search), points, axes, name, depth=4)
    return search.features(frame)


def _refuse_if_nearly_invariant(block, vectors, kinds, needed: int, degree: int, axes, name: str):
    """Raises if generators that differ a little would have all the invariants that are missing."""
    near = Search(block._replace(tolerance=NEAR), vectors, kinds)
    try:
        for lower in range(1, min(degree, 3) + 1):
            near.extend(lower)
    except (TooManyTensors, IllConditioned):
        return
    if jacobian_rank(near) >= needed:
        change = largest_change(near)
        raise Incomplete(
            f"On the axes {axes} of {name} there are {needed} independent polynomials that the "
            f"generators nearly leave alone: they change them by {change:.2g} of their slope, where "
            f"rounding explains {block.tolerance:.1g}. {NEARLY}"
        )


def _vectors(block: AffineAlgebra, frame: Frame) -> tuple[StateVectors, Slots, Slots]:
    """The vectors of the state and how covectors on them transform (section 5 of the design)."""
    shifts, about = translations(block), centre(block)
    dim = len(frame.axes)
    linear, maps = -np.swapaxes(block.linear, 1, 2), _dual(block.components)
    if about is not None:
        relative = len(shifts) > 0
        anchored = 0 < len(shifts) < dim
        vectors = frame.vectors(about, relative=relative, anchored=anchored)
        slots = Slots(linear, maps, np.eye(dim))
        # The absolute position is known up to translations: only covectors that vanish on them.
        across = null_space(shifts, block.tolerance)
        return vectors, slots, Slots(across @ linear @ across.T, across @ maps @ across.T, across)
    vectors = frame.vectors(None, relative=True, anchored=True)
    homogeneous = np.zeros((len(maps), dim + 1, dim + 1))
    homogeneous[:, :dim, :dim], homogeneous[:, dim, dim] = maps, 1.0
    anchor = Slots(-np.swapaxes(block.homogeneous, 1, 2), homogeneous, np.eye(dim + 1))
    return vectors, Slots(linear, maps, np.eye(dim, dim + 1)), anchor


def _dual(maps: np.ndarray) -> np.ndarray:
    return np.swapaxes(np.linalg.inv(maps), 1, 2)


def _independent_count(block: AffineAlgebra, frame: Frame) -> int:
    """Coordinates of a state, or of a configuration, minus the dimension of a generic orbit on them."""
    q, v = np.random.default_rng(1).normal(size=(2, frame.points, block.shift.shape[1]))
    orbit = moved(block, q, v if frame.velocities else None)
    rank = np.linalg.matrix_rank(orbit, tol=1e3 * block.tolerance)
    return orbit.shape[1] - int(rank)
