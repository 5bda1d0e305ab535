"""Degree and length of local polynomials, chosen by the estimated error of the acceleration."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._local_fits import Fits, Series, even_subset, fits_of, groups_of

DEGREES: tuple[int, ...] = (2, 4, 6, 8)
"""Even ones: in the middle of even samples the next one has the same curvature."""
LEAST = 4
"""More samples than the degree: two terms more, whose size tells the truncation, and a residual."""
GROWTH = 1.2
"""From one length of the windows to the next."""
KEPT = 0.5
"""Of all samples: those that a window that is tried must have in its middle."""
LOOKED_AT = 100_000
"""Numbers in the windows that one trial looks at."""
ROUNDING = 1.0
"""Of the rounding error of positions, below which no noise can be told."""

EXPLAINED = 2.0
"""Of the variance of the noise: polynomials that leave no more have followed the motion."""
AGREED = 1.25
"""Of that which positions alone leave: what velocities or accelerations leave that are their
derivatives. A lag or a wrong scale hides in more, and biases accelerations by more than noise."""
LOST = 4.0
"""Of the least variance left over: beyond, it is more than that of any noise independent in time."""
SHARE = 0.01
"""Of the variance of a coordinate: noise that is not independent in time may leave as much."""
STEEP = 100.0
"""Where each of the next two terms holds more than this many times what a degree of freedom of the rest
holds, they are the next terms of a smooth motion, and the rest is their tail. Of white noise they hold
as much, of noise with a memory up to some ten times as much."""
MOVING = 0.3
"""Of its spread: a coordinate with more noise does not move visibly."""


class Survey(NamedTuple):
    """What is known of recordings before polynomials are chosen.

    - `kinds`: the orders of the derivatives that are observed.
    - `noise`: standard deviations, shape `(kinds, coordinates)`: what polynomials of the best of all
        degrees and lengths leave over; zero where all samples are zero.
    - `quiet`: the same in most windows, between sharp turns.
    - `given`: whether the user said so.
    - `spread`: standard deviations of positions, with their motion, `(coordinates,)`.
    - `interval`: between samples, or `None` where it is not the same for all.
    - `lengths`: of windows, up to those that polynomials of the highest degree no longer follow.
    """

    kinds: tuple[int, ...]
    noise: np.ndarray
    quiet: np.ndarray
    given: bool
    spread: np.ndarray
    interval: float | None
    lengths: list[int]

    def noise_of(self, kinds: tuple[int, ...]) -> np.ndarray:
        return self.noise[[self.kinds.index(order) for order in kinds]]

    @property
    def units(self) -> np.ndarray:
        """In which errors of coordinates are compared: their noise, but none so small beside its
        motion that it alone would rule."""
        noise = self.noise[0]
        visible = noise < MOVING * self.spread
        relative = np.max(noise[visible] / self.spread[visible], initial=0.0)
        units = np.maximum(noise, relative * self.spread)
        return np.where(units > 0, units, 1.0)


class Trial(NamedTuple):
    """What polynomials of one degree through windows of one length of what is observed of some orders
    are expected to be wrong by.

    - `unit`: standard deviations of the noise of what is observed, `(kinds, coordinates)`.
    - `gain`: of that noise, root mean squares of shape `(3, coordinates)` in values, slopes and
        curvatures.
    - `change`: what two terms more would add to them, of the same shape.
    - `left`: variance left over, relative to that of the noise, and `usual`, what noise that is not
        independent in time may leave; `(coordinates,)`.
    - `steep`: whether the next two terms hold so much more that the rest is their tail, and no noise.
    - `rate`: of the changes of what is left over, at least: mean square and mean fourth power.

    Of these follow, by `rated`, the errors by noise and truncation, of shape `(3, coordinates)`, the
    noise `sigma` as these windows see it, and the score.
    """

    degree: int
    times: int
    kinds: tuple[int, ...]
    unit: np.ndarray
    gain: np.ndarray
    change: np.ndarray
    left: np.ndarray
    usual: np.ndarray
    steep: np.ndarray
    rate: tuple[float, float]
    sigma: np.ndarray
    noise: np.ndarray
    truncation: np.ndarray
    score: float

    @property
    def error(self) -> np.ndarray:
        return np.hypot(self.noise, self.truncation)


def lengths_of(recordings: Sequence[Series]) -> list[int]:
    """Odd numbers of samples, the least one and on while enough stand in the middle of a window."""
    sizes = np.array([len(series.t) for series in recordings])
    length = DEGREES[0] + LEAST + 1
    lengths = [length]
    length += 2
    while np.sum(np.maximum(sizes - length + 1, 0)) >= max(1, KEPT * sizes.sum()):
        lengths.append(length)
        length = max(length + 2, int(GROWTH * length) // 2 * 2 + 1)
    return lengths


def surveyed(
    recordings: Sequence[Series], interval: float | None, given: np.ndarray | None
) -> Survey:
    """Noise, estimated if it is not `given`, and lengths of windows worth a trial."""
    noise, between, most = [], [], []
    spread = _spread(recordings)
    longest = max(series.t[-1] - series.t[0] for series in recordings)
    for k, order in enumerate(recordings[0].kinds):
        own = [Series(series.t, (0,), series.x[k : k + 1]) for series in recordings]
        # Derivatives that are all zero are exact, too, and contradict positions that move.
        size = spread / longest**order
        size = np.max([size, *(np.max(np.abs(series.x), axis=(0, 1)) for series in own)], axis=0)
        rounding = np.square(ROUNDING * np.finfo(float).eps * size)
        floor = rounding if given is None else np.square(given[k])
        # Of lengths only: those that leave more than the noise that is given are tried, not trusted.
        slack = SHARE * np.square(_spread(own))
        (least, quiet), lengths = np.full((2, len(size)), np.inf), []
        for times in lengths_of(recordings):
            found = _left(own, times, interval)
            if found is None:
                break
            left, median = found
            lowest = np.maximum(np.minimum(least, left.min(axis=0)), floor)
            if lengths and np.any(left[-1] > np.maximum(LOST * lowest, slack)):
                break
            least = np.minimum(least, left.min(axis=0))
            quiet = np.minimum(quiet, median.min(axis=0))
            lengths.append(times)
        # Where most windows stand still, they say nothing.
        quiet = np.where(quiet > rounding, np.minimum(least, quiet), least)
        both = np.sqrt(np.maximum([least, quiet], rounding))
        noise.append(both[0] if given is None else given[k])
        between.append(both[1] if given is None else given[k])
        most.append(lengths)
    return Survey(
        recordings[0].kinds,
        np.array(noise),
        np.array(between),
        given is not None,
        spread,
        interval,
        min(most, key=len),
    )


def _spread(recordings: Sequence[Series]) -> np.ndarray:
    own = [np.square(x.x[0] - x.x[0].mean(axis=0)) for x in recordings]
    return np.sqrt(np.concatenate(own).mean(axis=0))


class Sample(NamedTuple):
    """Windows of one length, evenly spread over recordings, with fits of the highest degree of
    interest: `fits` of each group of coordinates that share their polynomials."""

    times: int
    kinds: tuple[int, ...]
    groups: list[np.ndarray]
    fits: list[list[Fits]]


def sampled(recordings: Sequence[Series], times: int, degree: int, survey: Survey) -> Sample:
    """Fits up to a degree, or the highest that so many times allow."""
    kinds = recordings[0].kinds
    sigma = survey.noise_of(kinds)
    unit = np.where(sigma > 0, sigma, 1.0)
    groups, found = groups_of(unit), []
    for group in groups:
        own = [Series(s.t, kinds, s.x[..., group]) for s in recordings]
        subset = even_subset(own, times, most_of(own, times))
        top = min(degree, times * len(kinds) - 2)
        found.append(
            [
                fits
                for s, middles in zip(own, subset, strict=True)
                for fits in fits_of(s, middles, times, top, unit[:, group], survey.interval)
            ]
        )
    return Sample(times, kinds, groups, found)


def tried(
    sample: Sample, degree: int, survey: Survey, positions: Trial | None = None
) -> Trial | None:
    """One degree and length, or `None` where no window of it lies between the gaps.

    With orthonormal polynomials φ_k, the estimate of order o is Σ_{k ≤ d} γ_k φ_k⁽ᵒ⁾, of which noise
    makes σ² Σ φ_k⁽ᵒ⁾². What the next two terms would add is its truncation; the square of that, less
    what the least noise makes of it, so as not to take motion for noise in short recordings. What is
    left changes sign d + 3 times or more in a window of span T, so that its derivatives are larger by
    π(d + 3)/T each, at least. What leaves much more than the same fit to `positions` alone, or than
    noise where these are too few for one, does not agree with them, and counts as motion that is not
    followed.
    """
    sigma = survey.noise_of(sample.kinds)
    gains, changes = np.zeros((2, 3, sigma.shape[1]))
    lefts, usual, next_two = np.zeros((3, sigma.shape[1]))
    unit = np.where(sigma > 0, sigma, 1.0)
    rates = 0.0, 0.0
    for group, fits in zip(sample.groups, sample.fits, strict=True):
        parts = [_parts(x, degree) for x in fits]
        if not parts:
            return None
        together = [np.concatenate(x) for x in zip(*parts, strict=True)]
        good = np.isfinite(together[0]).all(axis=1)
        if not good.any():
            return None
        gain, upper, change, two, rest, rate = (x[good] for x in together)
        next_two[group] = two.mean(axis=0) / 2
        lefts[group] = rest.mean(axis=0) / (len(sample.kinds) * sample.times - degree - 3)
        if positions is not None:
            usual[group] = AGREED * np.square(positions.sigma[0] / unit[0])[group]
        elif len(sample.kinds) > 1:  # windows that are too short for positions alone
            usual[group] = AGREED
        elif survey.given:  # the user has said what noise may leave
            usual[group] = EXPLAINED
        else:
            share = SHARE * np.square(survey.spread / unit[0])[group]
            usual[group] = np.maximum(EXPLAINED, share)
        excess = (change - upper[..., None]).mean(axis=0)
        gains[:, group] = np.sqrt(gain.mean(axis=0)[:, None]) * unit[0, group]
        changes[:, group] = np.sqrt(np.maximum(excess, 0)) * unit[0, group]
        rates = float(np.mean(rate**2)), float(np.mean(rate**4))
    gains[:, sigma[0] == 0] = 0
    steep = next_two > STEEP * lefts
    found = (degree, sample.times, sample.kinds, sigma, gains, changes, lefts, usual, steep, rates)
    return rated(Trial(*found, sigma, gains, changes, 0.0), survey)


def rated(trial: Trial, survey: Survey, motion: np.ndarray | None = None) -> Trial:
    """Its errors and score, where in some coordinates what is left over is known to be motion, which
    changes at the rates `motion`; zero in other coordinates.

    For noise stands what is left over in these windows, which is more than in the shortest ones where
    noise is not independent in time. Where more than the usual is left, motion turns around several
    times in a window and all terms are small: then its curvature is what is left times the fourth power
    of its rate.
    """
    fastest, enough = np.zeros((2, len(trial.left))) if motion is None else motion
    moves = (fastest > 0) & (trial.left > enough)
    second, fourth = (
        np.maximum(x, np.where(moves, fastest, 0) ** k)
        for k, x in zip((2, 4), trial.rate, strict=True)
    )
    surplus = np.maximum(trial.left - np.where(moves, 1, trial.usual), 0)
    surplus[(fastest > 0) & ~moves] = 0
    fast = _fast(trial, surplus, second, fourth)
    ones = np.ones_like(trial.left)
    level = np.sqrt(ones if survey.given else np.where(moves, ones, np.maximum(trial.left, 1)))
    noise = trial.gain * level
    truncation = np.sqrt(np.maximum(np.square(trial.change), fast))
    errors = np.square([noise[2] / survey.units, truncation[2] / survey.units])
    return trial._replace(
        sigma=trial.unit * level, noise=noise, truncation=truncation, score=float(np.sum(errors))
    )


def with_turns(trial: Trial, survey: Survey, turns: np.ndarray) -> Trial:
    """The same where coordinates have sharp `turns`: their noise is that between the turns, and their
    errors count all that is left over beside this noise."""
    rows = [survey.kinds.index(order) for order in trial.kinds]
    unit = np.where(trial.unit > 0, trial.unit, 1.0)
    known = np.square(survey.quiet[rows] / unit).mean(axis=0)
    surplus = np.where(turns, np.maximum(trial.left - EXPLAINED * known, 0), 0)
    second, fourth = (np.full(surplus.shape, x) for x in trial.rate)
    fast = np.sqrt(_fast(trial, surplus, second, fourth))
    return trial._replace(
        sigma=np.where(turns, survey.quiet[rows], trial.sigma),
        truncation=np.maximum(trial.truncation, fast),
    )


def _fast(trial: Trial, surplus, second, fourth) -> np.ndarray:
    """Squares of the values, slopes and curvatures of what is left over, of so much variance and with
    such rates: mean square and mean fourth power."""
    scale = np.where(trial.unit[0] > 0, trial.unit[0], 1.0)
    return surplus * fourth * np.stack([second**-2.0, 1 / second, np.ones_like(second)]) * scale**2


def _parts(fits: Fits, degree: int) -> tuple[np.ndarray, ...]:
    """Of every window: what noise makes of the states, of two terms more, the squares of those, their
    energy, that of what they leave over, and how fast that changes."""
    end = degree + 3
    lower, upper = np.split(fits.basis.states[..., :end], [degree + 1], axis=2)
    count = len(fits.span)
    made = [np.square(x).sum(axis=2) for x in (lower, upper)]
    gain, more = (np.broadcast_to(x, (count, 3)) for x in made)
    change = np.square(upper @ fits.coefficients[:, degree + 1 : end])
    two = np.square(fits.coefficients[:, degree + 1 : end]).sum(axis=1)
    rest = fits.rest + np.square(fits.coefficients[:, end:]).sum(axis=1)
    return gain, more, change, two, rest, np.pi * end / fits.span


def _left(recordings, times: int, interval: float | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Variance that polynomials of every degree leave over, `(degrees, coordinates)`: the mean over all
    windows, and the median, scaled so that for noise it equals the mean."""
    degree = min(DEGREES[-1] + 2, times - 2)
    sigma = np.ones((1, recordings[0].x.shape[2]))
    subset = even_subset(recordings, times, most_of(recordings, times))
    squares = [
        np.concatenate([np.square(x.coefficients), x.rest[:, None]], axis=1)
        for s, middles in zip(recordings, subset, strict=True)
        for x in fits_of(s, middles, times, degree, sigma, interval)
    ]
    if not squares:
        return None
    # From the highest degree down: sums, in which nothing cancels.
    left = np.cumsum(np.concatenate(squares)[:, :0:-1], axis=1)[:, ::-1]
    count = (times - 1 - np.arange(degree + 1))[:, None]
    # The median of χ² of so many degrees of freedom, as Wilson and Hilferty have it.
    middle = count * (1 - 2 / (9 * count)) ** 3
    return left.mean(axis=0) / count, np.median(left, axis=0) / middle


def most_of(recordings: Sequence[Series], times: int) -> int:
    """Windows that one trial looks at."""
    return max(64, LOOKED_AT // (times * recordings[0].x.shape[2]))
