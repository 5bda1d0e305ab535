"""Dates in digits alone, such as 20200130, which are numbers to a computer."""

import warnings
from collections.abc import Sequence

import numpy as np

from ._recording import Recording

DIGITS = {8: "D", 12: "m", 14: "s"}
"""Of a year, month and day, and with them of hours and minutes, and of seconds; the unit of each."""

YEARS = 1500, 2200
"""Within which digits are taken for a date: counters are seldom there."""


def warn_of_compact_dates(name: str, recordings: Sequence[Recording]) -> None:
    """Times such as 20200131 and 20200201 are a day apart if they are dates, and 70 apart if they are
    numbers. They may be either, so this only says how they are taken."""
    times = [recording.t for recording in recordings]
    dates = compact_dates(np.concatenate(times))
    if dates is None:
        return
    steps = ", ".join(f"{step:.10g}" for step in np.diff(times[0])[:3])
    first, more = f"{times[0][0]:.0f}", ", …" * (len(times[0]) > 4)
    warnings.warn(
        f"{name} all read as dates without hyphens, the first, {first}, as {dates[0]}, but are taken "
        f"as the numbers that they are, with steps of {steps}{more}. If they are dates, write them as "
        f"{dates[0]}, or pass datetime64. If they count something else, such as samples, ignore this "
        "warning, or count from zero.",
        stacklevel=4,
    )


def compact_dates(numbers: np.ndarray) -> np.ndarray | None:
    """The dates as which all of some numbers read, or `None`."""
    digits = len(f"{numbers[0]:.0f}")
    if digits not in DIGITS or np.any(numbers != np.round(numbers)):
        return None
    if np.any(
        (numbers < YEARS[0] * 10 ** (digits - 4)) | (numbers >= YEARS[1] * 10 ** (digits - 4))
    ):
        return None
    rest = numbers.astype(np.int64) * 10 ** (14 - digits)
    parts = []
    for _ in range(5):  # seconds, minutes, hours, days, months
        rest, part = np.divmod(rest, 100)
        parts.append(part)
    second, minute, hour, day, month = parts
    months = (12 * (rest - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - days).astype(int)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    if not np.all(valid & (hour < 24) & (minute < 60) & (second < 60)):
        return None
    seconds = ((day - 1) * 24 + hour) * 3600 + minute * 60 + second
    found = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return found.astype(f"datetime64[{DIGITS[digits]}]")
