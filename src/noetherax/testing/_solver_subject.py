"""A solver as the subject of laws, and the checker that runs them all."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import diffrax
import hypothesis.strategies as st
import jax
import numpy as np

from .._checks import check_count, check_number
from ..dynamics import forces_of
from ..groups import Rotations, SymmetryGroup
from ..solvers import check_kind
from ._evidence import Seen
from ._laws import laws, run_laws, sharing
from ._solver_laws import laws_of_solver
from ._solver_record import SolverRecord
from ._tried_law import law_of

SOME = 16
"""States that are drawn: each is stepped hundreds of times."""


@final
class Solver(NamedTuple):
    """A solver as the subject of [`noetherax.testing.laws`][]. Its members are the arguments of
    [`noetherax.testing.check_solver`][].

    !!! example

        ```python
        import noetherax as nx

        subject = nx.testing.Solver(nx.VariationalMidpoint(), symmetric=True)
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "order_law" in names and "reversal_law" in names
        assert "kept_charges_law" in names  # it says that it keeps them
        ```
    """

    solver: diffrax.AbstractSolver
    lagrangian: Callable | None = None
    group: SymmetryGroup = Rotations(2)
    points: int = 1
    force: Callable | None = None
    order: float | None = None
    symmetric: bool = False
    symplectic: bool = False
    dt: float = 0.4
    state_strategy: st.SearchStrategy | None = None
    max_examples: int = SOME
    dtype = np.float64  # steps in single precision are one of the laws


@laws.register
def _(subject: Solver):
    check_kind("solver", subject.solver)
    check_number("dt", subject.dt)
    check_count("max_examples", subject.max_examples)
    root_finder: Any = getattr(subject.solver, "root_finder", None)
    if not isinstance(getattr(root_finder, "rtol", 0.0), float | int | jax.Array):
        raise ValueError(
            f"{type(subject.solver).__name__} finds its stages with the tolerances of a step-size "
            "controller, and the laws have none. Give it its own: "
            "root_finder=optimistix.Newton(rtol=1e-12, atol=1e-12)."
        )
    if forces_of(law_of(subject)[0]):
        raise ValueError(
            "check_solver takes the Lagrangian and the force apart: pass lagrangian= without forces, "
            "and force=, one function."
        )
    return sharing(subject, SolverRecord, laws_of_solver(subject))


def check_solver(
    solver: diffrax.AbstractSolver,
    *,
    lagrangian: Callable | None = None,
    group: SymmetryGroup = Rotations(2),
    points: int = 1,
    force: Callable | None = None,
    order: float | None = None,
    symmetric: bool = False,
    symplectic: bool = False,
    dt: float = 0.4,
    state_strategy: st.SearchStrategy | None = None,
    max_examples: int = SOME,
) -> tuple[Seen, ...]:
    """Checks a solver of your own: its order, forward and backward in time; that it takes the same
    steps in any units and in single precision; that steps can be differentiated, forward and in
    reverse; and what is declared of it. It is stepped as [`noetherax.TrajectoryLoss`][] does, outside
    of Diffrax' loop.

    By default it is tried on a point in the plane whose mass depends on where it is, on a spring whose
    strength swings, with friction: nothing that a solver may wrongly take for granted. A solver for
    fewer laws, such as separable ones, is given one of those.

    !!! example

        ```python
        import jax
        import noetherax as nx

        midpoint = nx.VariationalMidpoint()
        with jax.enable_x64(True):
            seen = nx.testing.check_solver(midpoint, symmetric=True, symplectic=True)
        for law in seen:
            print(law)
        ```

    **Arguments:**

    - `solver`: any that [`noetherax.rollout`][] takes. Where [`noetherax.solvers.keeps_charges`][] says
        so, it has to keep the charges of the group to rounding. Implicit ones of Diffrax need
        `root_finder=optimistix.Newton(rtol=1e-12, atol=1e-12)`; since that has an absolute tolerance,
        they hold the laws of order and of derivatives ([`noetherax.testing.laws`][]), and not those of
        units and of single precision.
    - `lagrangian`: a function `(q, v) -> scalar` or `(q, v, t) -> scalar`, without forces, whose motion
        the solver can follow.
    - `group`, `points`: a group that leaves it unchanged, and the number of its points.
    - `force`: a function `(q, v)` or `(q, v, t)` that keeps the charges of the group; friction along
        the radius if neither this nor a Lagrangian is given.
    - `order`: of the error of a motion over a given time, at least; what the solver says if not given.
        A method of several steps is held to that of its first one.
    - `symmetric`: whether steps back in time return to the start.
    - `symplectic`: whether steps without a force keep the form dp ∧ dq.
    - `dt`: a step in which the motion changes much, yet is resolved. Steps of half its size, of a
        quarter and so on to 1/64 are compared.
    - `state_strategy`: Hypothesis strategy for `(q, v)`; normally distributed ones if not given, every
        fourth at rest.
    - `max_examples`: states that are drawn.

    **Returns:** as [`noetherax.testing.check_group`][].

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][]; `TypeError` for what is no
    solver; `ValueError` in 32-bit mode, for a Lagrangian with forces, or an implicit solver without
    tolerances of its own.
    """
    return run_laws(
        Solver(
            solver,
            lagrangian,
            group,
            points,
            force,
            order,
            symmetric,
            symplectic,
            dt,
            state_strategy,
            max_examples,
        )
    )
