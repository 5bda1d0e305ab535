"""What an acceleration is measured in, so that a network's outputs are of order one in any units."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import check_count
from .._types import check_array, check_state
from ..features import Standardisation


def check_data(q: Any, v: Any, a: Any) -> None:
    """Raises a `ValueError` or `TypeError` unless these are states of samples, and their accelerations
    where there are any."""
    check_state(q, v, batched=True)
    members = {"q": q, "v": v}
    if a is not None:
        check_array("a", a, batched=True)
        members["a"] = a
    for name, array in members.items():
        shape = tuple(array.shape)
        if len(shape) != 3 or shape != tuple(q.shape) or 0 in shape:
            raise ValueError(
                f"{name} must have shape (samples, points, space), the same as q and not empty, but it "
                f"has shape {shape}."
            )
        if not np.all(np.isfinite(np.asarray(array))):
            raise ValueError(
                f"{name} is not finite, so that nothing can be measured by it. Leave such samples out."
            )


def check_sizes(width: Any, depth: Any) -> tuple[int, int]:
    """Width and depth of a network."""
    return check_count("width", width), check_count("depth", depth)


def acceleration_units(q, v, a=None) -> np.ndarray:
    """The size of the acceleration of every coordinate, shape `(points, space)`.

    The root mean square where accelerations are given. Otherwise what an oscillation of that spread in
    position and velocity has, var(v)/std(q). Coordinates that do not move get the largest of the
    others; where nothing moves, it is one.
    """
    if a is not None:
        sizes = np.sqrt(np.mean(np.square(np.asarray(a, np.float64)), axis=0))
    else:
        spread = np.std(np.asarray(q, np.float64), axis=0)
        rate = np.var(np.asarray(v, np.float64), axis=0)
        sizes = np.divide(rate, spread, out=np.zeros_like(rate), where=spread > 0)
    largest = np.max(sizes)
    return np.where(sizes > 0, sizes, largest) if largest > 0 else np.ones_like(sizes)


def constant(units: np.ndarray, dtype) -> Standardisation:
    """Units that are part of a model and never train: the type tells `fit` so."""
    found = Standardisation.identity(units.size, dtype)
    measured = jnp.asarray(units.ravel(), dtype), jnp.array(True)
    return eqx.tree_at(lambda x: (x.unit, x.fitted), found, measured)
