"""What can be tested, and which laws hold of it."""

from collections.abc import Callable, Sequence
from functools import singledispatch, wraps
from typing import Any, NamedTuple, final

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._cases import require_precision
from ._evidence import Seen
from ._group_laws import (
    bracket_law,
    derivative_law,
    flow_law,
    group_precision_law,
    identity_law,
    subgroup_law,
)
from ._motion_laws import (
    charge_derivatives_law,
    conservation_law,
    energy_law,
    noether_law,
    residual_law,
    terms_law,
)
from ._records import (
    ChargeRecord,
    GroupRecord,
    LagrangianRecord,
    record_of_configuration_features,
    record_of_features,
)
from ._regularity_laws import derivatives_law, precision_law, regularity_law, smoothness_law
from ._symmetry_laws import (
    completeness_law,
    component_law,
    configuration_completeness_law,
    invariance_law,
    lie_derivative_law,
    period_law,
)

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


@singledispatch
def laws(subject: Any) -> tuple[Callable[[Any], Seen], ...]:
    """The laws of a subject, each a function `law(subject)` that raises an `AssertionError`, and
    returns what it has seen: a [`noetherax.testing.Seen`][].

    All laws of one call of this function share the cases, and what is compiled to evaluate them; a law
    that is called again draws and compiles anew, so that nothing outlives a change of the subject.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        group = nx.Rotations(2)
        subject = nx.testing.Group(group, points=1, dtype=np.float32, max_examples=8)
        identity, *others = nx.testing.laws(subject)
        assert identity.__name__ == "identity_law" and len(others) == 5
        print(identity(subject))
        ```

    **Arguments:**

    - `subject`: a [`noetherax.testing.Group`][], [`noetherax.testing.Features`][],
        [`noetherax.testing.ConfigurationFeatures`][], [`noetherax.testing.Lagrangian`][],
        [`noetherax.testing.Charge`][] or [`noetherax.testing.Force`][].

    **Returns:**

    A tuple of functions.
    """
    raise TypeError(
        "Laws are known of noetherax.testing.Group, Features, ConfigurationFeatures, Lagrangian, "
        f"Charge and Force, but not of {type(subject).__name__}: {subject!r}."
    )


@laws.register
def _(subject: Group):
    return sharing(subject, GroupRecord, GROUP_LAWS)


@laws.register
def _(subject: Features):
    complete = (completeness_law,) if subject.complete else ()
    # The user's own states are all there is: the origin may be none of them.
    anywhere = (smoothness_law,) if subject.state_strategy is None else ()
    functions = (*complete, regularity_law, *anywhere, *FEATURE_LAWS)
    return sharing(subject, record_of_features, functions)


@laws.register
def _(subject: ConfigurationFeatures):
    complete = (configuration_completeness_law,) if subject.complete else ()
    anywhere = (smoothness_law,) if subject.state_strategy is None else ()
    functions = (*complete, regularity_law, *anywhere, *FEATURE_LAWS)
    return sharing(subject, record_of_configuration_features, functions)


@laws.register
def _(subject: Lagrangian):
    return sharing(subject, LagrangianRecord, LAGRANGIAN_LAWS)


@laws.register
def _(subject: Charge):
    return sharing(subject, ChargeRecord, CHARGE_LAWS)


def of_its_function(law: Callable) -> Callable:
    """The law of a Lagrangian that is one of any function of the state."""

    @wraps(law)
    def judge(record: LagrangianRecord) -> Seen:
        return law(record.function)

    return judge


GROUP_LAWS = (
    identity_law,
    subgroup_law,
    derivative_law,
    flow_law,
    bracket_law,
    group_precision_law,
)
FEATURE_LAWS = (
    invariance_law,
    lie_derivative_law,
    component_law,
    period_law,
    derivatives_law,
    precision_law,
)
LAGRANGIAN_LAWS = (
    of_its_function(regularity_law),
    terms_law,
    residual_law,
    of_its_function(invariance_law),
    of_its_function(lie_derivative_law),
    of_its_function(component_law),
    of_its_function(period_law),
    noether_law,
    energy_law,
    of_its_function(derivatives_law),
    of_its_function(precision_law),
)
CHARGE_LAWS = (conservation_law, charge_derivatives_law)

NEED_GENERATORS = {
    law.__name__ for law in (*GROUP_LAWS, invariance_law, lie_derivative_law, noether_law)
}
"""Laws that hold of a group without generators, and say so."""


def sharing(subject: Any, make: Callable, functions: Sequence[Callable]) -> tuple[Callable, ...]:
    shared = _Shared(subject, make, len(functions))
    return tuple(_law(function, shared) for function in functions)


@final
class _Shared:
    """The record of a subject between the first of its laws and the last."""

    def __init__(self, subject: Any, make: Callable, laws: int):
        self.subject, self.make, self.laws = subject, make, laws
        self.record: Any = None
        self.done: set[str] = set()

    def judge(self, subject: Any, function: Callable) -> Seen:
        require_precision(subject.dtype)
        group = getattr(subject, "group", None)
        if group is not None and not group.dimension and function.__name__ in NEED_GENERATORS:
            return Seen(function.__name__, 0, 0, "the group has no generators")
        if subject is not self.subject:
            return function(self.make(subject))
        if self.record is None or function.__name__ in self.done:
            self.record, self.done = self.make(subject), set()
        self.done.add(function.__name__)
        record = self.record
        if len(self.done) == self.laws:
            self.record = None  # and with it everything that was compiled
        return function(record)


def _law(function: Callable, shared: _Shared) -> Callable[[Any], Seen]:
    def law(subject: Any) -> Seen:
        return shared.judge(subject, function)

    law.__name__ = function.__name__
    law.__doc__ = function.__doc__
    return law
