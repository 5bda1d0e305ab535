from collections.abc import Iterable

import numpy as np


def select_axes(space: int, axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes a group acts on, all by default. Raises if they are none, or not distinct axes of the
    space."""
    if not isinstance(space, int | np.integer) or space < 1:
        raise ValueError(f"space must be a positive integer, but it is {space!r}.")
    if axes is None:
        return tuple(range(space))
    axes = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    if not axes:
        raise ValueError(
            f"axes must name at least one of the {space} axes of the space, but it is empty. A group "
            "that does nothing is noetherax.Trivial(space)."
        )
    valid = all(isinstance(axis, int | np.integer) and 0 <= axis < space for axis in axes)
    if not valid or len(set(axes)) != len(axes):
        raise ValueError(
            f"axes must be distinct integers from 0 to {space - 1} (the space has {space} axes), "
            f"but they are {axes}."
        )
    return tuple(int(axis) for axis in axes)
