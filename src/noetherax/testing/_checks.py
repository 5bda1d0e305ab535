"""Checkers that run every law of an object, and the parametrisation of a test over them."""

from collections.abc import Callable, Iterable
from typing import Any

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._evidence import Seen
from ._subjects import (
    CASES,
    Charge,
    ConfigurationFeatures,
    Features,
    Group,
    Lagrangian,
    laws,
)


def check_group(
    group: SymmetryGroup,
    *,
    points: int = 2,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = CASES,
) -> tuple[Seen, ...]:
    """Checks that a group is one: `act` at zero is the identity, its derivative is the generator
    and its lift, there and wherever it leads, one-parameter subgroups compose, brackets of
    generators close, and single precision agrees with double. Elements are small and large, times
    zero and others.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        group = nx.Rotations(2)
        seen = nx.testing.check_group(group, points=1, dtype=np.float32, max_examples=8)
        for law in seen:
            print(law)  # one line for every law that held
        ```

    **Arguments:**

    - `group`: any [`noetherax.SymmetryGroup`][].
    - `points`: number of points to test with.
    - `state_strategy`: Hypothesis strategy for `(q, v)`; [`noetherax.testing.states`][] if not given.
        A group about a centre far away needs states near it.
    - `dtype`: precision; float64 needs JAX's x64 mode, else pass `numpy.float32`. Derivatives and
        generators are judged in this one alone.
    - `max_examples`: cases that are drawn: states, group elements and times. All laws judge the same.

    **Returns:**

    What every law has seen, a tuple of [`noetherax.testing.Seen`][].

    **Raises:**

    `AssertionError` that names the law and shows generator, state, size of the violation and the
    reason of the tolerance.
    """
    return _run(Group(group, points, dtype, max_examples, state_strategy))


def check_features(
    features: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    complete: bool = True,
    state_strategy: st.SearchStrategy | None = None,
    weight_strategy: st.SearchStrategy | None = None,
    rest: bool = True,
    dtype: Any = np.float64,
    max_examples: int = CASES,
) -> tuple[Seen, ...]:
    """Checks invariant features: unchanged by group elements, reflections included, zero Lie
    derivative along generators, first and second derivatives that are finite (also at rest, at the
    origin and where points or velocities coincide) and those of the value, the same in single and in
    double precision, and complete.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def features(q, v):  # q·q, q·v, v·v
            return jnp.stack([jnp.sum(q * q), jnp.sum(q * v), jnp.sum(v * v)])


        options = dict(points=1, dtype=np.float32, max_examples=8)
        seen = nx.testing.check_features(features, nx.Orthogonal(2), **options)
        assert "completeness_law" in [law.law for law in seen]
        ```

    **Arguments:**

    - `features`: any function `(q, v) -> (features,)`.
    - `group`: the group they should be invariant under.
    - `points`: number of points they take.
    - `complete`: whether as many as possible must be independent.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for features that are not defined everywhere,
        such as 1/r: then nothing is asked at the origin and where points coincide.
        [`noetherax.testing.states`][] if not given.
    - `weight_strategy`: as for [`noetherax.testing.check_lagrangian`][].
    - `rest`: whether derivatives must be finite at rest and at equal velocities.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return _run(
        Features(
            features,
            group,
            points,
            complete,
            dtype,
            max_examples,
            state_strategy,
            weight_strategy,
            rest,
        )
    )


def check_configuration_features(
    features: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    complete: bool = True,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = CASES,
) -> tuple[Seen, ...]:
    """Checks invariant features of the configuration alone, by the laws of
    [`noetherax.testing.check_features`][]; they are complete if as many are independent as the
    configuration has coordinates beyond the group's orbits on it.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def distance(q):  # its square, which is smooth where the points meet
            return jnp.sum((q[0] - q[1]) ** 2)[None]


        options = dict(points=2, dtype=np.float32, max_examples=8)
        seen = nx.testing.check_configuration_features(distance, nx.Euclidean(2), **options)
        for law in seen:
            print(law)
        ```

    **Arguments:**

    - `features`: any function `q -> (features,)`.
    - `group`: the group they should be invariant under.
    - `points`: number of points they take.
    - `complete`: whether as many as possible must be independent. Fewer are invariant all the same.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for features that are not defined everywhere,
        such as 1/r: then nothing is asked at the origin and where points coincide. What it gives for v
        makes no difference.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return _run(
        ConfigurationFeatures(
            features, group, points, complete, dtype, max_examples, state_strategy
        )
    )


def check_lagrangian(
    lagrangian: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = CASES,
    weight_strategy: st.SearchStrategy | None = None,
    rest: bool = True,
) -> tuple[Seen, ...]:
    """Checks that a Lagrangian has a symmetry and what follows from it: it is invariant, its own rule
    for the equations of motion equals automatic differentiation, derivatives are finite and those of
    the value, and the energy and the Noether charges of the group are constant along its motion. Where
    the Lagrangian holds weights ([`noetherax.trainable`][]), all of this must hold for any: they are
    drawn afresh. A Lagrangian that determines no motion at any state, such as 0 or q · v, fails.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        options = dict(points=1, dtype=np.float32, max_examples=8)
        seen = nx.testing.check_lagrangian(spring, nx.Rotations(2), **options)
        assert {"noether_law", "energy_law"} <= {law.law for law in seen}
        ```

    **Arguments:**

    - `lagrangian`: any function `(q, v) -> scalar`.
    - `group`: the group it should be invariant under.
    - `points`: number of points it takes.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for Lagrangians that are not defined
        everywhere; [`noetherax.testing.states`][] if not given.
    - `weight_strategy`: Hypothesis strategy for the model itself, where not all weights make sense,
        such as masses, which are positive; [`noetherax.testing.weights`][] if not given.
    - `rest`: whether derivatives must be finite at rest and at equal velocities.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return _run(
        Lagrangian(
            lagrangian, group, points, state_strategy, dtype, max_examples, weight_strategy, rest
        )
    )


