"""Degree and length of local polynomials, chosen by the estimated error of the acceleration."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._local_fits import Series, even_subset, fits_of

DEGREES = (2, 4, 6, 8)
"""Even ones: in the middle of even samples the next one has the same curvature."""
LEAST = 4
"""More samples than the degree: two terms more, whose size tells the truncation, and a residual."""
GROWTH = 1.2
"""From one length of the windows to the next."""
KEPT = 0.5
"""Of all samples: those that a window that is tried must have in its middle."""
LOOKED_AT = 400_000
"""Numbers in the windows that one trial looks at."""
ROUNDING = 1.0
"""Of the rounding error of positions, below which no noise can be told."""


class Trial(NamedTuple):
    """What polynomials of one degree through windows of one length are expected to be wrong by, root
    mean squares of shape `(3, coordinates)` for values, slopes and curvatures."""

    degree: int
    times: int
    noise: np.ndarray
    truncation: np.ndarray
    score: float

    @property
    def error(self) -> np.ndarray:
        return np.hypot(self.noise, self.truncation)


def lengths_of(recordings: Sequence[Series]) -> list[int]:
    """Odd numbers of samples, as long as enough of them stand in the middle of a window."""
    sizes = np.array([len(series.t) for series in recordings])
    lengths, length = [], DEGREES[0] + LEAST + 1
    while np.sum(np.maximum(sizes - length + 1, 0)) >= max(1, KEPT * sizes.sum()):
        lengths.append(length)
        length = max(length + 2, int(GROWTH * length) // 2 * 2 + 1)
    return lengths


def estimated_noise(
    recordings: Sequence[Series], lengths: Sequence[int], interval: float | None
) -> np.ndarray:
    """Standard deviations of the noise, shape `(kinds, coordinates)`: what polynomials of the best of
    all degrees and lengths leave over. Zero where all samples are zero."""
    kinds, coordinates = recordings[0].kinds, recordings[0].x.shape[2]
    noise = []
    for k in range(len(kinds)):
        own = [Series(series.t, (0,), series.x[k : k + 1]) for series in recordings]
        least = np.full(coordinates, np.inf)
        for times in lengths:
            _, rest, count = _moments(own, times, np.ones((1, coordinates)), interval)
            if count:
                freedom = times - 1 - np.arange(len(rest))
                least = np.minimum(least, np.min(rest / freedom[:, None], axis=0))
        size = np.max([np.max(np.abs(series.x), axis=1)[0] for series in own], axis=0)
        noise.append(np.maximum(np.sqrt(least), ROUNDING * np.finfo(float).eps * size))
    return np.array(noise)


def tried(
    recordings: Sequence[Series],
    degree: int,
    times: int,
    sigma: np.ndarray,
    interval: float | None,
) -> Trial | None:
    """One degree and length, or `None` where no window of it lies between the gaps.

    With orthonormal polynomials φ_k, the estimate of order o is Σ_{k ≤ d} γ_k φ_k⁽ᵒ⁾, of which noise
    makes σ² Σ φ_k⁽ᵒ⁾². What the next two terms would add is its truncation; the square of that, less
    what noise makes of it.
    """
    coordinates = sigma.shape[1]
    noise, truncation = np.zeros((2, 3, coordinates))
    doubt = np.zeros(coordinates)
    unit = np.where(sigma > 0, sigma, 1.0)
    for group in _groups(unit):
        own = [Series(s.t, s.kinds, s.x[..., group]) for s in recordings]
        gained = added = expected = 0.0
        count = 0
        for s, middles in zip(own, even_subset(own, times, _most(own, times)), strict=True):
            for fits in fits_of(s, middles, times, degree + 2, unit[:, group], interval):
                states = fits.basis.states
                good = np.isfinite(states).all(axis=(1, 2))
                weight = len(fits.centre) / len(states)
                upper = np.square(states[good][..., degree + 1 :]).sum(axis=(0, 2)) * weight
                gained = gained + np.square(states[good][..., : degree + 1]).sum((0, 2)) * weight
                change = states[..., degree + 1 :] @ fits.coefficients[:, degree + 1 :]
                added = added + np.square(change[np.isfinite(change).all((1, 2))]).sum(axis=0)
                expected = expected + upper
                count += int(good.sum() * weight)
        if not count:
            return None
        gained, added, expected = gained / count, added / count, expected / count
        size = unit[0, group]
        noise[:, group] = np.sqrt(gained)[:, None] * size
        excess = added - expected[:, None]
        truncation[:, group] = np.sqrt(np.maximum(excess, 0)) * size
        apart = max(1.0, sum(len(s.t) for s in own) / times)
        doubt[group] = np.sqrt(2 / apart) * expected[2] * size**2
    moving = sigma[0] > 0
    noise[:, ~moving] = 0
    errors = (noise[2] ** 2 + truncation[2] ** 2 + DOUBT * doubt) / unit[0] ** 2
    return Trial(degree, times, noise, truncation, float(np.sum(errors[moving])))


DOUBT = 0.0


def _moments(recordings, times: int, sigma: np.ndarray, interval: float | None):
    """Mean squares of the coefficients, and of what every degree leaves over, in all windows."""
    degree = min(DEGREES[-1] + 2, times - 2)
    squares, rest, count = 0.0, 0.0, 0
    for s, middles in zip(
        recordings, even_subset(recordings, times, _most(recordings, times)), strict=True
    ):
        for fits in fits_of(s, middles, times, degree, sigma, interval):
            squares = squares + np.square(fits.coefficients).sum(axis=0)
            rest = rest + fits.rest.sum(axis=0)
            count += len(fits.rest)
    if not count:
        return None, np.zeros((0, 1)), 0
    # From the highest degree down: sums, in which nothing cancels.
    left = np.cumsum(np.concatenate([np.atleast_2d(rest), squares[:0:-1]]), axis=0)[::-1]
    return squares / count, left / count, count


def _most(recordings, times: int) -> int:
    return max(64, LOOKED_AT // (times * recordings[0].x.shape[2]))


def _groups(sigma: np.ndarray) -> list[np.ndarray]:
    """Coordinates whose observations have noise in the same ratio, which share their polynomials."""
    ratios = np.round(np.log(sigma / sigma[0]), 12)
    _, group = np.unique(ratios, axis=1, return_inverse=True)
    return [np.flatnonzero(group == k) for k in range(group.max() + 1)]
