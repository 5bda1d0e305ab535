"""Parts of recordings for training and for validation."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._checks import check_real
from ._recording import Recording

Parts = tuple[list[Recording], list[Recording]]


def split_of(recordings: Sequence[Recording], fraction: Any, by: Any, key: Any) -> Parts:
    """Recordings for training and others; see `Tracks.split`."""
    part = check_real("fraction", fraction)
    if not 0 < part < 1:
        raise ValueError(
            f"fraction must be above 0 and below 1, the part for training, but it is {fraction!r}."
        )
    if by not in ("time", "recording"):
        raise ValueError(f"by must be 'time' or 'recording', but it is {by!r}.")
    if by == "recording":
        return _split_recordings(recordings, part, key)
    if key is not None:
        raise ValueError("key chooses recordings by chance: it needs by='recording'.")
    return _split_in_time(recordings, part)


def _split_in_time(recordings: Sequence[Recording], fraction: float) -> Parts:
    """Every recording up to a fraction of its span, and the rest of each."""
    early, late = [], []
    for recording in recordings:
        end = recording.t[0] + fraction * recording.span
        count = int(np.searchsorted(recording.t, end, side="right"))
        for samples in (count, len(recording) - count):
            if samples < 2:
                raise ValueError(
                    f"Recording {recording.name!r}, of {len(recording)} samples, would be split into "
                    f"{count} and {len(recording) - count}, and a motion takes two at least. Choose "
                    "another fraction, or split by='recording'."
                )
        early.append(recording[:count])
        late.append(recording[count:])
    return early, late


def _split_recordings(recordings: Sequence[Recording], fraction: float, key: Any) -> Parts:
    """A fraction of the recordings, the first ones or by chance, and the others."""
    count = len(recordings)
    if count < 2:
        raise ValueError(
            "There is one recording, which cannot be split by='recording'. Split it by='time'."
        )
    order = np.arange(count) if key is None else np.asarray(jax.random.permutation(key, count))
    first = min(max(round(fraction * count), 1), count - 1)
    return (
        [recordings[k] for k in sorted(order[:first])],
        [recordings[k] for k in sorted(order[first:])],
    )
