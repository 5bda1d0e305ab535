"""Closure conversion: what a Lagrangian closes over becomes part of its PyTree.

JAX cannot differentiate a custom rule by what its functions close over, nor see that it has changed
since a program was compiled. Leaves of a PyTree it sees.
"""

from collections.abc import Callable, Hashable
from functools import singledispatch
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


@singledispatch
def closure_converted(lagrangian: Callable, q, v) -> Callable:
    """The Lagrangian itself, unless it closes over traced values: then one that has them as leaves.

    The rule of all types makes it a plain function of the state, and so has no rules but those of
    automatic differentiation. A type that is made of others registers one that converts each of them,
    and keeps its own.

    **Arguments:**

    - `lagrangian`: a function `(q, v) -> scalar`, or any PyTree that is one.
    - `q`, `v`: states of the shape and precision that it will be called with, or batches of them.
    """
    if is_transparent(lagrangian):
        return lagrangian
    values, jaxpr = _record(lagrangian, q, v)
    if not any(isinstance(x, Tracer) for x in jaxpr.consts):
        return lagrangian
    return _closed(lagrangian, q, v, values, jaxpr)


def recorded(lagrangian: Callable, q, v) -> ClosedLagrangian:
    """The Lagrangian as JAX records it, whatever it closes over. Arguments as there."""
    return _closed(lagrangian, q, v, *_record(lagrangian, q, v))


def content_of(function: Callable, lagrangian: Callable, q, v) -> Hashable:
    """The content of a function of a Lagrangian, but for the arrays that are its leaves."""
    values, evaluate = _explicit(function, lagrangian)
    try:
        return content(jax.make_jaxpr(evaluate)(values, *_state(q, v)))
    except Incomparable:
        return object()


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
            key = key, content_of(_second_derivatives, lagrangian, q, v)
    except Incomparable:
        key = object()
    return ClosedLagrangian(values, closed.consts, jnp.result_type(q), Recorded(jaxpr, key))


def _second_derivatives(lagrangian, q, v):
    """All that the equations of motion are made of."""
    both = (0, 1)
    return jax.grad(lagrangian, both)(q, v), jax.jacfwd(jax.grad(lagrangian, both), both)(q, v)


def _explicit(function: Callable, lagrangian: Callable) -> tuple[list, Callable]:
    """The arrays of a Lagrangian, and the function of them and of the state."""
    arrays, rest = eqx.partition(lagrangian, eqx.is_array)
    values, tree = jax.tree.flatten(arrays)

    def evaluate(values, q, v):
        return function(eqx.combine(jax.tree.unflatten(tree, values), rest), q, v)

    return values, evaluate


def _state(q, v):
    return [jax.ShapeDtypeStruct(x.shape[-2:], jnp.result_type(x)) for x in (q, v)]
