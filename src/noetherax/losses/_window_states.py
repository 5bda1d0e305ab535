"""The states in windows, by which a model is prepared."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._types import FloatArray, Time
from ..data import Timing, Windows, local_basis
from ._base import States
from ._instants import instants_of

DEGREE = 4
"""Degree of the polynomials where accelerations were not observed: what noise leaves of them is enough
for a start, and on long windows they err less than it."""

HIGHEST = 9
"""Highest degree where velocities were observed too, that of Hermite's polynomial through five states:
of exact ones in a quarter of a period the acceleration has eight digits instead of three."""

UNJUDGED = 9.0
"""Factor on the score of a polynomial through all data, as if a third of a number were left to judge
it: of noise alone it would be better by two, of an analytic motion by a hundred."""

CAUTION = 2.0
"""Factor by which every further term must lower the score, so that none follows noise."""


def window_states(
    windows: Windows,
    at: Time | Float[FloatArray, "windows times"] | None,
    timing: Timing | None = None,
) -> States:
    """The states inside of windows, whose times or the interval between them are given. Where
    accelerations were not observed, one in the middle of each, by the polynomial that fits best."""
    if windows.a is None or windows.v is None:
        return _fitted(windows, at, timing)
    q, v, a = (_flat(x[:, 1:-1]) for x in windows if x is not None)
    return (q, v, a) if timing is None else (q, v, a, *_flat_instants(timing, slice(1, -1), q))


def _flat_instants(timing: Timing, samples: slice, q) -> tuple:
    instants = instants_of(timing, samples, q.dtype)
    return tuple(None if x is None else _flat(x) for x in instants)


def _flat(x):
    return x.reshape(-1, *x.shape[2:])


def _fitted(windows: Windows, at: Any, timing: Timing | None) -> States:
    observed = [np.asarray(x, float) for x in windows if x is not None]
    kinds = [order for order, x in enumerate(windows) if x is not None]
    count, times, *shape = observed[0].shape
    t = np.asarray(at, float)
    t = np.broadcast_to(t * np.arange(times), (count, times)) if t.ndim == 0 else t
    half = float(np.mean(t[:, -1] - t[:, 0])) / 2
    sigma = [
        half**-order for order in kinds
    ]  # so that no unit of time weighs positions and velocities
    numbers = times * len(kinds)
    degree = min(HIGHEST if len(kinds) > 1 else DEGREE, numbers - 1)
    middle = observed[0][:, times // 2]
    observed[0] = observed[0] - middle[:, None]  # far from zero, digits would be lost
    basis = local_basis(t, degree, kinds, sigma)
    data = [x.reshape(count, times, -1) / s for x, s in zip(observed, sigma, strict=True)]
    joined = np.concatenate(data, axis=1)
    terms = np.swapaxes(basis.values, 1, 2) @ joined
    terms[:, _followed(terms, joined) :] = 0
    q, v, a = np.moveaxis((basis.states @ terms).reshape(count, 3, *shape), 1, 0)
    known = np.all(np.isfinite(a), axis=(1, 2))
    dtype = jnp.result_type(windows.q)
    q, v, a = (jnp.asarray(x[known], dtype) for x in (q + middle, v, a))
    if timing is None:
        return q, v, a
    instants = _flat_instants(timing, slice(times // 2, times // 2 + 1), q)
    t, u = (None if x is None else x[known] for x in instants)
    return q, v, a, t, u


def _followed(terms: np.ndarray, data: np.ndarray) -> int:
    """How many terms of polynomials follow the motion and not its noise, in all windows together, by
    generalised cross-validation (Craven & Wahba 1978): at least those of `DEGREE`."""
    finite = np.all(np.isfinite(terms), axis=(1, 2))
    of_terms = np.sum(np.square(terms[finite]), axis=(0, 2))
    rest = np.sum(np.square(data[finite])) - np.cumsum(of_terms)
    counts = np.arange(1, len(of_terms) + 1)
    left = np.maximum(data.shape[1] - counts, 1)
    # What is left of a sum of squares below its rounding says nothing.
    floor = np.finfo(float).eps * np.sum(np.square(data[finite])) + np.finfo(float).tiny
    rest = np.maximum(rest, floor)
    through_all = len(counts) == data.shape[1] > 2
    if through_all:
        # The polynomial through all of it leaves nothing by which to judge it, but what its last two
        # terms have taken away goes on to shrink for a motion, and for noise does not.
        rest[-1] = rest[-2] ** 2 / rest[-3]
    score = rest * CAUTION**counts / left**2
    score[-1] *= UNJUDGED if through_all else 1
    least = min(DEGREE, len(of_terms) - 1)
    return int(counts[least:][np.argmin(score[least:])])
