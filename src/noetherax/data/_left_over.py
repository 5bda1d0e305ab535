"""Whether what polynomials leave over is noise or motion: what shorter windows say about it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._choice import EXPLAINED, Survey, Trial, most_of
from ._local_fits import Series, even_subset, fits_of, middles_of, states_at

RESOLVED = 2.0
"""Times the errors of both: where accelerations of long and of short windows differ by more, their
difference is known to better than half of itself, and noise that is independent in time is not what
makes it."""
FOLLOWED = 0.1
"""Of what long windows leave over, where that is much: short ones that leave no more have followed it.
Where it is little, half of what is more than noise."""
SURPLUS = 0.1
"""Of the variance of noise, which is not known better: what is left beyond it may be motion."""
DOUBTFUL = 3.0
"""Times the errors of both: a difference of accelerations that is said even where what is left over
does not oscillate, and may be smooth noise."""
RETURNED = 0.5
"""Of the variance of what is left over: where more comes back with the other sign after some time, it
oscillates. A mode returns all of it, at half its period; noise whose correlation decays does hardly
return a third, which the polynomials taken off make of it."""

PEAKED = 4.0
"""Mean fourth power over squared mean square of what is left over in the middle halves of windows.
Gaussian noise has 3, independent in time or not: of 256 recordings of 60 to 400 samples with noise that
is not, none was taken for turns. Orbits of eccentricity 0.7 and 0.8, whose turns long windows cut off,
have 4.2 to 6.5."""

SEEN = 1.0
"""Times the errors of both: from this difference of accelerations on, what is left over is asked for
peaks. Short windows do not follow turns well: with `RESOLVED` in its place, orbits of eccentricity 0.7
to 0.9 were given errors as much as twelve times too small, without a warning."""


class Doubt(NamedTuple):
    """What shorter windows say about the acceleration of long ones, by coordinate.

    - `times`: of the shorter windows that follow best what is left over; zero where there are none.
    - `difference`: root mean square of the difference of accelerations.
    - `within`: estimated error of those of the shorter windows.
    - `doubtful`: whether it is so much more than the errors of both that it must be said.
    - `motion`: the rate at which what is left over changes where it is known to be motion, else zero,
        and how much of it, relative to the variance of noise, others may leave that follow it.
    - `turns`: where that motion is sharp turns.
    """

    times: np.ndarray
    difference: np.ndarray
    within: np.ndarray
    doubtful: np.ndarray
    motion: np.ndarray
    turns: np.ndarray


Choice = tuple[Trial, Sequence[Series]]


def doubted(best: Choice, shorter: Sequence[Choice], survey: Survey) -> Doubt:
    """Compares the best trial with shorter ones, in some windows.

    Noise that is not independent in time is left over by long windows and followed by short ones, as
    a fast mode is. But it is rough: two degrees more change accelerations as much as they are, and
    short windows know that they do not resolve it. Smooth noise, of a device that filters its output,
    is resolved like motion; only that it does not oscillate.
    """
    trial, own = best
    count = len(trial.left)
    times, difference, within = np.zeros(count, int), np.zeros(count), np.zeros(count)
    middles = even_subset(own, trial.times, most_of(own, trial.times))
    references = [_reference(trial, shorter, k) for k in range(count)]
    for chosen in {id(x): x for x in references if x is not None}.values():
        short, observed = chosen
        here = np.array([x is chosen for x in references])
        both = [
            np.intersect1d(m, middles_of(s.t, short.times))
            for s, m in zip(observed, middles, strict=True)
        ]
        a = [_accelerations(x, both, here, survey) for x in (best, chosen)]
        off = np.square(a[1] - a[0])
        off = off[np.isfinite(off).all(axis=1)]
        if len(off):
            times[here] = short.times
            difference[here] = np.sqrt(off.mean(axis=0))
            within[here] = _error(short)[here]
    errors = np.hypot(within, trial.error[2])
    resolved = difference > RESOLVED * errors
    motion, turns = resolved.copy(), np.zeros(count, bool)
    asked = (difference > SEEN * errors) & ~(survey.given & (trial.left > EXPLAINED))
    if asked.any():  # of noise that is estimated, or little
        some = np.flatnonzero(asked)
        oscillates, peaks = _oscillates_and_peaks(best, middles, some, survey)
        turns[some] = peaks & (trial.left[some] > EXPLAINED)
        motion[some] = (resolved[some] & oscillates) | turns[some]
    enough = np.minimum(np.maximum((1 + trial.left) / 2, 1), EXPLAINED)
    made = (np.square(difference) - np.square(within)) / np.maximum(trial.left - 1, SURPLUS)
    rate = (
        np.maximum(made, 0) / np.square(np.where(survey.noise[0] > 0, survey.noise[0], 1))
    ) ** 0.25
    doubtful = motion | (difference > DOUBTFUL * errors)
    known = np.stack([np.where(motion, rate, 0), enough])
    return Doubt(times, difference, within, doubtful, known, turns)


def agrees(ranked: Sequence[Choice], survey: Survey) -> bool:
    """Whether the best trial has the accelerations of the best one of positions alone, within both
    errors. Velocities with a small lag leave little more than noise, and change them all the same."""
    best, alone = ranked[0], next((x for x in ranked if len(x[0].kinds) == 1), ranked[0])
    if best[0].kinds == alone[0].kinds:
        return True
    longest = max(best[0].times, alone[0].times)
    middles = even_subset(best[1], longest, most_of(best[1], longest))
    every = np.ones(len(best[0].left), bool)
    a = [_accelerations(x, middles, every, survey) for x in (best, alone)]
    off = np.square(a[1] - a[0])
    off = off[np.isfinite(off).all(axis=1)]
    within = np.hypot(best[0].error[2], alone[0].error[2])
    return not len(off) or bool(np.all(np.sqrt(off.mean(axis=0)) <= RESOLVED * within))


def _reference(trial: Trial, shorter: Sequence[Choice], coordinate: int) -> Choice | None:
    """The one with the least error of those that follow what the trial leaves over."""
    left = trial.left[coordinate]
    if left < 1 + SURPLUS:
        return None
    enough = min((1 + left) / 2, max(EXPLAINED, FOLLOWED * left))
    found = [x for x in shorter if x[0].times < trial.times and x[0].left[coordinate] <= enough]
    return min(found, key=lambda x: _error(x[0])[coordinate], default=None)


def _error(trial: Trial) -> np.ndarray:
    """Of its acceleration, if all that it leaves over beside independent noise is motion."""
    scale = np.where(trial.unit[0] > 0, trial.unit[0], 1.0)
    fast = np.sqrt(np.maximum(trial.left - EXPLAINED, 0) * trial.rate[1]) * scale
    noise = trial.gain[2] * np.sqrt(np.maximum(trial.left, 1))
    return np.hypot(noise, np.maximum(trial.change[2], fast))


def _accelerations(
    choice: Choice, middles: Sequence[np.ndarray], coordinates: np.ndarray, survey: Survey
) -> np.ndarray:
    trial, own = choice
    sigma = survey.noise_of(trial.kinds)[:, coordinates]
    states = [np.zeros((0, int(coordinates.sum())))]
    for s, m in zip(own, middles, strict=True):
        x = Series(s.t, s.kinds, s.x[..., coordinates])
        states.append(states_at(x, m, trial.times, trial.degree, sigma, survey.interval)[2])
    return np.concatenate(states)


def _oscillates_and_peaks(
    best: Choice, middles, coordinates: np.ndarray, survey: Survey
) -> tuple[np.ndarray, np.ndarray]:
    """Whether what is left over of positions, without independent noise, comes back with the other
    sign, by its correlation with itself over up to half a window; and whether it has peaks."""
    trial, own = best
    n, windows = trial.times, 0
    total, peaked = np.zeros((n, len(coordinates))), np.zeros(len(coordinates))
    sigma = np.ones((1, len(coordinates)))
    for series, m in zip(own, middles, strict=True):
        x = series.x[:1][..., coordinates]
        done, (square, fourth) = 0, np.zeros((2, len(coordinates)))
        for fits in fits_of(Series(series.t, (0,), x), m, n, trial.degree, sigma, survey.interval):
            some = m[done : done + len(fits.span)]
            done += len(some)
            window = x[0, some[:, None] + np.arange(n) - n // 2] - fits.centre[:, None]
            left = window - fits.basis.values @ fits.coefficients
            wave = np.fft.rfft(left, 2 * n, axis=1)
            total = total + np.fft.irfft(np.square(np.abs(wave)), 2 * n, axis=1)[:, :n].sum(axis=0)
            middle = np.square(left[:, n // 4 : n - n // 4])
            square, fourth = square + middle.sum(axis=(0, 1)), fourth + (middle**2).sum(axis=(0, 1))
            windows += len(some)
        # Recordings may have unlike noise.
        peaked = peaked + len(m) ** 2 * _over(fourth, square**2)
    lags = np.arange(n // 2 + 1)
    product = total[lags] / (windows * (n - lags))[:, None]
    kept = product[0] - np.square(survey.noise[0, coordinates])
    peaks = (n - 2 * (n // 4)) * peaked > PEAKED * windows
    return product.min(axis=0) < -RETURNED * kept, peaks


def _over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)
