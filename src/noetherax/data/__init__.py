"""What a user recorded, and what follows from it: windows, observations, smoothing."""

from ._observations import Observations
from ._polynomials import derivatives, local_basis
from ._recording import Recording
from ._smoothed import Smoothing
from ._smoothing import smooth
from ._tracks import Tracks
from ._windows import (
    Noise,
    TimedWindows,
    Windows,
    check_noise,
    check_timed_windows,
    check_windows,
)

__all__ = [
    "Noise",
    "Observations",
    "Recording",
    "Smoothing",
    "TimedWindows",
    "Tracks",
    "Windows",
    "check_noise",
    "check_timed_windows",
    "check_windows",
    "derivatives",
    "local_basis",
    "smooth",
]
