"""Distances between motions, in units of the motion itself."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ._record import Measure

REST = 1e-6
"""Of the largest motion: what moves less is at rest, and measured by the largest."""

SIZE = "size of the motion"
EXPLAINED = "mean square of the acceleration"

Motions = Float[np.ndarray, "motions times points space"]
Periods = Float[np.ndarray, "points space"]
"""Of coordinates that are angles; others have none, NaN or infinity."""


class Reference(NamedTuple):
    """Motions to compare with.

    - `ts`: times since the start, shape `(motions, times)`, increasing.
    - `q`, `v`: positions and velocities, shape `(motions, times, points, space)`.
    - `known`: which of the times belong to the motion; the others only fill the array.
    - `periods`: of angles.
    - `start`: times of the first states as a recording counts them, shape `(motions,)`; `None` where
        they are zero.
    - `u`: inputs, shape `(motions, times, inputs)`, where they were recorded.
    """

    ts: Float[np.ndarray, "motions times"]
    q: Motions
    v: Motions
    known: Bool[np.ndarray, "motions times"]
    periods: Periods
    start: Float[np.ndarray, " motions"] | None = None
    u: Float[np.ndarray, "motions times inputs"] | None = None


def apart(a: Motions, b: Motions, periods: Periods) -> np.ndarray:
    """‖q_a − q_b‖ at each time, angles the shorter way round; infinite where one is not finite."""
    angle = np.isfinite(periods)
    turn = np.where(angle, periods, 1.0)
    with np.errstate(all="ignore"):
        difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        turned = difference - turn * np.round(difference / turn)
        length = norm(np.where(angle, turned, difference))
    return np.where(np.isfinite(length), length, np.inf)


def sizes(reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Of every motion the largest distance from its mean, of q and of v, each of shape `(motions,)`. An
    angle counts for half a turn at most, its velocity does not."""
    half = np.where(np.isfinite(reference.periods), reference.periods / 2, np.inf)
    return _size(reference.q, reference.known, half), _size(reference.v, reference.known, np.inf)


def _size(x: Motions, known, most: float | np.ndarray) -> np.ndarray:
    weight = known[:, :, None, None]
    mean = np.sum(x * weight, axis=1, keepdims=True) / np.sum(weight, axis=1, keepdims=True)
    return np.max(norm(np.clip(x - mean, -most, most) * weight), axis=1)


def scales(reference: Reference) -> np.ndarray:
    """Sizes of motions to measure distances by.

    **Raises:**

    `ValueError` if nothing moves.
    """
    found = sizes(reference)[0]
    largest = np.max(found)
    if not largest > 0:
        raise ValueError(
            "Nothing moves in what the model is to be judged by, so that there is no distance to "
            "measure errors in. Take other initial states or longer times."
        )
    return np.where(found > REST * largest, found, largest)


def errors_of(q: Motions, reference: Reference) -> np.ndarray:
    """Distance from the reference over its size; NaN at times that are not known."""
    error = apart(q, reference.q, reference.periods) / scales(reference)[:, None]
    return np.where(reference.known, error, np.nan)


def largest(series) -> np.ndarray:
    """Of every row, but for NaN."""
    return np.max(np.where(np.isnan(series), -np.inf, series), axis=1)


def distance_measures(errors, ts, threshold: float, suffix: str = "") -> dict[str, Measure]:
    """Distance and horizon of motions."""
    passed = errors > threshold
    last = np.max(np.where(np.isnan(errors), -np.inf, ts), axis=1)
    first = np.take_along_axis(ts, np.argmax(passed, axis=1)[:, None], axis=1)[:, 0]
    part = np.where(np.any(passed, axis=1), first, last) / last
    until = f"time followed (error below {threshold:g})"
    return {
        f"distance{suffix}": Measure(largest(errors), 0.0, SIZE),
        f"horizon{suffix}": Measure(part, 1.0, until),
    }


def explained(found, true, known) -> np.ndarray:
    """1 − Σ ‖a − â‖²/Σ ‖a‖² of every motion, minus infinity where it is not finite. All of nothing is
    explained by nothing."""
    weight = known[:, :, None, None]
    unit = np.max(np.abs(np.where(weight, true, 0))) or 1.0  # squares must not overflow
    with np.errstate(all="ignore"):
        miss = np.sum(np.where(weight, (found - true) / unit, 0) ** 2, axis=(1, 2, 3))
        size = np.sum(np.where(weight, true / unit, 0) ** 2, axis=(1, 2, 3))
        share = 1 - np.where(miss == 0, 0, miss / size)
    return np.where(np.isfinite(share), share, -np.inf)


def norm(x) -> np.ndarray:
    """Over the last two axes."""
    size = np.max(np.abs(x), axis=(-2, -1), keepdims=True, initial=0)
    unit = np.where((size > 0) & np.isfinite(size), size, 1)
    return np.sqrt(np.sum(np.square(x / unit), axis=(-2, -1))) * unit[..., 0, 0]
