"""Coordinates of a period: jumps that are none."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._recording import Recording

TURNS = {2 * math.pi: "2π", 360.0: "360"}
"""A full turn in the two units of angles."""
JUMP, REST = 0.75, 0.25
"""Of a turn: what looks like a jump of one, and what all other steps are below if it is."""
AMBIGUOUS = 0.45
"""Of a period: steps from here on do not tell in which direction they went."""


def check_periods(periods: Any, points: int, space: int) -> np.ndarray:
    """Periods of shape `(points, space)`: NaN where nothing is said, infinite where there is none."""
    if periods is None:
        return np.full((points, space), np.nan)
    try:
        array = np.array(periods, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape == (space,):  # of a group: the same for every point
        array = np.broadcast_to(array, (points, space)).copy()
    if array.shape != (points, space) or np.any(array <= 0):
        raise ValueError(
            f"periods must be positive numbers of shape (points, space) = ({points}, {space}): the "
            "period of an angle, None where nothing is said, and infinity for a coordinate that is "
            f"no angle though it jumps; but they are {periods!r}."
        )
    return array


def entry_of(point: int, axis: int) -> str:
    """Of a coordinate in an array, for a reader."""
    return f"Coordinate {axis} of point {point}"


def unwrapped(
    recordings: Sequence[Recording],
    periods: np.ndarray,
    column: Callable[[int, int], str] = entry_of,
    row: Callable[[int], str] = "sample {}".format,
) -> list[Recording]:
    """Recordings whose periodic coordinates go on where they jumped by a period. Warns of a coordinate
    that jumps by a turn and is not declared, and of steps too long to say which way they went."""
    for recording in recordings:
        _warn_of_jumps(recording, periods, column, row)
    if not np.any(np.isfinite(periods)):
        return list(recordings)
    return [_unwrapped(recording, periods, column, row) for recording in recordings]


def _unwrapped(recording: Recording, periods, column, row) -> Recording:
    q = np.array(recording.q)
    for point, axis in np.argwhere(np.isfinite(periods)).tolist():
        period = periods[point, axis]
        q[:, point, axis] = np.unwrap(q[:, point, axis], period=period)
        steps = np.abs(np.diff(q[:, point, axis])) / period
        longest = int(np.argmax(steps))
        if steps[longest] > AMBIGUOUS:
            warnings.warn(
                f"{column(point, axis)} of recording {recording.name!r} moves by "
                f"{steps[longest]:.2g} of its period {period:.6g} from {row(longest)} to "
                "the next one. From half a period on samples do not tell in which direction it went.",
                stacklevel=2,
            )
    return Recording(recording.name, **(recording.arrays | {"q": q}))


def _warn_of_jumps(recording: Recording, periods, column, row) -> None:
    for point, axis in np.argwhere(np.isnan(periods)).tolist():
        x = recording.q[:, point, axis]
        steps = np.abs(np.diff(x))
        for turn, name in TURNS.items():
            jumps = steps >= JUMP * turn
            # What is wrapped never leaves one turn, and moves little but for its jumps.
            wrapped = np.any(jumps) and np.ptp(x) <= turn * (1 + 1e-6)
            if not wrapped or np.any(steps[~jumps] > REST * turn):
                continue
            first = int(np.argmax(jumps))
            warnings.warn(
                f"{column(point, axis)} of recording {recording.name!r} jumps by nearly {name}, "
                f"first from {x[first]:.6g} at {row(first)} to {x[first + 1]:.6g}, and "
                f"moves by less than {max(steps[~jumps], default=0.0):.3g} between other samples. If "
                "it is an angle, declare its period and jumps are taken out: see periods. If it is "
                "none, declare an infinite one, and this warning is not shown.",
                stacklevel=2,
            )
            break
