"""Array types of the package, and the check that every entry point makes of a state."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

FloatArray = Array | np.ndarray
"""Inputs may be NumPy or JAX arrays; outputs are always JAX arrays."""

Configuration = Float[FloatArray, "points space"]
Velocity = Float[FloatArray, "points space"]
State = tuple[Configuration, Velocity]
Time = float | int | Real[FloatArray, ""]
Generators = Float[Array, "generators points space"]
GeneratorField = Callable[..., Generators]
"""A map `(q, t) -> (generators, points, space)`, the infinitesimal action ξ_a(q, t)."""

Model = TypeVar("Model")
"""What is trained or loaded comes back as the type that was given."""


def check_static(module: Any) -> None:
    """Raises a `TypeError` that names a static field whose value has no hash, such as a NumPy array.

    JAX compares static fields to tell whether a compiled program fits; with such a value the first call
    compiles and the second one fails.
    """
    for field in dataclasses.fields(module):
        if not field.metadata.get("static", False) or not hasattr(module, field.name):
            continue
        value = getattr(module, field.name)
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"{type(module).__name__}.{field.name} is a static field, which must be hashable, but "
                f"it is a {type(value).__name__}: {value!r:.200}. Hold numbers as nested tuples, and "
                "make them an array where they are used."
            ) from None


def check_array(name: str, array, space: int | None = None, batched: bool = False) -> None:
    """Raises a `ValueError` or `TypeError` that names the mistake if `array` is no `(points, space)`.

    Shapes are static in JAX, so this costs nothing under `jax.jit` and works on tracers.
    """
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(
            f"{name} must be a JAX or NumPy array of shape (points, space), "
            f"but it is a {type(array).__name__}: {array!r}."
        )
    shape = tuple(array.shape)
    if len(shape) == 1:
        raise ValueError(
            f"{name} must have shape (points, space), but it has shape {shape}. One point in a "
            f"space of {shape[0]} axes has shape (1, {shape[0]}): pass {name}[None, :]."
        )
    if len(shape) < 2 or (len(shape) > 2 and not batched):
        raise ValueError(
            f"{name} must have shape (points, space), but it has shape {shape}. "
            "States are unbatched: map over leading axes with jax.vmap."
        )
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{name} must hold real floating-point numbers, but its dtype is {array.dtype}."
        )
    if space is not None and shape[-1] != space:
        raise ValueError(
            f"{name} must have {space} entries on its last axis (the space this object acts on), "
            f"but it has shape {shape}."
        )


def check_state(q, v, space: int | None = None, batched: bool = False) -> None:
    """As [`check_array`][noetherax._types.check_array], for a position and a velocity alike."""
    check_array("q", q, space, batched)
    check_array("v", v, space, batched)
    if tuple(q.shape) != tuple(v.shape):
        raise ValueError(
            f"q and v must have the same shape, but q has {tuple(q.shape)} and v {tuple(v.shape)}."
        )
    precision = [jax.dtypes.canonicalize_dtype(x.dtype).name for x in (q, v)]
    if precision[0] != precision[1]:
        raise TypeError(
            f"q and v must have the same precision, but q is {precision[0]} and v {precision[1]}."
        )


def check_motion(q, v, a) -> None:
    """As [`check_state`][noetherax._types.check_state], batched, with an acceleration like them."""
    check_state(q, v, batched=True)
    check_array("a", a, None, batched=True)
    if tuple(a.shape) != tuple(v.shape):
        raise ValueError(
            f"q, v and a must have the same shape, but q and v have {tuple(v.shape)} and a "
            f"{tuple(a.shape)}."
        )
