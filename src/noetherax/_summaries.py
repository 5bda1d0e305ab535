"""What an object holds, in one line: for `repr`, which is not the place for pages of arrays.

`equinox.tree_pformat` still shows every part.
"""

import dataclasses
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

MOST = 8
"""Names that are listed in full; of more the first and the last are."""

LONGEST = 60
"""Characters of a value that is shown as it is, such as a few numbers; a matrix is left out."""


def listed(names: Sequence[str]) -> str:
    """Names, or the first and the last of many."""
    if len(names) > MOST:
        names = [*names[: MOST - 2], "…", names[-1]]
    return ", ".join(names)


def counted(number: int, noun: str) -> str:
    """`1 point`, `2 points`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def arrays(**named: Any) -> str:
    """`q=f64[64,1,3], v=f64[64,1,3]`: arrays by kind and shape, without those that are `None`."""
    found = {name: value for name, value in named.items() if value is not None}
    return ", ".join(f"{name}={eqx.tree_pformat(value)}" for name, value in found.items())


def held_arrays(record: Any) -> str:
    """A named tuple of arrays in one line."""
    return f"{type(record).__name__}({arrays(**record._asdict())})"


def interval(times: Any) -> str:
    """` from 0 to 10`, or nothing where times are traced or have a leading axis."""
    if isinstance(times, Tracer) or np.ndim(times) != 1:
        return ""
    reached = np.asarray(times)[np.isfinite(times)]  # times that were not reached are infinite
    return f" from {reached[0]:.6g} to {reached[-1]:.6g}" if len(reached) else ""


def fields(module: Any) -> str:
    """`name=value` of the fields that tell a reader something."""
    return ", ".join(
        f"{field.name}={text}"
        for field in dataclasses.fields(module)
        if (text := shown(getattr(module, field.name, None)))
    )


def one_line(module: Any) -> str:
    """A module by its fields."""
    return f"{type(module).__name__}({fields(module)})"


@singledispatch
def shown(value: Any) -> str:
    """A value in the line of an object that holds it; empty where it does not help a reader. Register
    it for a class whose `repr` is long."""
    text = eqx.tree_pformat(value, width=1000)
    return text if len(text) <= LONGEST else "…"


@shown.register
def _(value: None) -> str:
    return ""


@shown.register(tuple)
@shown.register(list)
def _(value: Sequence[Any]) -> str:
    parts = [shown(x) for x in value[: MOST + 1]]
    text = f"({listed(parts)}{',' if len(value) == 1 else ''})"
    modules = any(hasattr(x, "__dataclass_fields__") for x in value)
    return text if modules or len(text) <= LONGEST else "…"


@shown.register
def _(value: eqx.Module) -> str:
    owner = getattr(value, "__self__", None)  # of a method, such as the generators of a group
    if owner is not None:
        return repr(owner)
    own = type(value).__repr__ is not eqx.Module.__repr__
    return repr(value) if own else one_line(value)


@shown.register
def _(value: eqx.nn.MLP) -> str:
    inner = [str(value.width_size)] * value.depth
    activation = getattr(value.activation, "__name__", type(value.activation).__name__)
    out = 1 if value.out_size == "scalar" else value.out_size
    sizes = " → ".join([str(value.in_size), *inner, str(out)])
    weights = sum(x.size for x in jax.tree.leaves(value) if eqx.is_array(x))
    return f"MLP({sizes}, {activation}, {weights:,} weights)"
