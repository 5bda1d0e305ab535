"""What a user recorded, and what follows from it: windows, observations, smoothing."""

from ._observations import Observations, TimedObservations
from ._polynomials import derivatives, local_basis
from ._precision import resolved, times_as_jax
from ._recording import Recording
from ._smoothed import Smoothing
from ._smoothing import smooth
from ._tracks import Tracks
from ._windows import (
    DrivenWindows,
    Noise,
    TimedWindows,
    Timing,
    Windows,
    check_noise,
    check_timed_windows,
    check_windows,
    timing_of,
)

__all__ = [
    "DrivenWindows",
    "Noise",
    "Observations",
    "Recording",
    "Smoothing",
    "TimedObservations",
    "TimedWindows",
    "Timing",
    "Tracks",
    "Windows",
    "check_noise",
    "check_timed_windows",
    "check_windows",
    "derivatives",
    "local_basis",
    "resolved",
    "smooth",
    "times_as_jax",
    "timing_of",
]
