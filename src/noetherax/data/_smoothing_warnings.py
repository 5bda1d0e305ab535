"""What smoothing tells of data that do not give what they seem to."""

import warnings
from collections.abc import Sequence

import numpy as np

from ._choice import Survey, Trial
from ._left_over import Doubt
from ._local_fits import Series
from ._recording import MEMBERS, Recording
from ._times import typical_intervals

LEVEL = 4
"""From the line of the user's that calls `Tracks.smooth`, to these warnings."""

DISAGREE = 3.0
"""Times the errors of both: from here on, recorded velocities are not the slopes of the positions."""

POOR = 0.5
"""Of the accelerations themselves: an estimated error above tells the reader that they are noise."""

UNLIKE = 3.0
"""Times the shortest of the typical intervals: one number of samples does not suit the longest."""


def warn_of_unused(
    observed: Sequence[Recording], found: Sequence[Recording], best: Trial, survey: Survey
) -> None:
    """Of what was observed and not used since it is not the derivative of the positions."""
    for kind in set(survey.kinds) - set(best.kinds):
        member = "qva"[kind]
        off = np.concatenate([_apart(member, *x) for x in zip(observed, found, strict=True)])
        apart, noise = np.sqrt(np.mean(off**2, axis=0)), survey.noise_of((kind,))[0]
        expected = np.hypot(noise, best.error[kind])
        k = int(np.argmax(apart / np.where(expected > 0, expected, 1.0)))
        if apart[k] > DISAGREE * expected[k]:
            warnings.warn(
                f"Recorded {MEMBERS[member]} were not used: they are not the derivatives of the "
                f"positions. In coordinate {k} the two are {apart[k]:.3g} apart, and the noise of both "
                f"is {expected[k]:.2g}. Look at their units, and how they were measured.",
                stacklevel=LEVEL,
            )


def _apart(member: str, observed: Recording, smoothed: Recording) -> np.ndarray:
    """What was observed less what positions say, `(times, coordinates)`."""
    here = np.isin(observed.t, smoothed.t)
    both = observed.arrays[member][here] - smoothed.arrays[member]
    return both.reshape(len(smoothed), -1)


def warn_of_lost_motion(best: Trial, doubt: Doubt) -> None:
    """Of what long windows leave over where it may be motion."""
    k = int(np.argmax(np.where(doubt.doubtful, doubt.difference / best.unit[0], -1.0)))
    noise, left = best.unit[0, k] * np.sqrt([1, best.left[k]])
    warnings.warn(
        f"Windows of {best.times} times leave {left:.3g} of coordinate {k} over, beside noise of "
        f"{noise:.3g} that shorter ones leave. It may be motion: windows of {doubt.times[k]} times "
        f"find accelerations that are different by {doubt.difference[k]:.3g}, within "
        f"{doubt.within[k]:.2g}; the estimated error here is {best.error[2, k]:.2g}. If it is "
        f"motion, use times={doubt.times[k]}; if it is noise that is not independent between "
        f"samples, say so: noise={left:.2g}.",
        stacklevel=LEVEL,
    )


def warn_of_noise(found: Sequence[Recording], best: Trial) -> None:
    """Of accelerations that are mostly noise."""
    a = np.concatenate([x.a.reshape(len(x), -1) for x in found if x.a is not None])
    size, error = np.sqrt(np.mean(a**2)), np.sqrt(np.mean(best.error[2] ** 2))
    if error > POOR * size > 0:
        warnings.warn(
            f"Smoothed accelerations are of size {size:.3g}, but their estimated error is {error:.3g}: "
            "they are mostly noise, or the motion changes faster than samples follow each other. "
            "Longer or more finely sampled recordings help, or noetherax.TrajectoryLoss, which "
            "needs no accelerations.",
            stacklevel=LEVEL,
        )


def warn_of_intervals(series: Sequence[Series]) -> None:
    low, high = typical_intervals([x.t for x in series])
    if high > UNLIKE * low:
        warnings.warn(
            f"Samples follow each other at intervals of {low:.3g} in some places and of {high:.3g} in "
            "others, and windows have the same number of samples everywhere: they are too short there, "
            "or too long here. Smooth recordings of unlike intervals apart, each by its own "
            "Tracks.smooth, and divide one whose interval changes.",
            stacklevel=LEVEL,
        )
