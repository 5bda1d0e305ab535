"""What can be tested: an object, and how its cases are drawn."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup

CASES = 128
"""Cases that are drawn for a subject, and judged by each of its laws."""


@final
class Group(NamedTuple):
    """A symmetry group as the subject of [`noetherax.testing.laws`][]. Its members are the
    arguments of [`noetherax.testing.check_group`][].

    !!! example

        ```python
        import noetherax as nx

        subject = nx.testing.Group(nx.Translations(2), points=3)
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "flow_law" in names and "bracket_law" in names
        ```
    """

    group: SymmetryGroup
    points: int = 2
    dtype: Any = np.float64
    max_examples: int = CASES
    state_strategy: st.SearchStrategy | None = None


@final
class Features(NamedTuple):
    """Invariant features as the subject of [`noetherax.testing.laws`][]. Its members are the
    arguments of [`noetherax.testing.check_features`][].

    !!! example

        ```python
        import noetherax as nx

        group = nx.Rotations(3)
        some = nx.testing.Features(
            lambda q, v: (v[0] @ v[0])[None], group, points=1, complete=False
        )
        whole = nx.testing.Features(group.invariant_features(points=1), group, points=1)
        names = [[law.__name__ for law in nx.testing.laws(x)] for x in (some, whole)]
        assert set(names[1]) - set(names[0]) == {"completeness_law"}
        ```
    """

    features: Callable
    group: SymmetryGroup
    points: int
    complete: bool = True
    dtype: Any = np.float64
    max_examples: int = CASES
    state_strategy: st.SearchStrategy | None = None
    weight_strategy: st.SearchStrategy | None = None
    rest: bool = True
    permutations: Sequence[Sequence[int]] = ()


@final
class ConfigurationFeatures(NamedTuple):
    """Invariant features of the configuration alone as the subject of [`noetherax.testing.laws`][].
    Its members are the arguments of [`noetherax.testing.check_configuration_features`][].

    !!! example

        ```python
        import noetherax as nx

        group = nx.Euclidean(3)
        features = group.configuration_features(points=2)  # the square of the distance
        subject = nx.testing.ConfigurationFeatures(features, group, points=2)
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "configuration_completeness_law" in names
        ```
    """

    features: Callable
    group: SymmetryGroup
    points: int
    complete: bool = True
    dtype: Any = np.float64
    max_examples: int = CASES
    state_strategy: st.SearchStrategy | None = None
    weight_strategy = None  # what never trains holds no weights
    rest = True


@final
class Lagrangian(NamedTuple):
    """A Lagrangian as the subject of [`noetherax.testing.laws`][]. Its members are the arguments of
    [`noetherax.testing.check_lagrangian`][].

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def kepler(q, v):
            return jnp.sum(v**2) / 2 + 1 / jnp.linalg.norm(q)


        def away(state):  # from the centre, where this is not defined
            return jnp.linalg.norm(state[0]) > 0.1


        states = nx.testing.states(points=1, space=3, bound=10.0).filter(away)
        subject = nx.testing.Lagrangian(kepler, nx.Rotations(3), 1, state_strategy=states)
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "noether_law" in names and "energy_law" in names
        ```
    """

    lagrangian: Callable
    group: SymmetryGroup
    points: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = CASES
    weight_strategy: st.SearchStrategy | None = None
    rest: bool = True
    permutations: Sequence[Sequence[int]] = ()


@final
class Charge(NamedTuple):
    """A conserved quantity as the subject of [`noetherax.testing.laws`][]. Its members are the
    arguments of [`noetherax.testing.check_charge`][].

    !!! example

        ```python
        import noetherax as nx

        system = nx.systems.HarmonicOscillator(space=2)
        charge = nx.Rotations(2).noether_charge(system.lagrangian)
        subject = nx.testing.Charge(charge, system.lagrangian, points=1, space=2)
        conservation, derivatives = nx.testing.laws(subject)
        assert conservation.__name__ == "conservation_law"
        ```
    """

    charge: Callable
    lagrangian: Callable
    points: int
    space: int
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = CASES
    weight_strategy: st.SearchStrategy | None = None
