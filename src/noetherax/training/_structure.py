"""The structure of a model as lines of text: what must be equal for its numbers to fit another."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ._description import Description, describe

NUMBERS = bool | int | float | complex

KEEP = "biufc"
"""Kinds of NumPy dtypes that are numbers; those of ml_dtypes, such as bfloat16, are so for JAX."""


def is_data(leaf: Any) -> bool:
    """Whether a leaf is stored: an array or a number. All else is part of the structure."""
    return eqx.is_array(leaf) or isinstance(leaf, np.generic | jax.ShapeDtypeStruct | NUMBERS)


def dtype_name(leaf: Any) -> str:
    """The dtype of an array, or `python float` and the like for a number."""
    return leaf.dtype.name if hasattr(leaf, "dtype") else f"python {type(leaf).__name__}"


def data_leaves(model: PyTree) -> list[tuple[str, Any]]:
    """What is stored of a model, with names; `TypeError` for what is neither number nor structure."""
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        name = jax.tree_util.keystr(path)
        if not is_data(leaf):
            continue
        if isinstance(leaf, Tracer):
            raise TypeError(
                f"{name} is traced by JAX: save and load outside of jax.jit and jax.grad."
            )
        dtype = getattr(leaf, "dtype", None)
        if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
            raise TypeError(f"{name} is a random key, which is no part of a model.")
        if dtype is not None and not (dtype.kind in KEEP or jnp.issubdtype(dtype, jnp.number)):
            what = "Python objects" if dtype.hasobject else f"{dtype}"
            raise TypeError(f"{name} holds {what}, not numbers.")
        if isinstance(leaf, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array, whose mask would be lost.")
        leaves.append((name, leaf))
    return leaves


def structure(model: PyTree) -> Description:
    """Classes, static fields and array shapes of a model, and the content of its functions."""
    told = Description([], [])
    _walk("model", model, told)
    return told


def _walk(path: str, node: Any, told: Description) -> None:
    if is_data(node):
        told.lines.append(f"{path}={dtype_name(node)}{list(np.shape(node))}")
        return
    children, treedef = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
    if jax.tree_util.treedef_is_leaf(treedef) and treedef.num_leaves:
        _add(told, describe(path, node))
        return
    told.lines.append(f"{path}={type(node).__qualname__.rpartition('.')[2]}")
    for name, value in _static(node, treedef):
        _add(told, describe(path + name, value))
    for key, child in children:
        _walk(path + jax.tree_util.keystr(key).replace("=", "\\x3d"), child, told)


def _add(told: Description, more: Description) -> None:
    told.lines.extend(more.lines)
    told.unseen.extend(more.unseen)


def _static(node: Any, treedef: Any) -> list[tuple[str, Any]]:
    """What a node holds besides its children."""
    if isinstance(node, eqx.Module):
        fields = type(node).__dataclass_fields__.values()
        static = [field.name for field in fields if field.metadata.get("static", False)]
        return [(f".{name}", getattr(node, name)) for name in static if hasattr(node, name)]
    _, rest = treedef.node_data()
    named = isinstance(node, tuple) or rest is None  # whose class says it all
    return [] if named else [(".static", rest)]
