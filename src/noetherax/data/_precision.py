"""NumPy arrays of float64 in the precision of weights."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

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
