"""Checkers that run every law of a Lagrangian or of a charge."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._evidence import Seen
from ._laws import run_laws
from ._subjects import CASES, Charge, Lagrangian


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
    permutations: Iterable[Sequence[int]] = (),
) -> tuple[Seen, ...]:
    """Checks that a Lagrangian has a symmetry and what follows from it: it is invariant, its own rule
    for the equations of motion equals automatic differentiation, derivatives are finite and those of
    the value, and the energy and the Noether charges of the group are constant along its motion. Where
    the Lagrangian holds weights ([`noetherax.trainable`][]), all of this must hold for any: they are
    drawn afresh. A Lagrangian that determines no motion at any state, such as 0 or q · v, fails.

    One that depends on time is judged at drawn times, and its energy may change by −∂L/∂t alone;
    `noetherax.at_time(lagrangian, t)` is judged at that instant.

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

    - `lagrangian`: any function `(q, v) -> scalar` or `(q, v, t) -> scalar`, without forces.
    - `group`: the group it should be invariant under.
    - `points`: number of points it takes.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for Lagrangians that are not defined
        everywhere; [`noetherax.testing.states`][] if not given.
    - `weight_strategy`: Hypothesis strategy for the model itself, where not all weights make sense,
        such as masses, which are positive; [`noetherax.testing.weights`][] if not given.
    - `rest`: whether derivatives must be finite at rest and at equal velocities.
    - `permutations`: of all points, each a sequence of `0, …, points − 1`, that must change nothing:
        those of points that are alike.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][]; `ValueError` for a model with
    forces.
    """
    return run_laws(
        Lagrangian(
            lagrangian,
            group,
            points,
            state_strategy,
            dtype,
            max_examples,
            weight_strategy,
            rest,
            tuple(permutations),
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
    - `lagrangian`: any function of (q, v) or (q, v, t), or a model with forces. It is judged at the
        drawn times; at its own, if it is at an instant already ([`noetherax.at_time`][]).
    - `points`, `space`: shape of the configuration.
    - `state_strategy`: as for [`noetherax.testing.check_lagrangian`][].
    - `weight_strategy`: Hypothesis strategy for the pair `(charge, lagrangian)`.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    return run_laws(
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
