"""A model as a function that has no rules of its own: what its rules are held against."""

from collections.abc import Callable
from functools import singledispatch

from ._time import Instant, at_time


@singledispatch
def without_rules(lagrangian: Callable) -> Callable:
    """The same motion, by automatic differentiation alone. Types whose motion is not that of their
    value at (q, v) register a rule."""
    return lambda q, v: lagrangian(q, v)


@without_rules.register
def _(lagrangian: Instant):  # whose momentum changes in time, too
    return at_time(lambda q, v, t: at_time(lagrangian, t)(q, v), lagrangian.t)
