"""A Lagrangian in a form that a compiled program can be found by: what it computes, not what it is.

All rules of `Known` are those of the type inside.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._content import is_transparent
from .._types import Configuration, Velocity
from ._closed import Recorded, closure_converted, content_of, recorded
from ._contracts import RULES
from ._derived import momentum
from ._equations import euler_lagrange_residual, euler_lagrange_terms, lagrangian_gradient
from ._forced import forces_of
from ._inertia import constant_inertia, leading_inertia
from ._motion import solve_motion, terms_and_change
from ._registration import has_rule, pass_on
from ._time import depends_on_time, is_at_instant, resolved


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


def known(lagrangian: Callable, q, v, uses: Callable) -> Any:
    """The Lagrangian in a form in which a compiled program can be found by what it computes. Everything
    that takes a Lagrangian takes it.

    **Arguments:**

    - `lagrangian`, `q`, `v`: as for `closure_converted`.
    - `uses`: `(lagrangian, q, v) -> arrays`, what the program computes of a Lagrangian. Types that
        register rules of their own are told apart by it.
    """
    if is_transparent(lagrangian):
        return lagrangian
    if not any(has_rule(function, type(lagrangian)) for function in RULES):
        return recorded(lagrangian, q, v)
    lagrangian = closure_converted(lagrangian, q, v)
    if is_transparent(lagrangian):
        return lagrangian
    arrays, rest = eqx.partition(lagrangian, eqx.is_array)
    return Known(arrays, Recorded(rest, content_of(uses, lagrangian, q, v)))


def opened(lagrangian: Any) -> Callable:
    """What `known` was given, with its present leaves."""
    if isinstance(lagrangian, Known):
        return eqx.combine(lagrangian.arrays, lagrangian.rest.value)
    return lagrangian


pass_on(
    Known,
    opened,
    euler_lagrange_terms,
    euler_lagrange_residual,
    lagrangian_gradient,
    solve_motion,
    constant_inertia,
    leading_inertia,
    momentum,
    depends_on_time,
    is_at_instant,
    resolved,
    forces_of,
)


@terms_and_change.register
def _(lagrangian: Known, q, v):
    terms, change_inside = terms_and_change(opened(lagrangian), q, v)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        return change_inside(a, (moved.arrays, *state))

    return terms, change_of_residual
