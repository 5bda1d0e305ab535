"""A force as the subject of laws, and the checker that runs them all."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, final

import hypothesis.strategies as st
import numpy as np

from ..groups import SymmetryGroup
from ._evidence import Seen
from ._force_laws import (
    charges_law,
    covector_component_law,
    covector_derivative_law,
    covector_period_law,
    equivariance_law,
)
from ._force_motion_laws import balance_law, power_law, rest_law
from ._force_records import ForceRecord
from ._force_regularity_laws import (
    force_derivatives_law,
    force_precision_law,
    force_regularity_law,
    smooth_at_rest_law,
)
from ._laws import laws, run_laws, sharing
from ._permutation_laws import force_permutation_law, permutations_of
from ._subjects import CASES


@final
class Force(NamedTuple):
    """A force, or all forces of a model, as the subject of [`noetherax.testing.laws`][]. Its
    members are the arguments of [`noetherax.testing.check_force`][].

    !!! example

        ```python
        import noetherax as nx


        def drag(q, v):
            return -0.1 * v


        subject = nx.testing.Force(drag, nx.Rotations(2), points=1, dissipative=True)
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "power_law" in names  # it takes energy from every motion
        assert "charges_law" not in names  # and angular momentum as well
        ```
    """

    force: Callable
    group: SymmetryGroup
    points: int
    keeps_charges: bool = False
    dissipative: bool = False
    equivariant: bool = True
    inputs: int = 0
    state_strategy: st.SearchStrategy | None = None
    dtype: Any = np.float64
    max_examples: int = CASES
    weight_strategy: st.SearchStrategy | None = None
    instant_strategy: st.SearchStrategy | None = None
    rest: bool = True
    permutations: Sequence[Sequence[int]] = ()


def check_force(
    force: Callable,
    group: SymmetryGroup,
    *,
    points: int,
    keeps_charges: bool = False,
    dissipative: bool = False,
    equivariant: bool = True,
    inputs: int = 0,
    state_strategy: st.SearchStrategy | None = None,
    dtype: Any = np.float64,
    max_examples: int = CASES,
    weight_strategy: st.SearchStrategy | None = None,
    instant_strategy: st.SearchStrategy | None = None,
    rest: bool = True,
    permutations: Iterable[Sequence[int]] = (),
) -> tuple[Seen, ...]:
    """Checks what a force promises, for any weights, at any time and with any inputs.

    - Always: force and first derivatives are finite, also at rest, where velocities are equal, at
      the origin and where points coincide; they do not jump at rest; derivatives are those of the
      value; single precision agrees with double; and along a short motion the charges of the group
      change by what the force puts into them ([`noetherax.balance`][]).
    - `equivariant`: a group element, small or large, carries the force with it, as a covector.
    - `keeps_charges`: it has no part along a generator, Q · ξ_a = 0.
    - `dissipative`: it adds no energy, Q · v ≤ 0, at velocities over nine decades, in any direction,
        with points far away, close together and at the origin; and vanishes at rest.
    - `permutations`: points that change places get each other's force.

    Every force of a model has to keep the promises by itself. Of forces that keep them only together,
    give the sum as a function.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx


        def drag(q, v):
            return -0.1 * v


        options = dict(points=1, dtype=np.float32, max_examples=8)
        seen = nx.testing.check_force(drag, nx.Rotations(2), dissipative=True, **options)
        assert "power_law" in [law.law for law in seen]
        ```

    **Arguments:**

    - `force`: a [`noetherax.Force`][], any function of (q, v), (q, v, t) or (q, v, t, u) with values of
        the shape of q; or a model, [`noetherax.Forced`][] or [`noetherax.Driven`][], all whose forces
        are judged.
    - `group`: the group it should be equivariant under, or whose charges it should keep.
    - `points`: number of points it takes.
    - `keeps_charges`, `dissipative`, `equivariant`: what it promises.
    - `inputs`: number of inputs u that it takes, if these are not bound to it.
    - `state_strategy`: Hypothesis strategy for `(q, v)`, for forces that are not defined everywhere:
        then nothing is asked at the origin and where points coincide, and of other velocities only
        slower ones.
    - `weight_strategy`: Hypothesis strategy for the force itself, or the model;
        [`noetherax.testing.weights`][] if not given.
    - `instant_strategy`: Hypothesis strategy for `(t, u)`; [`noetherax.testing.instants`][] if not
        given.
    - `rest`: whether derivatives must be finite at rest and at equal velocities.
    - `permutations`: of all points, each a sequence of `0, …, points − 1`, for points that are alike.
    - `dtype`, `max_examples`: as for [`noetherax.testing.check_group`][]. Every case is judged at ten
        velocities and places.

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][].
    """
    subject = Force(
        force,
        group,
        points,
        keeps_charges,
        dissipative,
        equivariant,
        inputs,
        state_strategy,
        dtype,
        max_examples,
        weight_strategy,
        instant_strategy,
        rest,
        tuple(permutations),
    )
    return run_laws(subject)


@laws.register
def _(subject: Force):
    promises = (
        (subject.equivariant, EQUIVARIANCE_LAWS),
        (subject.keeps_charges, (charges_law,)),
        (subject.dissipative, (power_law, rest_law)),
    )
    kept = tuple(law for promised, laws in promises if promised for law in laws)
    alike = (force_permutation_law,) if permutations_of(subject) else ()
    return sharing(subject, ForceRecord, (*ANY_FORCE_LAWS, *kept, *alike, balance_law))


EQUIVARIANCE_LAWS = (
    equivariance_law,
    covector_derivative_law,
    covector_component_law,
    covector_period_law,
)
ANY_FORCE_LAWS = (
    force_regularity_law,
    smooth_at_rest_law,
    force_derivatives_law,
    force_precision_law,
)
