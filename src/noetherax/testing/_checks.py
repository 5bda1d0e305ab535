"""Checkers that run every law of an object on states, group elements and weights from Hypothesis."""

from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
from hypothesis import HealthCheck

from ..groups import SymmetryGroup
from ._function_laws import (
    completeness_law,
    conservation_law,
    invariance_law,
    lie_derivative_law,
    regularity_law,
    terms_law,
)
from ._group_laws import GROUP_LAWS
from ._strategies import group_elements, states


def check_group(
    group: SymmetryGroup, *, points: int = 2, dtype: Any = np.float64, max_examples: int = 20
) -> None:
    """Checks that a group is one: `act` at zero is the identity, its derivative is the generator,
    one-parameter subgroups compose, and brackets of generators close.

    **Arguments:**

    - `group`: any [`noetherax.SymmetryGroup`][].
    - `points`: number of points to test with.
    - `dtype`: precision; float64 needs JAX's x64 mode, else pass `numpy.float32`.
    - `max_examples`: states and group elements drawn.

    **Raises:**

    `AssertionError` that names the law and shows generator, state, size of the violation and the
    reason of the tolerance.
    """
    _require_precision(dtype)
    if group.dimension == 0:
        return

    @_settings(max_examples)
    @hypothesis.given(states(points, group.space, dtype=dtype), group_elements(group, dtype=dtype))
    def laws(state, coefficients):
        q, v = state
        for law in GROUP_LAWS:
            law(group, q, v, coefficients)

    laws()


def check_features(
    features: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    complete: bool = True,
    dtype: Any = np.float64,
    max_examples: int = 20,
) -> None:
    """Checks invariant features: unchanged by group elements, zero Lie derivative along generators,
    finite first and second derivatives (also at rest and at equal velocities), and complete.

    **Arguments:**

    - `features`: any function `(q, v) -> (features,)`.
    - `group`: the group they should be invariant under.
    - `points`: number of points they take.
    - `complete`: whether as many as possible must be independent.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _require_precision(dtype)
    if complete:
        completeness_law(features, group, points, group.space, dtype)

    @_settings(max_examples)
    @hypothesis.given(states(points, group.space, dtype=dtype), group_elements(group, dtype=dtype))
    def laws(state, coefficients):
        q, v = state
        regularity_law(features, q, v)
        if group.dimension:
            invariance_law(features, group, q, v, coefficients)
            lie_derivative_law(features, group, q, v)

    laws()


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
    Noether charges of the group are constant along its motion.

    **Arguments:**

    - `lagrangian`: any function `(q, v) -> scalar`.
    - `group`: the group it should be invariant under.
    - `points`: number of points it takes.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for Lagrangians that are not defined
        everywhere; [`noetherax.testing.states`][] if not given.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _require_precision(dtype)
    if state_strategy is None:
        state_strategy = states(points, group.space, dtype=dtype)
    charge = group.noether_charge(lagrangian)

    @_settings(max_examples)
    @hypothesis.given(state_strategy, group_elements(group, dtype=dtype))
    def laws(state, coefficients):
        q, v = state
        regularity_law(lagrangian, q, v)
        terms_law(lagrangian, q, v)
        if group.dimension:
            invariance_law(lagrangian, group, q, v, coefficients)
            lie_derivative_law(lagrangian, group, q, v)
            conservation_law(charge, lagrangian, q, v)

    laws()


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
    """Checks that a charge is conserved: dI/dt = 0 along the Lagrangian's equations of motion.

    **Arguments:**

    - `charge`: any function `(q, v, t) -> (charges,)`.
    - `lagrangian`: any function `(q, v) -> scalar`.
    - `points`, `space`: shape of the configuration.
    - `state_strategy`: as for [`noetherax.testing.check_lagrangian`][].
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    _require_precision(dtype)
    if state_strategy is None:
        state_strategy = states(points, space, dtype=dtype)

    @_settings(max_examples)
    @hypothesis.given(state_strategy, st.floats(-2.0, 2.0, width=32))
    def laws(state, t):
        q, v = state
        conservation_law(charge, lagrangian, q, v, t)

    laws()


def _settings(max_examples: int):
    """Compilation makes the first example slow, and draws are the same in every run."""
    return hypothesis.settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )


def _require_precision(dtype: Any) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != np.dtype(dtype):
        raise ValueError(
            f"The laws were asked for in {np.dtype(dtype).name}, but JAX is in 32-bit mode. Set "
            "jax.config.update('jax_enable_x64', True) first, or pass dtype=numpy.float32."
        )
