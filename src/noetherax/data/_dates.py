"""Dates and durations of NumPy's as seconds, on one clock for all."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

SECONDS = {"W": 604_800, "D": 86_400, "h": 3600, "m": 60, "s": 1}
PARTS = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}
"""Of a second. All of them fit into 64 bits."""

FARTHEST = 2**53
"""Seconds from 1970 that float64 tells apart: 285 million years."""


class Instant(NamedTuple):
    """Whole seconds since 1970, and what is beyond them, in parts of 1e-18: a difference of two has no
    rounding but that of its result."""

    seconds: int
    attoseconds: int


def are_dates(array: np.ndarray) -> bool:
    return array.dtype.kind == "M"


def earliest(several: Iterable[Any]) -> Instant | None:
    """The first of all dates in some times, or `None` where there are none: one clock for all."""
    first = []
    for values in several:
        try:
            array = np.asarray(values)
        except ValueError:
            continue  # ragged, which is refused where times are read
        if are_dates(array) and not np.all(np.isnat(array)):
            seconds, attoseconds = _instants(np.nanmin(array)[None])
            first.append(Instant(int(seconds[0]), int(attoseconds[0])))
    return min(first, default=None)


def in_seconds(name: str, array: np.ndarray, epoch: Instant | None) -> np.ndarray:
    """Dates in seconds since an epoch, or durations in seconds."""
    unit, _ = np.datetime_data(array.dtype)
    if not are_dates(array) and unit not in SECONDS | PARTS:
        known = "have no unit" if unit == "generic" else "are in months or years of unlike length"
        raise TypeError(
            f"{name} are durations that {known} ({array.dtype}). Give dates, or durations in days or "
            "a shorter unit."
        )
    seconds, attoseconds = _instants(array)
    if epoch is not None and are_dates(array):
        seconds, attoseconds = seconds - epoch.seconds, attoseconds - epoch.attoseconds
    return seconds + attoseconds / PARTS["as"]


def _instants(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, and attoseconds beyond them, both as integers."""
    unit, count = np.datetime_data(array.dtype)
    if unit in ("Y", "M"):  # each of its own length
        array, unit, count = array.astype("datetime64[D]"), "D", 1
    whole = array.astype(np.int64)
    if unit in SECONDS:
        length = count * SECONDS[unit]
        if np.any(np.abs(whole.astype(float)) * length > FARTHEST):
            raise ValueError(
                f"Dates must be within {FARTHEST} seconds of 1970, and durations no longer, but these "
                f"are {array.min()} to {array.max()}."
            )
        return whole * length, np.zeros_like(whole)
    seconds, rest = np.divmod(whole, PARTS[unit])
    more, rest = np.divmod(rest * count, PARTS[unit])
    return seconds * count + more, rest * (PARTS["as"] // PARTS[unit])


def dates_of(entries: Sequence[str]) -> np.ndarray:
    """ISO dates, as finely as they are written. `ValueError` where one is none; NumPy warns of time
    zones."""
    for entry in entries:
        # To NumPy "now" and "today" are dates, and 20200130 is the first day of that year.
        if entry.lower() in ("now", "today") or (entry.isdigit() and len(entry) > 4):
            raise ValueError(f"{entry!r} is no date.")
    return np.array([entry.removesuffix("Z") for entry in entries], "datetime64")


def check_held(dates: np.ndarray, entries: Sequence[str]) -> None:
    """Raises where dates are too far from 1970 for as many decimals of seconds: they would wrap."""
    coarse = np.array([entry.removesuffix("Z") for entry in entries], "datetime64[s]")
    wrapped = np.flatnonzero((dates.astype("datetime64[s]") != coarse) & ~np.isnat(coarse))
    if len(wrapped):
        unit, _ = np.datetime_data(dates.dtype)
        raise ValueError(
            f"The date {entries[wrapped[0]]!r} does not fit into 64 bits in {unit}, the unit of the "
            "finest date of its column. Write fewer decimals of seconds."
        )
