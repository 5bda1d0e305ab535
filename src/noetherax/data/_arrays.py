"""Recordings from plain arrays."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ._compact_dates import warn_of_compact_dates
from ._dates import earliest
from ._numbers import as_times
from ._recording import MEMBERS, Recording, recording_of


def recordings_of_arrays(
    times: Any, members: dict[str, Any], names: Sequence[Hashable] | None
) -> list[Recording]:
    """The recordings of arrays, or of lists of arrays with one for each."""
    several = _are_several(times)
    parts = list(times) if several else [times]
    if not parts:
        raise ValueError("times are empty: there is no recording.")
    labels = list(range(len(parts))) if names is None else list(names)
    if len(labels) != len(parts):
        raise ValueError(f"names must be {len(parts)}, one per recording, but they are {names!r}.")
    if len(set(labels)) < len(labels):
        raise ValueError(f"names must tell recordings apart, but they are {names!r}.")
    given = {k: x for k, x in members.items() if x is not None}
    for member, values in given.items():
        if several:
            _check_list(MEMBERS[member], values, labels)
    found, epoch = [], earliest(parts)
    for k, (label, part) in enumerate(zip(labels, parts, strict=True)):
        arrays = {member: x[k] if several else x for member, x in given.items()}
        t = as_times(f"times of recording {label!r}", part, lambda i: f"sample {list(i)}", epoch)
        found.append(recording_of(label, t, arrays, lambda sample: f"sample {sample}"))
    check_alike(found)
    warn_of_compact_dates("Times", found)
    return found


def check_alike(recordings: Sequence[Recording]) -> None:
    """All recordings are of the same points and space."""
    first = recordings[0]
    for other in recordings[1:]:
        if other.q.shape[1:] != first.q.shape[1:]:
            raise ValueError(
                "All recordings must have the same points and space, but positions of recording "
                f"{first.name!r} have shape {first.q.shape} and those of {other.name!r} "
                f"{other.q.shape}."
            )
        inputs = [None if x.u is None else x.u.shape[1] for x in (first, other)]
        if inputs[0] != inputs[1]:
            raise ValueError(
                f"All recordings must have the same inputs, but recording {first.name!r} has "
                f"{inputs[0]} and {other.name!r} {inputs[1]}."
            )


def _are_several(times: Any) -> bool:
    """Whether times are those of several recordings: arrays, and no numbers."""
    if np.ndim(times) == 0 if not isinstance(times, list | tuple) else False:
        raise ValueError(
            "times must be an array of shape (times,), or a list of such arrays, one per recording, "
            f"but they are {times!r}."
        )
    return len(times) > 0 and np.ndim(times[0]) > 0


def _check_list(name: str, values: Any, labels: list) -> None:
    count = len(values) if hasattr(values, "__len__") else None
    if count != len(labels):
        raise ValueError(
            f"times are those of {len(labels)} recordings, so {name} must be a list of as many arrays, "
            f"but they are {type(values).__name__}"
            + (f" of {count}." if count is not None else ".")
        )
    missing = [label for label, value in zip(labels, values, strict=True) if value is None]
    if missing:
        raise ValueError(
            f"{name} must be given for all recordings or for none, but {len(missing)} of {count} have "
            f"none: {missing!r:.200}. Make tracks of their own of those, or leave {name} out."
        )
