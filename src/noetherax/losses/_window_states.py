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
    degree = min(DEGREE, times * len(kinds) - 1)
    middle = observed[0][:, times // 2]
    observed[0] = observed[0] - middle[:, None]  # far from zero, digits would be lost
    basis = local_basis(t, degree, kinds, sigma)
    data = [x.reshape(count, times, -1) / s for x, s in zip(observed, sigma, strict=True)]
    terms = np.swapaxes(basis.values, 1, 2) @ np.concatenate(data, axis=1)
    q, v, a = np.moveaxis((basis.states @ terms).reshape(count, 3, *shape), 1, 0)
    known = np.all(np.isfinite(a), axis=(1, 2))
    dtype = jnp.result_type(windows.q)
    q, v, a = (jnp.asarray(x[known], dtype) for x in (q + middle, v, a))
    if timing is None:
        return q, v, a
    instants = _flat_instants(timing, slice(times // 2, times // 2 + 1), q)
    t, u = (None if x is None else x[known] for x in instants)
    return q, v, a, t, u
