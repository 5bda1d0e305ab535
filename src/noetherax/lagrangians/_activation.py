"""What the closed form of a network's derivatives takes for granted of its activation."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

PROBE = ((-1.3, 0.2, 0.9), (0.4, -0.6, 2.1))


def check_activation(activation: Any, dtype: Any) -> None:
    """Raises a `TypeError` or `ValueError` unless an activation maps every number by itself: a rule for
    scalars, and the same one for an array of any shape. With parameters of its own it is applied to
    scalars alone."""
    if not callable(activation):
        raise TypeError(
            f"activation must be a function such as jax.numpy.tanh, but it is {activation!r}."
        )
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves(activation)):
        _check_shape(activation, (), dtype)
        return
    try:
        hash(activation)
    except TypeError:
        _check_elementwise(activation, dtype)
    else:
        _remembered(activation, dtype)


def _check_elementwise(activation: Callable, dtype) -> None:
    for shape in ((), np.shape(PROBE)):
        _check_shape(activation, shape, dtype)
    with jax.ensure_compile_time_eval():
        together = activation(jnp.asarray(PROBE, dtype))
        alone = [[activation(jnp.asarray(x, dtype)) for x in row] for row in PROBE]
    if any(isinstance(x, Tracer) for x in jax.tree.leaves((together, alone))):
        return  # it holds values that are traced here: nothing to compare
    together, alone = np.asarray(together, float), np.asarray(alone, float)
    difference = np.max(np.abs(together - alone))
    if not difference <= np.sqrt(float(jnp.finfo(dtype).eps)) * np.max(np.abs(alone)):
        raise ValueError(
            f"activation must act on each number by itself, but {_name(activation)} of an array "
            f"differs by {difference:.2g} from its values one by one. Functions that normalise or "
            "mix the units of a layer, such as softmax, have derivatives between them, which the "
            "equations of motion do not know: put them into the features, or write a Lagrangian of "
            "your own."
        )


_remembered = lru_cache(_check_elementwise)


def _check_shape(activation: Callable, shape: tuple, dtype) -> None:
    try:
        value = eqx.filter_eval_shape(activation, jax.ShapeDtypeStruct(shape, dtype))
        found = getattr(value, "shape", None)
        reason = f"that is {eqx.tree_pformat(value)}"
        real = found == shape and jnp.issubdtype(value.dtype, jnp.floating)
    except (TypeError, ValueError, IndexError, AssertionError) as error:
        real, reason = False, f"that cannot be computed ({error})"
    if not real:
        raise ValueError(
            "activation must act on each number by itself, but from real numbers of shape "
            f"{shape} {_name(activation)} makes a value {reason}. Gated units such as GLU, which "
            "mix the units of a layer, are no activations of this network."
        )


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)
