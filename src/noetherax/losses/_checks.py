"""What can be wrong with observed states, found before any work is lost."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

NAMES = ("q", "v", "a")


def check_observations(observations: Any) -> tuple:
    """Arrays `(q, v, a)`, or with times and inputs `(q, v, a, t, u)`, as they were given; an error that
    names the array otherwise."""
    if isinstance(observations, tuple | list) and len(observations) in (4, 5):
        states: tuple = check_observations(observations[:3])
        t: Any = observations[3]
        u: Any = observations[4] if len(observations) == 5 else None
        count = len(states[0])
        if np.shape(t) != (count,):
            raise ValueError(
                f"t must have shape (samples,), {(count,)}, but it has shape {np.shape(t)}."
            )
        if u is not None and (np.ndim(u) != 2 or len(u) != count):
            hint = " One input is u[:, None]." if np.ndim(u) == 1 else ""
            raise ValueError(
                f"u must have shape (samples, inputs), with {count} samples, but it has shape "
                f"{np.shape(u)}.{hint}"
            )
        return *states, t, u
    if not isinstance(observations, tuple | list) or len(observations) != 3:
        raise TypeError(
            "observations must be arrays (q, v, a), each of shape (samples, points, space), or a "
            f"sampler key -> (q, v, a), but they are {type(observations).__name__}"
            + (f" of {len(observations)} items." if hasattr(observations, "__len__") else ".")
        )
    shapes = {name: np.shape(array) for name, array in zip(NAMES, observations, strict=True)}
    for name, shape in shapes.items():
        if len(shape) != 3:
            hint = f" One point per sample is {name}[:, None, :]." if len(shape) == 2 else ""
            raise ValueError(
                f"{name} must have shape (samples, points, space), but it has shape {shape}.{hint}"
            )
    if len(set(shapes.values())) > 1:
        raise ValueError(f"q, v and a must have the same shape, but they have {shapes}.")
    if 0 in shapes["q"]:
        raise ValueError(f"observations are empty: their shape is {shapes['q']}.")
    for name, array in zip(NAMES, observations, strict=True):
        dtype = getattr(array, "dtype", np.dtype(float))
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"{name} must hold floating-point numbers, but its dtype is {dtype}.")
    q, v, a = observations
    return q, v, a


def check_finite(batch: PyTree) -> None:
    """Every array of a batch must be finite; those of `(q, v, a)` or of a named tuple are named. A
    named tuple of a user's own may hold integers, such as species."""
    names = getattr(batch, "_fields", NAMES)
    named = isinstance(batch, tuple) and len(batch) == len(names)
    leaves = list(batch) if named else jax.tree.leaves(batch)
    names = names if named else [f"array {i} of the batch" for i in range(len(leaves))]
    for name, leaf in zip(names, leaves, strict=True):
        if leaf is None:
            continue  # not observed
        if not eqx.is_array(leaf):
            raise TypeError(f"{name} must be an array, but it is {type(leaf).__name__}.")
        if isinstance(leaf, Tracer):
            raise TypeError(
                f"{name} is traced by JAX, but training looks at the numbers of its data. Call it "
                "outside of jax.jit, jax.vmap and jax.grad."
            )
        own = hasattr(batch, "_fields")
        if named and not own and not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"{name} must hold floating-point numbers, but its dtype is {leaf.dtype}."
            )
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            bad = np.argwhere(~np.isfinite(np.asarray(leaf)))
            if len(bad):
                raise ValueError(
                    f"{name} is not finite in {len({int(index[0]) for index in bad})} of "
                    f"{len(leaf)} samples, first at index {tuple(int(i) for i in bad[0])}."
                )
