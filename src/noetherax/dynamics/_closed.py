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
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jaxtyping import Array, Float

from .._content import Incomparable, content, is_transparent, structure, user_rules
from .._types import Configuration, Velocity
from ..forces import arguments_of
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
    """A Lagrangian or force as JAX has recorded it for states of one shape. The arrays and traced
    values that it closes over are leaves. Two that compute the same differ in nothing but these."""

    values: list[Any]
    constants: list[Any]
    dtype: Any = eqx.field(static=True)
    jaxpr: Recorded = eqx.field(static=True)

    def __call__(self, q: Configuration, v: Velocity, *instant: Array) -> Float[Array, "..."]:
        function = jaxpr_as_fun(ClosedJaxpr(self.jaxpr.value, self.constants))
        # Recorded in one precision; weights of another may have widened the state since.
        state = (jnp.asarray(x).astype(self.dtype) for x in (q, v, *instant))
        (value,) = function(*self.values, *state)
        return value


@arguments_of.register
def _(function: ClosedLagrangian) -> int:
    return len(function.jaxpr.value.invars) - len(function.values)


@singledispatch
def closure_converted(lagrangian: Callable, q, v, *instant) -> Callable:
    """The Lagrangian or force itself, unless it closes over traced values: then one that has them as
    leaves.

    The rule of all types makes it a plain function of the state, and so has no rules but those of
    automatic differentiation. A type that is made of others registers one that converts each of them,
    and keeps its own.

    **Arguments:**

    - `lagrangian`: a function `(q, v) -> scalar`, or any PyTree that is one.
    - `q`, `v`: states of the shape and precision that it will be called with, or batches of them.
    - `instant`: time and inputs likewise, where it depends on them.
    """
    if is_transparent(lagrangian):
        return lagrangian
    state = _state(lagrangian, q, v, *instant)
    values, jaxpr = _record(lagrangian, state)
    if not any(isinstance(x, Tracer) for x in jaxpr.consts):
        return lagrangian
    return _closed(lagrangian, state, values, jaxpr)


def recorded(lagrangian: Callable, q, v) -> ClosedLagrangian:
    """The Lagrangian as JAX records it, whatever it closes over. Arguments as there."""
    state = _state(lagrangian, q, v)
    return _closed(lagrangian, state, *_record(lagrangian, state))


def content_of(function: Callable, lagrangian: Callable, *state) -> Hashable:
    """The content of a function of a Lagrangian, but for the arrays that are its leaves."""
    values, evaluate = _explicit(function, lagrangian)
    try:
        return content(jax.make_jaxpr(evaluate)(values, *map(_unbatched, state)))
    except Incomparable:
        return object()


def _record(lagrangian: Callable, state: list) -> tuple[list, ClosedJaxpr]:
    """The arrays of a Lagrangian, and its jaxpr, which takes them first."""
    values, evaluate = _explicit(lambda lagrangian, *state: lagrangian(*state), lagrangian)
    return values, jax.make_jaxpr(evaluate)(values, *state)


def _closed(
    lagrangian: Callable, state: list, values: list, closed: ClosedJaxpr
) -> ClosedLagrangian:
    jaxpr: Jaxpr = closed.jaxpr
    try:
        key = structure(jaxpr)
        if user_rules(jaxpr):
            # Their derivatives are not in the jaxpr of a value; compare those of second order, too.
            key = key, content_of(_second_derivatives, lagrangian, *state)
    except Incomparable:
        key = object()
    return ClosedLagrangian(values, closed.consts, state[0].dtype, Recorded(jaxpr, key))


def _second_derivatives(function, *state):
    """All that the equations of motion are made of."""
    both = (0, 1)
    slopes = jax.jacrev(function, both)
    return slopes(*state), jax.jacfwd(slopes, both)(*state)


def _explicit(function: Callable, lagrangian: Callable) -> tuple[list, Callable]:
    """The arrays of a Lagrangian, and the function of them and of the state."""
    arrays, rest = eqx.partition(lagrangian, eqx.is_array)
    values, tree = jax.tree.flatten(arrays)

    def evaluate(values, *state):
        return function(eqx.combine(jax.tree.unflatten(tree, values), rest), *state)

    return values, evaluate


def _state(lagrangian: Callable, q, v, t=None, u=None) -> list:
    """Shapes of as much of a state and an instant as a function takes, in the precision of the
    state."""
    dtype = jnp.result_type(q)
    instant = [
        jax.ShapeDtypeStruct(np.shape(x)[np.ndim(x) - axes :], dtype)
        for x, axes in ((t, 0), (u, 1))
        if x is not None
    ]
    return [_unbatched(q), _unbatched(v), *instant][: arguments_of(lagrangian)]


def _unbatched(x):
    return jax.ShapeDtypeStruct(x.shape[-2:], jnp.result_type(x))
