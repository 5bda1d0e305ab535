"""Closure conversion: what a Lagrangian closes over becomes part of its PyTree.

JAX cannot differentiate a custom rule by what its functions close over, nor see that it has changed
since a program was compiled. Leaves of a PyTree it sees.
"""

from collections.abc import Callable, Hashable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jaxtyping import Array, Float

from .._content import Incomparable, content, is_transparent, structure, user_rules
from .._types import Configuration, Velocity
from ..lagrangians import Lagrangian
from ._terms import autodiff_terms, euler_lagrange_terms


@final
class Recorded:
    """Something static that equals another with the same key."""

    def __init__(self, value: Any, key: Hashable):
        self.value = value
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorded) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@final
class ClosedLagrangian(Lagrangian):
    """A Lagrangian as JAX has recorded it for states of one shape. The arrays and traced values that
    it closes over are leaves. Two that compute the same differ in nothing but their leaves."""

    values: list[Any]
    constants: list[Any]
    dtype: Any = eqx.field(static=True)
    jaxpr: Recorded = eqx.field(static=True)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        function = jaxpr_as_fun(ClosedJaxpr(self.jaxpr.value, self.constants))
        # Recorded in one precision; weights of another may have widened the state since.
        state = (jnp.asarray(x).astype(self.dtype) for x in (q, v))
        (value,) = function(*self.values, *state)
        return value


@final
@jax.tree_util.register_pytree_node_class
class Known:
    """An object whose static parts are compared by what they compute, and not by what they are."""

    def __init__(self, arrays: Any, rest: Recorded):
        self.arrays = arrays
        self.rest = rest

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        return opened(self)(q, v)

    def tree_flatten(self):
        return (self.arrays,), self.rest

    @classmethod
    def tree_unflatten(cls, rest, children):
        return cls(children[0], rest)


def closure_converted(lagrangian: Callable, q, v) -> Callable:
    """The Lagrangian itself, unless it closes over traced values: then one that has them as leaves.

    **Arguments:**

    - `lagrangian`: a function `(q, v) -> scalar`, or any PyTree that is one.
    - `q`, `v`: states of the shape and precision that it will be called with, or batches of them.
    """
    if is_transparent(lagrangian):
        return lagrangian
    values, closed = _record(lagrangian, q, v)
    if not any(isinstance(x, Tracer) for x in closed.consts):
        return lagrangian
    return _closed(lagrangian, q, v, values, closed)


def known(lagrangian: Callable, q, v, uses: Callable) -> Any:
    """The Lagrangian in a form in which a compiled program can be found by what it computes; `opened`
    gives it back.

    **Arguments:**

    - `lagrangian`, `q`, `v`: as for `closure_converted`.
    - `uses`: `(lagrangian, q, v) -> arrays`, what the program computes of a Lagrangian. Types that
        register rules of their own are told apart by it.
    """
    if is_transparent(lagrangian):
        return lagrangian
    values, closed = _record(lagrangian, q, v)
    ruled = euler_lagrange_terms.dispatch(type(lagrangian)) is not euler_lagrange_terms.dispatch(
        object
    )
    if any(isinstance(x, Tracer) for x in closed.consts) or not ruled:
        return _closed(lagrangian, q, v, values, closed)
    arrays, rest = eqx.partition(lagrangian, eqx.is_array)
    return Known(arrays, Recorded(rest, _content_of(uses, lagrangian, q, v)))


def opened(lagrangian: Any) -> Callable:
    """What `known` was given, with its present leaves."""
    if isinstance(lagrangian, Known):
        return eqx.combine(lagrangian.arrays, lagrangian.rest.value)
    return lagrangian


def _record(lagrangian: Callable, q, v) -> tuple[list, ClosedJaxpr]:
    """The arrays of a Lagrangian, and its jaxpr, which takes them first."""
    values, evaluate = _explicit(lambda lagrangian, q, v: lagrangian(q, v), lagrangian)
    return values, jax.make_jaxpr(evaluate)(values, *_state(q, v))


def _closed(lagrangian: Callable, q, v, values: list, closed: ClosedJaxpr) -> ClosedLagrangian:
    jaxpr: Jaxpr = closed.jaxpr
    try:
        key = structure(jaxpr)
        if user_rules(jaxpr):
            # Their derivatives are not in the jaxpr of a value; compare those of second order, too.
            key = key, _content_of(autodiff_terms, lagrangian, q, v)
    except Incomparable:
        key = object()
    return ClosedLagrangian(values, closed.consts, jnp.result_type(q), Recorded(jaxpr, key))


def _content_of(function: Callable, lagrangian: Callable, q, v) -> Hashable:
    """The content of a function of a Lagrangian, but for the arrays that are its leaves."""
    values, evaluate = _explicit(function, lagrangian)
    try:
        return content(jax.make_jaxpr(evaluate)(values, *_state(q, v)))
    except Incomparable:
        return object()


def _explicit(function: Callable, lagrangian: Callable) -> tuple[list, Callable]:
    """The arrays of a Lagrangian, and the function of them and of the state."""
    arrays, rest = eqx.partition(lagrangian, eqx.is_array)
    values, tree = jax.tree.flatten(arrays)

    def evaluate(values, q, v):
        return function(eqx.combine(jax.tree.unflatten(tree, values), rest), q, v)

    return values, evaluate


def _state(q, v):
    return [jax.ShapeDtypeStruct(x.shape[-2:], jnp.result_type(x)) for x in (q, v)]
