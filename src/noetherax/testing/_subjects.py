"""What can be tested, and which laws hold of it."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
from hypothesis import HealthCheck

from ..groups import SymmetryGroup
from ._function_laws import CHARGE_LAWS, FEATURE_LAWS, LAGRANGIAN_LAWS, completeness_law
from ._group_laws import GROUP_LAWS
from ._strategies import group_elements, states, weights


class Group(NamedTuple):
    """A symmetry group as the subject of laws; see [`noetherax.testing.check_group`][]."""

    group: SymmetryGroup
    points: int = 2
    dtype: Any = np.float64
    max_examples: int = 20

    @property
    def arguments(self) -> st.SearchStrategy:
        """Strategy for what its laws take: `(group, q, v, coefficients)`."""
        drawn = states(self.points, self.group.space, dtype=self.dtype)
        return _moved((), self.group, drawn, self.dtype)


class Features(NamedTuple):
    """Invariant features as the subject of laws; see [`noetherax.testing.check_features`][]."""

    features: Callable
    group: SymmetryGroup
    points: int
    complete: bool = True
    dtype: Any = np.float64
    max_examples: int = 20

    @property
    def arguments(self) -> st.SearchStrategy:
        """Strategy for what its laws take: `(features, group, q, v, coefficients)`."""
        drawn = states(self.points, self.group.space, dtype=self.dtype)
        return _moved((st.just(self.features),), self.group, drawn, self.dtype)


class Lagrangian(NamedTuple):
    """A Lagrangian as the subject of laws; see [`noetherax.testing.check_lagrangian`][]."""

    lagrangian: Callable
    group: SymmetryGroup
    points: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = 20

    @property
    def arguments(self) -> st.SearchStrategy:
        """Strategy for what its laws take: `(lagrangian, group, q, v, coefficients)`."""
        drawn = self.state_strategy
        if drawn is None:
            drawn = states(self.points, self.group.space, dtype=self.dtype)
        return _moved((weights(self.lagrangian),), self.group, drawn, self.dtype)


class Charge(NamedTuple):
    """A conserved quantity as the subject of laws; see [`noetherax.testing.check_charge`][]."""

    charge: Callable
    lagrangian: Callable
    points: int
    space: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = 20

    @property
    def arguments(self) -> st.SearchStrategy:
        """Strategy for what its laws take: `(charge, lagrangian, q, v, t)`."""
        drawn = self.state_strategy
        if drawn is None:
            drawn = states(self.points, self.space, dtype=self.dtype)
        model = weights((self.charge, self.lagrangian))
        times = st.floats(-2.0, 2.0, width=32)
        return st.tuples(model, drawn, times).map(lambda x: (*x[0], *x[1], x[2]))


@singledispatch
def laws(subject: Any) -> tuple[Callable[[Any], None], ...]:
    """The laws of a subject, each a function `law(subject)` that raises an `AssertionError`.

    A law draws states, group elements and weights from Hypothesis.

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
    return tuple(_for_all(law) for law in GROUP_LAWS)


@laws.register
def _(subject: Features):
    complete = (_once(completeness_law),) if subject.complete else ()
    return (*complete, *(_for_all(law) for law in FEATURE_LAWS))


@laws.register
def _(subject: Lagrangian):
    return tuple(_for_all(law) for law in LAGRANGIAN_LAWS)


@laws.register
def _(subject: Charge):
    return tuple(_for_all(law) for law in CHARGE_LAWS)


def _for_all(law: Callable) -> Callable[[Any], None]:
    def run(subject) -> None:
        _require_precision(subject.dtype)
        # Compilation makes the first example slow; draws are the same in every run.
        settings = hypothesis.settings(
            max_examples=subject.max_examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        )
        settings(hypothesis.given(subject.arguments)(lambda arguments: law(*arguments)))()

    run.__name__ = law.__name__
    run.__doc__ = law.__doc__
    return run


def _once(law: Callable) -> Callable[[Any], None]:
    def run(subject: Features) -> None:
        _require_precision(subject.dtype)
        law(subject.features, subject.group, subject.points, subject.dtype)

    run.__name__ = law.__name__
    run.__doc__ = law.__doc__
    return run


def _moved(objects: tuple, group: SymmetryGroup, drawn: st.SearchStrategy, dtype: Any):
    """Strategy for `(*objects, group, q, v, coefficients)`: states, and elements that move them."""

    def flatten(parts: tuple) -> tuple:
        *first, (q, v), coefficients = parts
        return (*first, q, v, coefficients)

    elements = group_elements(group, dtype=dtype)
    return st.tuples(*objects, st.just(group), drawn, elements).map(flatten)


def _require_precision(dtype: Any) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != np.dtype(dtype):
        raise ValueError(
            f"The laws were asked for in {np.dtype(dtype).name}, but JAX is in 32-bit mode. Set "
            "jax.config.update('jax_enable_x64', True) first, or pass dtype=numpy.float32."
        )
