"""Generators as a user gives them, brought into shape; mistakes are named."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._algebra import AffineAlgebra

PARTS = ("linear", "shift", "components")


def read_algebra(result: Any, name: str) -> AffineAlgebra:
    """The algebra that `algebra()` of a group returned. Raises if it is none.

    **Arguments:**

    - `result`: a pair of linear parts and shifts, or these and the group's further components.
    - `name`: what messages call the group.
    """
    expected = (
        f"{name}.algebra() must return a pair: linear of shape (generators, space, space) and "
        "shift of shape (generators, space)"
    )
    if not isinstance(result, tuple | list) or len(result) not in (2, 3):
        raise TypeError(
            f"{expected}, or these and components of shape (maps, space, space), but it returned "
            f"{type(result).__name__}: {result!r}."
        )
    arrays = [_array(part, name, expected) for part in result]
    linear, shift = arrays[:2]
    shapes_fit = (
        linear.ndim == 3
        and shift.ndim == 2
        and linear.shape[1] == linear.shape[2] == shift.shape[1]
        and len(linear) == len(shift)
    )
    if not shapes_fit:
        raise ValueError(
            f"{expected}, but the shapes are {linear.shape} and {shift.shape}. "
            "A single generator has shapes (1, space, space) and (1, space)."
        )
    space = shift.shape[1]
    if space < 1:
        raise ValueError(f"{expected}, but the space has no axes.")
    components = arrays[2] if len(arrays) == 3 else np.zeros((0, space, space))
    if components.ndim != 3 or components.shape[1:] != (space, space):
        raise ValueError(
            f"The components that {name}.algebra() returns must have shape (maps, {space}, {space}), "
            f"but the shape is {components.shape}."
        )
    for part, array in zip(PARTS, arrays, strict=False):
        if not (jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.kind in "iub"):
            raise TypeError(f"{expected}, of real numbers, but {part} has dtype {array.dtype}.")
    precision = max(_precision(linear), _precision(shift))
    linear, shift, components = (x.astype(np.float64) for x in (linear, shift, components))
    for part, array in zip(PARTS, (linear, shift, components), strict=True):
        if not np.all(np.isfinite(array)):
            bad = next(a for a in range(len(array)) if not np.all(np.isfinite(array[a])))
            kind = "Component" if part == "components" else "Generator"
            raise ValueError(f"{kind} {bad} of {name} is not finite: {part} = {array[bad]}.")
    # Between the rounding of one product of generators and any structure constant of interest.
    return AffineAlgebra(linear, shift, precision**0.75, components)


def _array(part: Any, name: str, expected: str) -> np.ndarray:
    if isinstance(part, Tracer):
        raise TypeError(
            f"{name}.algebra() depends on an array that jax.jit traces. The generators of a group "
            "are constants: hold what they depend on as static fields (numbers or tuples)."
        )
    try:
        return np.asarray(part)
    except ValueError as error:
        raise ValueError(f"{expected}, but a part is ragged: {part!r}.") from error


def _precision(array: np.ndarray) -> float:
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return float(jnp.finfo(array.dtype).eps) if floating else float(np.finfo(np.float64).eps)
