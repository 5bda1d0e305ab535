"""Polynomials through windows along recordings, and what their residuals say."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ._polynomials import LocalBasis, local_basis
from ._recording import Recording

ENTRIES = 2_000_000
"""Numbers in memory at a time, of windows or of their bases."""
BRIDGED = 0.5
"""Of a window: across a gap that is longer, a polynomial connects what nobody saw."""


class Series(NamedTuple):
    """What is observed of one motion: `t`, and for each of the orders `kinds` of the derivative an
    array of shape `(times, coordinates)`, stacked."""

    t: np.ndarray
    kinds: tuple[int, ...]
    x: np.ndarray


class Fits(NamedTuple):
    """Fits of some windows.

    - `basis`: of one window for all if samples are even, else of each.
    - `coefficients`: of unit variance each, shape `(windows, degree + 1, coordinates)`.
    - `rest`: sum of squares of the residuals, in units of the noise, `(windows, coordinates)`.
    - `centre`: observed positions that they are relative to, `(windows, coordinates)`.
    - `span`: time from the first sample of a window to its last one, `(windows,)`.
    """

    basis: LocalBasis
    coefficients: np.ndarray
    rest: np.ndarray
    centre: np.ndarray
    span: np.ndarray


def series_of(recording: Recording) -> Series:
    kinds = tuple(k for k, name in enumerate("qva") if name in recording.arrays)
    arrays = [recording.arrays["qva"[k]].reshape(len(recording), -1) for k in kinds]
    return Series(recording.t, kinds, np.stack(arrays))


def middles_of(t: np.ndarray, times: int) -> np.ndarray:
    """The samples in the middle of a window of so many times that bridges no long gap."""
    firsts = np.arange(len(t) - times + 1)
    if not len(firsts):
        return firsts
    steps = np.lib.stride_tricks.sliding_window_view(np.diff(t), times - 1)
    bridges = steps.max(axis=1) > BRIDGED * (t[times - 1 :] - t[: len(firsts)])
    return firsts[~bridges] + times // 2


def fits_of(
    series: Series,
    middles: np.ndarray,
    times: int,
    degree: int,
    sigma: np.ndarray,
    interval: float | None,
) -> Iterator[Fits]:
    """Fits of the windows around some samples, a few at a time.

    **Arguments:**

    - `sigma`: noise, of shape `(kinds, coordinates)`, in the same ratio for all coordinates.
    - `interval`: between samples, or `None` where it is not the same for all.
    """
    ratios = (sigma[:, 0] / sigma[0, 0]).tolist()
    even = np.arange(times)[None] * interval if interval is not None else None
    shared = local_basis(even, degree, series.kinds, ratios) if even is not None else None
    width = len(series.kinds) * times * (series.x.shape[2] + (shared is None) * (2 * degree + 2))
    chunk = max(1, ENTRIES // width)
    for start in range(0, len(middles), chunk):
        chosen = middles[start : start + chunk]
        window = chosen[:, None] + np.arange(times) - times // 2
        # Counted from the middle, so that a large time or position costs no digits.
        since = series.t[window] - series.t[chosen, None]
        basis = shared or local_basis(since, degree, series.kinds, ratios)
        centre = series.x[0, chosen]
        x = series.x[:, window]
        if series.kinds[0] == 0:
            x[0] -= centre[:, None]
        x = np.concatenate(list(x / sigma[:, None, None]), axis=1)
        if shared is None:
            coefficients = np.swapaxes(basis.values, 1, 2) @ x
            left = x - basis.values @ coefficients
        else:  # one large product of matrices instead of many small ones
            values = basis.values[0]
            coefficients = np.swapaxes(np.tensordot(x, values, (1, 0)), 1, 2)
            left = x - np.swapaxes(np.tensordot(coefficients, values, (1, 1)), 1, 2)
        rest = np.sum(np.square(left), axis=1)
        yield Fits(basis, coefficients, rest, centre, since[:, -1] - since[:, 0])


def even_subset(recordings: Sequence[Series], times: int, most: int) -> list[np.ndarray]:
    """Middles of no more than about `most` windows, evenly spread over all recordings."""
    middles = [middles_of(series.t, times) for series in recordings]
    stride = max(1, -(-sum(map(len, middles)) // most))
    return [own[::stride] for own in middles]


def groups_of(sigma: np.ndarray) -> list[np.ndarray]:
    """Coordinates whose observations have noise in the same ratio, which share their polynomials."""
    ratios = np.round(np.log(sigma / sigma[0]), 12)
    _, group = np.unique(ratios, axis=1, return_inverse=True)
    return [np.flatnonzero(group == k) for k in range(group.max() + 1)]


def states_at(
    series: Series,
    middles: np.ndarray,
    times: int,
    degree: int,
    sigma: np.ndarray,
    interval: float | None,
) -> np.ndarray:
    """Values, slopes and curvatures in the middles of windows, of shape `(3, windows, coordinates)`;
    arguments as for `fits_of`, but with noise in any ratio, or none."""
    unit = np.where(sigma > 0, sigma, 1.0)
    states = np.full((3, len(middles), series.x.shape[2]), np.nan)
    for group in groups_of(unit):
        own = Series(series.t, series.kinds, series.x[..., group])
        done = 0
        for fits in fits_of(own, middles, times, degree, unit[:, group], interval):
            x = np.swapaxes(fits.basis.states @ fits.coefficients, 0, 1) * unit[0, group]
            x[0] += fits.centre
            states[:, done : done + x.shape[1], group] = x
            done += x.shape[1]
    return states
