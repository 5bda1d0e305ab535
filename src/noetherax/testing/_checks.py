"""Checkers that run every law of an object, and the parametrisation of a test over them."""

from collections.abc import Callable, Iterable
from typing import Any

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._subjects import Charge, Features, Group, Lagrangian, laws


def check_group(
    group: SymmetryGroup, *, points: int = 2, dtype: Any = np.float64, max_examples: int = 20
) -> None:
    """Checks that a group is one: `act` at zero is the identity, its derivative is the generator,
    one-parameter subgroups compose, and brackets of generators close.

    **Arguments:**

    - `group`: any [`noetherax.SymmetryGroup`][].
    - `points`: number of points to test with.
    - `dtype`: precision; float64 needs JAX's x64 mode, else pass `numpy.float32`.
    - `max_examples`: states and group elements drawn for each law.

    **Raises:**

    `AssertionError` that names the law and shows generator, state, size of the violation and the
    reason of the tolerance.
    """
    _run(Group(group, points, dtype, max_examples))


def check_features(
    features: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    complete: bool = True,
    dtype: Any = np.float64,
    max_examples: int = 20,
) -> None:
    """Checks invariant features: unchanged by group elements, reflections included, zero Lie
    derivative along generators, finite first and second derivatives (also at rest, at the origin and
    where points or velocities coincide), and complete.

    **Arguments:**

    - `features`: any function `(q, v) -> (features,)`.
    - `group`: the group they should be invariant under.
    - `points`: number of points they take.
    - `complete`: whether as many as possible must be independent.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _run(Features(features, group, points, complete, dtype, max_examples))


def check_lagrangian(
    lagrangian: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = 20,
) -> None:
    """Checks that a Lagrangian has a symmetry and what follows from it: it is invariant, its own rule
    for the equations of motion equals automatic differentiation, derivatives are finite, and the
    Noether charges of the group are constant along its motion. Where the Lagrangian holds weights
    ([`noetherax.trainable`][]), all of this must hold for any: they are drawn afresh.

    **Arguments:**

    - `lagrangian`: any function `(q, v) -> scalar`.
    - `group`: the group it should be invariant under.
    - `points`: number of points it takes.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for Lagrangians that are not defined
        everywhere; [`noetherax.testing.states`][] if not given.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _run(Lagrangian(lagrangian, group, points, state_strategy, dtype, max_examples))


def check_charge(
    charge: Callable,
    lagrangian: Callable,
    *,
    points: int,
    space: int,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = 20,
) -> None:
    """Checks that a charge is conserved: dI/dt = 0 along the Lagrangian's equations of motion, for
    any weights of the Lagrangian; a charge that holds the same weights gets the same new ones.

    **Arguments:**

    - `charge`: any function `(q, v, t) -> (charges,)`.
    - `lagrangian`: any function `(q, v) -> scalar`.
    - `points`, `space`: shape of the configuration.
    - `state_strategy`: as for [`noetherax.testing.check_lagrangian`][].
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _run(Charge(charge, lagrangian, points, space, state_strategy, dtype, max_examples))


def parametrize_with_laws(subjects: Iterable[Any]) -> Callable[[Callable], Callable]:
    """Decorator that runs a pytest test once for every law of every subject.

    !!! example

        ```python
        from noetherax import testing

        @testing.parametrize_with_laws([
            testing.Group(MyGroup()),
            testing.Features(my_layer, MyGroup(), points=2),
        ])
        def test_laws(subject, law):
            law(subject)
        ```

    **Arguments:**

    - `subjects`: as [`noetherax.testing.laws`][] takes them.

    **Returns:**

    A decorator for a test function `(subject, law)`. Needs pytest.
    """
    import pytest

    cases = [(subject, law) for subject in subjects for law in laws(subject)]
    names = [f"{_name(subject)}-{law.__name__}" for subject, law in cases]
    return pytest.mark.parametrize(("subject", "law"), cases, ids=names)


def _run(subject: Any) -> None:
    for law in laws(subject):
        law(subject)


def _name(subject: Any) -> str:
    tested = subject[0]
    name = getattr(tested, "__name__", type(tested).__name__)
    return f"{type(subject).__name__}({name})"
