"""Checkers that run every law of a group or of invariant features."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._evidence import Seen
from ._laws import run_laws
from ._subjects import CASES, ConfigurationFeatures, Features, Group


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
    return run_laws(Group(group, points, dtype, max_examples, state_strategy))


def check_features(
    features: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    complete: bool = True,
    state_strategy: st.SearchStrategy | None = None,
    weight_strategy: st.SearchStrategy | None = None,
    rest: bool = True,
    permutations: Iterable[Sequence[int]] = (),
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
    - `permutations`: of all points, each a sequence of `0, …, points − 1`, that must change nothing:
        those of points that are alike.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return run_laws(
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
            tuple(permutations),
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
    return run_laws(
        ConfigurationFeatures(
            features, group, points, complete, dtype, max_examples, state_strategy
        )
    )
