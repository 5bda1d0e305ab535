"""What a computation is, as a value to compare: two with equal content compute the same.

A program may be kept only for as long as what it was made from stays the same. The identity of a Python
function does not tell: what it closes over, a global, the attribute of an object or the entries of an
array may change under it. What JAX records of it, its jaxpr, tells everything but what JAX itself has
remembered: functions under `jax.jit` and bodies of loops, by their identity.
"""

import functools
import hashlib
import itertools
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

LIBRARIES = ("noetherax", "jax", "jaxlib", "equinox", "diffrax", "lineax", "optimistix", "optax")
"""Packages whose classes and functions do not change while a process runs."""

RULES = ("jvp_jaxpr_fun", "jvp_jaxpr_thunk", "fwd_jaxpr_thunk", "bwd")
"""Derivative rules among the parameters of a primitive. A program that is complete has used them."""

NOTES = ("debug_info", "ctx_mesh", "name", "source_info", "out_trees")
"""Parameters that say where a computation comes from and how results are packed, not what it is."""


class Incomparable(Exception):
    """Raised for a computation that holds what cannot be compared, such as a traced value."""


def content(closed: ClosedJaxpr) -> Hashable:
    """A value that is equal for jaxprs of the same computation, constants included.

    **Raises:**

    `Incomparable` where there is no such value.
    """
    return _of_value(closed, {})


def structure(jaxpr: Jaxpr) -> Hashable:
    """As `content`, of a computation that takes its constants as arguments."""
    return _of_jaxpr(jaxpr, {})


def user_rules(jaxpr: Jaxpr) -> bool:
    """Whether a jaxpr holds derivative rules that are not of a library. `content` does not see them,
    so that it tells functions apart by their values alone."""
    return any(
        any(_is_of_user(eqn.params[name]) for name in RULES if name in eqn.params)
        or any(user_rules(inner) for inner in inner_jaxprs(eqn.params))
        for eqn in jaxpr.eqns
    )


def inner_jaxprs(parameters: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among the parameters of an equation, such as the body of a loop. JAX has such a
    function in public only from 0.10 on."""
    for value in parameters.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part


def is_transparent(x: Any, *, static: bool = False) -> bool:
    """Whether an object is nothing but data in classes of libraries, so that comparing it compares
    what it computes. Functions and classes of users may read what changes: they are not.

    **Arguments:**

    - `x`: any PyTree.
    - `static`: whether it stands in a static field, where an array could change in place unseen.
    """
    part = functools.partial(is_transparent, static=static)
    if isinstance(x, np.ndarray):
        return not static
    if isinstance(x, tuple | list):
        return all(map(part, x))
    if isinstance(x, dict):
        return all(map(part, x)) and all(map(part, x.values()))
    if isinstance(x, functools.partial):
        return part(x.func) and part(x.args) and part(x.keywords)
    if x is None or isinstance(x, DATA):
        return True
    if not is_of_library(x if isinstance(x, type) else type(x)):
        return callable(x) and _is_plain_function(x)
    if isinstance(x, eqx.Module):
        fields = type(x).__dataclass_fields__.values()
        values = ((getattr(x, f.name, None), static or f.metadata.get("static")) for f in fields)
        return all(is_transparent(value, static=bool(fixed)) for value, fixed in values)
    return not callable(x) or isinstance(x, type) or _is_plain_function(x)


DATA = (bool, int, float, complex, str, bytes, np.generic, np.dtype, jax.Array)


def is_of_library(kind: Any) -> bool:
    """Whether a class or function is defined in one of `LIBRARIES`."""
    return str(getattr(kind, "__module__", "")).split(".")[0] in LIBRARIES


def _is_plain_function(function: Callable) -> bool:
    """Whether a function of a library closes over nothing."""
    inner = getattr(function, "__wrapped__", function)
    if not is_transparent(getattr(function, "__self__", None)):
        return False  # a method of an object that may change
    return is_of_library(function) and not getattr(inner, "__closure__", None)


def _is_of_user(rule: Any) -> bool:
    source = str(getattr(getattr(rule, "debug_info", None), "func_src_info", rule))
    return not any(folder in source for folder in _folders())


@functools.cache
def _folders() -> tuple[str, ...]:
    """Where the libraries are installed: a project of a user's may bear the name of one."""
    modules = (sys.modules.get(library) for library in LIBRARIES)
    files = (getattr(module, "__file__", None) for module in modules)
    return tuple(os.path.join(os.path.dirname(file), "") for file in files if file)


def _of_jaxpr(jaxpr: Jaxpr, seen: dict) -> Hashable:
    """What JAX has recorded once, such as a function of its own, stands in a jaxpr many times."""
    if jaxpr not in seen:
        # Variables are numbered as they appear: every trace has its own.
        numbers: dict[Var, int] = defaultdict(itertools.count().__next__)
        inputs = tuple(
            tuple((numbers[x], _of_aval(x.aval)) for x in variables)
            for variables in (jaxpr.constvars, jaxpr.invars)
        )
        equations = tuple(
            (
                eqn.primitive.name,
                tuple(_of_literal(x) if isinstance(x, Literal) else numbers[x] for x in eqn.invars),
                tuple(
                    (name, _of_value(value, seen))
                    for name, value in sorted(eqn.params.items())
                    if name not in RULES and name not in NOTES
                ),
                tuple((numbers[x], _of_aval(x.aval)) for x in eqn.outvars),
            )
            for eqn in jaxpr.eqns
        )
        outputs = (_of_literal(x) if isinstance(x, Literal) else numbers[x] for x in jaxpr.outvars)
        seen[jaxpr] = inputs, equations, tuple(outputs)
    return seen[jaxpr]


def _of_literal(literal: Literal) -> Hashable:
    return "literal", _of_aval(literal.aval), _of_value(literal.val, {})


@functools.lru_cache(maxsize=4096)
def _of_aval(aval: Any) -> Hashable:
    return str(aval), bool(getattr(aval, "weak_type", False)), getattr(aval, "sharding", None)


PLAIN = (bool, int, str, type(None))
"""Types of most parameters: they are their own content."""


def _of_value(x: Any, seen: dict) -> Hashable:
    if type(x) in PLAIN:
        return type(x), x
    if isinstance(x, Tracer):
        raise Incomparable
    if isinstance(x, ClosedJaxpr):
        return _of_jaxpr(x.jaxpr, seen), tuple(_of_value(part, seen) for part in x.consts)
    if isinstance(x, Jaxpr):
        return _of_jaxpr(x, seen)
    if isinstance(x, tuple | list):
        return type(x).__name__, tuple(_of_value(part, seen) for part in x)
    if isinstance(x, dict):
        return tuple(sorted((repr(key), _of_value(part, seen)) for key, part in x.items()))
    if jnp.issubdtype(getattr(x, "dtype", int), jax.dtypes.prng_key):
        return str(x.dtype), _of_value(jax.random.key_data(x), seen)
    if eqx.is_array(x) or hasattr(x, "__array__"):
        array = np.asarray(x)
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
        return array.dtype.str, array.shape, digest
    try:
        hash(x)
    except TypeError:
        raise Incomparable from None
    # Equal numbers of different types are different constants, and so are 0.0 and -0.0.
    # NaN is the same constant as NaN.
    return type(x), repr(x) if isinstance(x, float | complex) else x
