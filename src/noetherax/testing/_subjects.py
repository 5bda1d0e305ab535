"""What can be tested, and which laws hold of it."""

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._evidence import Seen
from ._function_laws import (
    FEATURE_LAWS,
    completeness_law,
    invariance_law,
    lie_derivative_law,
    smoothness_law,
)
from ._group_laws import GROUP_LAWS
from ._motion_laws import CHARGE_LAWS, LAGRANGIAN_LAWS, noether_law
from ._records import ChargeRecord, FunctionRecord, GroupRecord, LagrangianRecord, require_precision

CASES = 128
"""Cases that are drawn for a subject, and judged by each of its laws."""


NEED_GENERATORS = (*GROUP_LAWS, invariance_law, lie_derivative_law, noether_law)
"""Laws that hold of a group without generators, and say so."""


class Group(NamedTuple):
    """A symmetry group as the subject of laws; see [`noetherax.testing.check_group`][]."""

    group: SymmetryGroup
    points: int = 2
    dtype: Any = np.float64
    max_examples: int = CASES
    state_strategy: st.SearchStrategy | None = None


class Features(NamedTuple):
    """Invariant features as the subject of laws; see [`noetherax.testing.check_features`][]."""

    features: Callable
    group: SymmetryGroup
    points: int
    complete: bool = True
    dtype: Any = np.float64
    max_examples: int = CASES
    state_strategy: st.SearchStrategy | None = None
    weight_strategy: st.SearchStrategy | None = None
    rest: bool = True


class Lagrangian(NamedTuple):
    """A Lagrangian as the subject of laws; see [`noetherax.testing.check_lagrangian`][]."""

    lagrangian: Callable
    group: SymmetryGroup
    points: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = CASES
    weight_strategy: st.SearchStrategy | None = None
    rest: bool = True


class Charge(NamedTuple):
    """A conserved quantity as the subject of laws; see [`noetherax.testing.check_charge`][]."""

    charge: Callable
    lagrangian: Callable
    points: int
    space: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = CASES
    weight_strategy: st.SearchStrategy | None = None


@singledispatch
def laws(subject: Any) -> tuple[Callable[[Any], Seen], ...]:
    """The laws of a subject, each a function `law(subject)` that raises an `AssertionError`, and
    returns what it has seen: a [`noetherax.testing.Seen`][].

    All laws of one call of this function share the cases, and what is compiled to evaluate them; a law
    that is called again draws and compiles anew, so that nothing outlives a change of the subject.

    **Arguments:**

    - `subject`: a [`noetherax.testing.Group`][], [`noetherax.testing.Features`][],
        [`noetherax.testing.Lagrangian`][] or [`noetherax.testing.Charge`][].

    **Returns:**

    A tuple of functions.
    """
    raise TypeError(
        "Laws are known of noetherax.testing.Group, Features, Lagrangian and Charge, but not of "
        f"{type(subject).__name__}: {subject!r}."
    )


@laws.register
def _(subject: Group):
    return _sharing(subject, GroupRecord, GROUP_LAWS)


@laws.register
def _(subject: Features):
    complete = (completeness_law,) if subject.complete else ()
    # States of the user's own are all there is: the origin may be none of them.
    own = subject.state_strategy is not None
    return _sharing(
        subject,
        FunctionRecord,
        (*complete, *(law for law in FEATURE_LAWS if not (own and law is smoothness_law))),
    )


@laws.register
def _(subject: Lagrangian):
    return _sharing(subject, LagrangianRecord, LAGRANGIAN_LAWS)


@laws.register
def _(subject: Charge):
    return _sharing(subject, ChargeRecord, CHARGE_LAWS)


def _sharing(subject: Any, make: Callable, functions: Sequence[Callable]) -> tuple[Callable, ...]:
    shared = _Shared(subject, make, len(functions))
    return tuple(_law(function, shared) for function in functions)


class _Shared:
    """The record of a subject between the first of its laws and the last."""

    def __init__(self, subject: Any, make: Callable, laws: int):
        self.subject, self.make, self.laws = subject, make, laws
        self.record: Any = None
        self.told: set[str] = set()

    def judge(self, subject: Any, function: Callable) -> Seen:
        require_precision(subject.dtype)
        group = getattr(subject, "group", None)
        if group is not None and not group.dimension and function in NEED_GENERATORS:
            return Seen(function.__name__, 0, 0, "the group has no generators")
        if subject is not self.subject:
            return function(self.make(subject))
        if self.record is None or function.__name__ in self.told:
            self.record, self.told = self.make(subject), set()
        self.told.add(function.__name__)
        record = self.record
        if len(self.told) == self.laws:
            self.record = None  # and with it everything that was compiled
        return function(record)


def _law(function: Callable, shared: _Shared) -> Callable[[Any], Seen]:
    def run(subject: Any) -> Seen:
        return shared.judge(subject, function)

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    return run
