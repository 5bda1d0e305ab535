import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import TimedWindows, Tracks
from ._discrete import DiscreteLoss
from ._forces import ForceLoss, ForceObservations
from ._instants import SAME
from ._trajectory import TrajectoryLoss

WINDOW = 9
"""Samples in a window where the user has not cut any: noise is averaged, and a step still compiles in
seconds. Longer ones, of `Tracks.windows`, tell more."""


@functools.singledispatch
def samples_of(loss: Callable, tracks: Tracks, *, timed: bool = False) -> Any:
    """What of a user's tracks a loss compares: states and accelerations, if nothing else is registered
    for its type.

    **Arguments:**

    - `loss`: a [`noetherax.Loss`][], or a function of a batch.
    - `tracks`: from [`noetherax.Tracks`][].
    - `timed`: whether times and inputs come with them. It is passed only where it is true, for models
        that depend on these.

    **Returns:**

    Arrays with the samples along their first axis.

    **Raises:**

    `ValueError` if the tracks lack what is compared; it says which call supplies it.
    """
    return tracks.observations(timed=timed)


@samples_of.register
def _(loss: TrajectoryLoss | DiscreteLoss, tracks: Tracks, *, timed: bool = False):
    longest = max(len(recording.t) for recording in tracks)
    if longest < 3:
        raise ValueError(
            f"{type(loss).__name__} compares three samples in a row or more, but the longest of these "
            f"{len(tracks)} recording(s) has {longest}."
        )
    windows = tracks.windows(min(WINDOW, longest), timed=timed)
    if loss.interval is None:
        if timed or tracks.interval is None:
            return windows
        q, v, a = windows.q, windows.v, windows.a
        times = tracks.interval * np.arange(q.shape[1])
        return TimedWindows(np.broadcast_to(times, q.shape[:2]), q, v, a)
    name = type(loss).__name__
    if tracks.interval is None:
        raise ValueError(
            f"{name}({loss.interval:.6g}) takes samples at equal intervals, but these tracks have "
            "others. noetherax.TrajectoryLoss() without an interval takes them as they are; "
            "tracks.smooth() gives accelerations for noetherax.AccelerationLoss()."
        )
    if abs(loss.interval - tracks.interval) > SAME * tracks.interval:
        raise ValueError(
            f"{name} was given the interval {loss.interval:.6g}, but samples of these tracks are "
            f"{tracks.interval:.6g} apart."
        )
    return windows


@samples_of.register
def _(loss: ForceLoss, tracks: Tracks, *, timed: bool = False):
    observed: Any = tracks.observations(timed=True)
    q, v, a, t, tau = observed
    count = 0 if tau is None else tau.shape[1]
    if tau is None or count != q[0].size:
        raise ValueError(
            "ForceLoss takes the inputs of tracks for the measured forces, one for each of the "
            f"{q[0].size} coordinates, but these tracks have {count or 'none'}. Leave others out, or "
            "give noetherax.ForceObservations(q, v, a, tau)."
        )
    return ForceObservations(q, v, a, tau.reshape(q.shape), t if timed else None)
