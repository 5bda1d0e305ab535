"""Windows along recordings."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import check_count
from ._precision import as_jax
from ._recording import MEMBERS, Recording
from ._times import even_interval
from ._windows import TimedWindows, Windows


def windows_of(recordings: Sequence[Recording], times: Any, stride: Any) -> Windows | TimedWindows:
    """Windows along all recordings; see `Tracks.windows`."""
    times = check_count("times", times, 3)
    stride = max(1, times // 2) if stride is None else check_count("stride", stride)
    short = [recording.name for recording in recordings if len(recording) < times]
    if len(short) == len(recordings):
        longest = max(map(len, recordings))
        raise ValueError(
            f"No recording has the {times} samples of a window: the longest has {longest}."
        )
    if short:
        warnings.warn(
            f"{len(short)} of {len(recordings)} recordings have fewer than the {times} samples of a "
            f"window, and are left out: {short!r:.200}. Shorter windows keep them.",
            stacklevel=3,
        )
    cut = {name: [] for name in recordings[0].arrays if name != "u"}
    for recording in recordings:
        if len(recording) < times:
            continue
        last = len(recording) - times
        # One more that ends at the end, so that every sample is in some window.
        first = np.union1d(np.arange(0, last + 1, stride), [last])
        samples = first[:, None] + np.arange(times)
        for name, parts in cut.items():
            parts.append(recording.arrays[name][samples])
    arrays = {name: np.concatenate(parts) for name, parts in cut.items()}
    t = arrays.pop("t")
    states = {name: as_jax(MEMBERS[name], array) for name, array in arrays.items()}
    if even_interval([recording.t for recording in recordings]) is not None:
        return Windows(**states)
    return TimedWindows(jnp.asarray(t - t[:, :1], jnp.result_type(float)), **states)