def check_charge(
    charge: Callable,
    lagrangian: Callable,
    *,
    points: int,
    space: int,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = CASES,
    weight_strategy: st.SearchStrategy | None = None,
) -> tuple[Seen, ...]:
    """Checks that a charge is conserved: dI/dt = 0 along the Lagrangian's equations of motion, at any
    time and for any weights of the Lagrangian; a charge that holds the same weights gets the same new
    ones. Checks as well that the charge's derivatives are those of its value.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        def angular_momentum(q, v, t):
            return jnp.stack([q[0, 0] * v[0, 1] - q[0, 1] * v[0, 0]])


        options = dict(points=1, space=2, dtype=np.float32, max_examples=8)
        seen = nx.testing.check_charge(angular_momentum, spring, **options)
        for law in seen:
            print(law)
        ```

    **Arguments:**

    - `charge`: any function `(q, v, t) -> (charges,)`.
    - `lagrangian`: any function `(q, v) -> scalar`.
    - `points`, `space`: shape of the configuration.
    - `state_strategy`: as for [`noetherax.testing.check_lagrangian`][].
    - `weight_strategy`: Hypothesis strategy for the pair `(charge, lagrangian)`.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return _run(
        Charge(
            charge,
            lagrangian,
            points,
            space,
            state_strategy,
            dtype,
            max_examples,
            weight_strategy,
        )
    )


def parametrize_with_laws(subjects: Iterable[Any]) -> Callable[[Callable], Callable]:
    """Decorator that runs a pytest test once for every law of every subject.

    !!! example

        ```python
        import noetherax as nx

        group = nx.Euclidean(2)
        features = group.invariant_features(points=2)


        @nx.testing.parametrize_with_laws(
            [
                nx.testing.Group(group),
                nx.testing.Features(features, group, points=2),
            ]
        )
        def test_laws(subject, law):
            law(subject)


        (mark,) = test_laws.pytestmark
        assert mark.kwargs["ids"][0] == "Group(Euclidean)-identity_law"
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


def _run(subject: Any) -> tuple[Seen, ...]:
    return tuple(law(subject) for law in laws(subject))


def _name(subject: Any) -> str:
    tested = subject[0]
    name = getattr(tested, "__name__", type(tested).__name__)
    return f"{type(subject).__name__}({name})"
