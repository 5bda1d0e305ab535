"""NumPy arrays of float64 in the precision of weights."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

RESOLVED = 0.1
"""Of an interval: rounding of times above it is told."""

SEEN = 1e-3
"""Of the spread of a coordinate: rounding above it is larger than most instruments' noise."""


def as_jax(name: str, array: np.ndarray) -> jax.Array:
    """In JAX's own precision. Raises where it has no such numbers, and warns where it rounds what a
    coordinate (the last two axes) does."""
    dtype = jnp.result_type(float)
    limits = jnp.finfo(dtype)
    size = np.max(np.abs(array), initial=0.0)
    if size > limits.max or 0 < size < limits.tiny:
        raise ValueError(
            f"{name} are of size {size:.3g}, which {dtype} cannot hold. Record them in other "
            "units, or use float64 (`jax.config.update('jax_enable_x64', True)`)."
        )
    samples = array.reshape(-1, *array.shape[-2:])
    rounding = limits.eps * np.max(np.abs(samples), axis=0)
    spread = np.std(samples - samples[0], axis=0)
    seen = (rounding > SEEN * spread) & (spread > 0)
    if limits.eps > np.finfo(array.dtype).eps and seen.any():
        point, axis = (int(i) for i in np.argwhere(seen)[0])
        warnings.warn(
            f"{name} of point {point}, coordinate {axis}, spread by {spread[point, axis]:.3g} about a "
            f"value so large that {dtype} rounds them by {rounding[point, axis]:.3g}. Count "
            "them from an origin that is near, or use float64 "
            "(`jax.config.update('jax_enable_x64', True)`).",
            stacklevel=4,
        )
    return jnp.asarray(array, dtype)


def times_as_jax(
    t: np.ndarray, intervals: np.ndarray, dtype=None, shown: np.ndarray | None = None
) -> jax.Array:
    """Times of samples that are so far apart, likewise: rounded ones would show a model that depends on
    time another time. `shown` are all that it will be shown, if `t` are the first of them."""
    dtype = jnp.result_type(float) if dtype is None else dtype
    every = np.asarray(t if shown is None else shown, float)
    rounding, step = _rounding(every, dtype), _least(intervals)
    error = np.max(rounding, initial=0.0)
    if not resolved(every, intervals, dtype):
        place, name = every.flat[int(np.argmax(rounding))], jnp.dtype(dtype).name
        warnings.warn(
            f"Times near {place:.9g} are rounded to {name} by up to {error:.2g}, but samples are "
            f"{step:.3g} apart. What depends on time itself, a drive for instance, cannot be learned "
            "or followed so. Count times from a near one, tracks of t - t0 for all recordings alike, "
            "or use float64 (`jax.config.update('jax_enable_x64', True)`).",
            stacklevel=4,
        )
    return jnp.asarray(t, dtype)


def resolved(t: np.ndarray, intervals: np.ndarray, dtype) -> bool:
    """Whether a precision tells such times apart."""
    return bool(np.max(_rounding(t, dtype), initial=0.0) <= RESOLVED * _least(intervals))


def _rounding(t: np.ndarray, dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.abs(t.astype(dtype).astype(float) - t)


def _least(intervals: np.ndarray) -> float:
    steps = np.abs(intervals[np.isfinite(intervals)])
    return float(np.min(steps[steps > 0], initial=np.inf))
