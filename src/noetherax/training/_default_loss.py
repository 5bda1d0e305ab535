"""The loss where none is named."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import PyTree

from ..losses import AccelerationLoss, RelativeAccelerationLoss
from ._observed import states_of

RULED = 10
"""Ratio of mean and median of the squares of accelerations from which on a few samples rule. That of
normal numbers is 2."""

OF_MEDIAN, OF_MEAN = 0.1, 0.01
"""The floor of the relative loss, in units of the median and of the root mean square: the larger of
the two, since the median may be noise where most samples move freely."""


def suited(given: Callable | None, looks: Sequence[PyTree]) -> tuple[Callable, str]:
    """A loss and, where it is not simply the first to try, why in words: the one given; else that of
    accelerations, relative to them if a few samples would rule. `looks` are stacked first batches."""
    if given is not None:
        return given, ""
    loss = AccelerationLoss()
    squares = [_squares(loss, drawn) for drawn in looks]
    squares = np.concatenate([x[np.isfinite(x)] for x in squares])
    floor = relative_floor(squares)
    if floor is None:
        return loss, ""
    why = (
        f"RelativeAccelerationLoss({floor:g}), since a few samples rule the plain one: the mean square "
        f"of the accelerations is {np.mean(squares) / np.median(squares):.3g} times the median"
    )
    return RelativeAccelerationLoss(floor), why


def relative_floor(squares: np.ndarray) -> float | None:
    """The floor of a relative loss for accelerations of these squares, or `None` where no few of them
    would rule a plain one."""
    mean, median = (float(f(squares)) if len(squares) else 0.0 for f in (np.mean, np.median))
    if not mean > RULED * median > 0:
        return None
    return float(f"{max(OF_MEDIAN * median**0.5, OF_MEAN * mean**0.5):.1e}")


def _squares(loss: AccelerationLoss, drawn: PyTree) -> np.ndarray:
    states = states_of(loss, drawn)
    a = None if states is None else states[2]
    return np.empty(0) if a is None else np.sum(np.asarray(a, float) ** 2, axis=(1, 2))
