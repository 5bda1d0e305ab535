"""Whether samples lie at equal intervals of time, as far as their times are known."""

from collections.abc import Sequence

import numpy as np

from ._recording import Recording

EQUAL = 1e-6
"""Of an interval: what a time may be off an even grid. Motion in so short a time is below the noise of
any instrument, and a program that adds up its steps drifts by less."""
ROUNDINGS = 4
"""Rounding errors of the times themselves, which are visible in Julian dates."""
STRETCH = 50
"""Intervals, at least, whose median is typical: that of random ones varies by a fifth."""
DECIMALS = 0.05
"""Of an interval: times that are written to so few decimals are taken for rounded, coarser ones not, so
that whole numbers 0, 1, 3, 4, 6 remain what they are."""


def even_interval(recordings: Sequence[np.ndarray]) -> float | None:
    """The interval that all recordings share, or `None` if their samples lie on no even grid."""
    steps = sum(len(t) - 1 for t in recordings)
    if not steps:
        return None
    interval = sum(float(t[-1] - t[0]) for t in recordings) / steps
    shared = all(_is_even(t, interval) for t in recordings)
    return interval if shared else None


def typical_intervals(recordings: Sequence[np.ndarray]) -> tuple[float, float]:
    """The shortest and the longest of the medians of intervals, in parts of all recordings."""
    medians = []
    for steps in map(np.diff, recordings):
        parts = np.array_split(steps, min(20, max(1, len(steps) // STRETCH)))
        medians += [float(np.median(x)) for x in parts if len(x)]
    return min(medians, default=1.0), max(medians, default=1.0)


def _is_even(t: np.ndarray, interval: float) -> bool:
    since = t - t[0]
    off = since - interval * np.arange(len(t))
    return bool(
        np.ptp(off) / 2 <= EQUAL * interval + _rounding(t, interval) + _decimals(t, interval)
    )


def _rounding(t: np.ndarray, interval: float) -> float:
    """That of float32 where times come from there and it is small, else that of float64."""
    size = ROUNDINGS * float(np.max(np.abs(t)))
    with np.errstate(over="ignore"):
        single = np.all(t.astype(np.float32) == t)
    coarse = size * float(np.finfo(np.float32).eps)
    return coarse if single and coarse <= DECIMALS * interval else size * np.finfo(t.dtype).eps


def _decimals(t: np.ndarray, interval: float) -> float:
    """The last decimal that times are written to, if they are, and it is small; else zero."""
    power = int(np.floor(np.log10(DECIMALS * interval)))
    for exponent in range(power, power - 5, -1):
        # A power of ten is exact where it multiplies, not where it divides.
        places = t * 10.0**-exponent if exponent < 0 else t / 10.0**exponent
        rounding = ROUNDINGS * np.finfo(t.dtype).eps * np.abs(places)
        if np.all(rounding < 0.1) and np.all(np.abs(places - np.rint(places)) <= rounding):
            return 10.0**exponent
    return 0.0


def described(recordings: Sequence[Recording]) -> str:
    """How many recordings and samples there are, over what time and at what intervals."""
    samples, spans = ([f(x) for x in recordings] for f in (len, lambda x: x.span))
    count, times = len(samples), [x.t for x in recordings]
    each = f" ({_range(samples)} each)" if count > 1 else ""
    interval = even_interval(times)
    if interval is None:
        steps = np.concatenate([np.diff(t) for t in times])
        spacing = f"irregular intervals of {_range(steps)}, median {np.median(steps):.6g}"
    else:
        spacing = f"every {interval:.6g}"
    return (
        f"{count} recording{'s' * (count > 1)}, {sum(samples)} samples{each}\n"
        f"  span {_range(spans)}, {spacing}"
    )


def _range(values) -> str:
    low, high = (f"{f(values):.6g}" for f in (min, max))
    return low if low == high else f"{low} to {high}"
