"""Polynomials through short windows of observations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre


def derivatives(degree: int, places, half) -> np.ndarray:
    """Values, slopes and curvatures of the Legendre polynomials up to a degree.

    **Arguments:**

    - `places`: where, from −1 to 1, of shape `(..., places)`.
    - `half`: time from the middle of the window to its end, the unit of `places`; one number, or an
        array of shape `(...)`.

    **Returns:**

    An array of shape `(3, ..., places, degree + 1)`, in float64.
    """
    units = np.eye(degree + 1)
    half = np.asarray(half, float)[..., None, None]
    return np.stack(
        [
            np.moveaxis(legendre.legval(places, legendre.legder(units, order, axis=0)), 0, -1)
            / half**order
            for order in range(3)
        ]
    )


class LocalBasis(NamedTuple):
    """Polynomials that are orthonormal on the samples of a window, by increasing degree, so that the
    fit of a lower degree is the first terms of that of a higher one.

    - `values`: of what is observed, over its noise, shape `(windows, kinds × times, degree + 1)`.
    - `states`: their values, slopes and curvatures in the middle, `(windows, 3, degree + 1)`.
    """

    values: np.ndarray
    states: np.ndarray


def local_basis(
    t: np.ndarray, degree: int, kinds: Sequence[int] = (0,), sigma: Sequence[float] = (1.0,)
) -> LocalBasis:
    """Of windows with times `t` of shape `(windows, times)`, in whose samples the derivatives of the
    orders `kinds` are observed with noise `sigma`. Not finite where the samples do not determine it."""
    first, last = t[:, :1], t[:, -1:]
    half = (last - first) / 2
    places = ((t - first) - half) / half
    design = derivatives(degree, places, half[:, 0])[list(kinds)]
    design = np.concatenate([x / s for x, s in zip(design, sigma, strict=True)], axis=1)
    values, triangle = np.linalg.qr(design)
    size = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    poor = size.min(axis=1) <= design.shape[1] * np.finfo(float).eps * size.max(axis=1)
    triangle[poor] = np.eye(degree + 1)
    middle = t.shape[1] // 2
    states = np.moveaxis(derivatives(degree, places[:, [middle]], half[:, 0])[:, :, 0], 0, 1)
    states = np.moveaxis(
        np.linalg.solve(np.moveaxis(triangle, 1, 2), np.moveaxis(states, 1, 2)), 1, 2
    )
    states[poor] = np.nan
    return LocalBasis(values, states)
