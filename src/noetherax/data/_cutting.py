"""Windows along recordings."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import check_count
from ._precision import as_jax, times_as_jax
from ._recording import MEMBERS, Recording
from ._times import even_interval
from ._windows import DrivenWindows, TimedWindows, Windows


def windows_of(
    recordings: Sequence[Recording], times: Any, stride: Any, timed: bool
) -> Windows | TimedWindows | DrivenWindows:
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
    cut = {name: [] for name in recordings[0].arrays if timed or name != "u"}
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
    t, u = arrays.pop("t"), arrays.pop("u", None)
    states = {name: as_jax(MEMBERS[name], array) for name, array in arrays.items()}
    interval = even_interval([recording.t for recording in recordings])
    if timed:
        since = t - t[:, :1] if interval is None else _even(t, interval)
        u = None if u is None else as_jax(MEMBERS["u"], u[..., None, :])[..., 0, :]
        start = times_as_jax(t[:, 0], np.diff(t, axis=1))
        since = jnp.asarray(since, start.dtype)
        v, a = states.get("v"), states.get("a")
        return DrivenWindows(since, states["q"], v, a, start, u)
    if interval is not None:
        return Windows(**states)
    return TimedWindows(jnp.asarray(t - t[:, :1], jnp.result_type(float)), **states)


def _even(t: np.ndarray, interval: float) -> np.ndarray:
    """Times since the start without what rounding, or the decimals they were written with, does."""
    return np.broadcast_to(interval * np.arange(t.shape[1]), t.shape)
