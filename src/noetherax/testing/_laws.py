"""Which laws hold of a subject. Those of one subject share its cases and what is compiled for them."""

from collections.abc import Callable, Sequence
from functools import singledispatch, wraps
from typing import Any, final

import numpy as np

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
    rules_law,
    terms_law,
)
from ._permutation_laws import permutation_law, permutations_of
from ._records import (
    ChargeRecord,
    GroupRecord,
    LagrangianRecord,
    record_of_configuration_features,
    record_of_features,
)
from ._regularity_laws import derivatives_law, precision_law, regularity_law, smoothness_law
from ._subjects import Charge, ConfigurationFeatures, Features, Group, Lagrangian
from ._symmetry_laws import (
    completeness_law,
    component_law,
    configuration_completeness_law,
    invariance_law,
    lie_derivative_law,
    period_law,
)


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
        [`noetherax.testing.Charge`][], [`noetherax.testing.Force`][], [`noetherax.testing.Solver`][] or
        [`noetherax.testing.Loss`][].

    **Returns:**

    A tuple of functions.
    """
    raise TypeError(
        "Laws are known of noetherax.testing.Group, Features, ConfigurationFeatures, Lagrangian, "
        f"Charge, Force, Solver and Loss, but not of {type(subject).__name__}: {subject!r}."
    )


def run_laws(subject: Any) -> tuple[Seen, ...]:
    """What every law of a subject has seen; raises where one does not hold."""
    return tuple(law(subject) for law in laws(subject))


@laws.register
def _(subject: Group):
    return sharing(subject, GroupRecord, GROUP_LAWS)


@laws.register
def _(subject: Features):
    complete = (completeness_law,) if subject.complete else ()
    # The user's own states are all there is: the origin may be none of them.
    anywhere = (smoothness_law,) if subject.state_strategy is None else ()
    alike = (permutation_law,) if permutations_of(subject) else ()
    functions = (*complete, regularity_law, *anywhere, *FEATURE_LAWS, *alike)
    return sharing(subject, record_of_features, functions)


@laws.register
def _(subject: ConfigurationFeatures):
    complete = (configuration_completeness_law,) if subject.complete else ()
    anywhere = (smoothness_law,) if subject.state_strategy is None else ()
    functions = (*complete, regularity_law, *anywhere, *FEATURE_LAWS)
    return sharing(subject, record_of_configuration_features, functions)


@laws.register
def _(subject: Lagrangian):
    alike = (of_its_function(permutation_law),) if permutations_of(subject) else ()
    return sharing(subject, LagrangianRecord, (*LAGRANGIAN_LAWS, *alike))


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
    rules_law,
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
} | {"kept_charges_law"}
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
        # Bounds that are beyond numbers judge nothing, and are no news.
        with np.errstate(all="ignore"):
            return shared.judge(subject, function)

    law.__name__ = function.__name__
    law.__doc__ = function.__doc__
    return law
