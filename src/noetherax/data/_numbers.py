"""What a user recorded as float64, or an error that says where it is no number."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._dates import Instant, in_seconds

KINDS = {"b": "truth values", "c": "complex numbers", "M": "dates", "m": "durations"}

Place = Callable[[tuple[int, ...]], str]
"""Where in what was given an entry stands, for a reader: from its index to \"column 'x', row 3\"."""


def as_numbers(name: str, values: Any, place: Place) -> np.ndarray:
    """The values as a new array of float64. Raises unless all of them are finite real numbers."""
    array = _as_array(name, values)
    if array.dtype.kind in "USO" or np.ma.is_masked(values):
        array = _from_objects(values, array, place)
    elif array.dtype.kind not in "fiu":
        kind = KINDS.get(array.dtype.kind, f"of type {array.dtype}")
        hint = " Give numbers: 0.0 and 1.0." if array.dtype.kind == "b" else ""
        raise TypeError(f"{name} must hold real numbers, but they are {kind}.{hint}")
    numbers = np.array(array, np.float64)
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        first = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{name}: {len(bad)} of {numbers.size} values are missing or not finite, first at "
            f"{place(first)} ({numbers[first]}). Leave out such rows: samples need not lie at equal "
            "intervals of time."
        )
    return numbers


def as_times(name: str, values: Any, place: Place, epoch: Instant | None = None) -> np.ndarray:
    """Times as float64. Dates become seconds since an epoch, durations seconds."""
    array = _as_array(name, values)
    if array.dtype.kind not in "Mm":
        return as_numbers(name, values, place)
    masked = np.broadcast_to(np.ma.getmask(values), array.shape)
    missing = np.argwhere(np.isnat(array) | masked)
    if len(missing):
        raise ValueError(
            f"{name}: a time is missing at {place(tuple(int(i) for i in missing[0]))}."
        )
    return in_seconds(name, array, epoch)


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array, or lists whose rows are equally long, but NumPy says: {error}."
        ) from None


def _from_objects(values: Any, array: np.ndarray, place: Place) -> np.ndarray:
    """Entry by entry; those that are missing become NaN."""
    numbers = np.full(array.shape, np.nan)
    masked = np.broadcast_to(np.ma.getmask(values), array.shape)
    for index in np.ndindex(array.shape):
        entry = array[index]
        if masked[index] or entry is None or type(entry).__name__ in ("NAType", "NaTType"):
            continue
        if isinstance(entry, str | bytes | bool | np.bool_ | complex):
            raise TypeError(
                f"{place(index)} must be a number, but it is {str(entry)!r}, of type "
                f"{type(entry).__name__}."
            )
        try:
            numbers[index] = float(entry)
        except (TypeError, ValueError):
            raise TypeError(
                f"{place(index)} must be a number, but it is {entry!r:.80}, of type "
                f"{type(entry).__name__}. For dates use datetime64 without a time zone."
            ) from None
    return numbers
