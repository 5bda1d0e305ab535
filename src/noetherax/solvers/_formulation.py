"""What a solver makes of a Lagrangian, said once for all who integrate one."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
from jaxtyping import PyTree

from ..dynamics import at_time, momentum
from ._adjoint import StoringAdjoint
from ._compensated import Compensated
from ._rk4 import RK4
from ._term import LagrangianTerm
from ._variational import VariationalSolver, no_history, velocity


class Formulation(NamedTuple):
    """The equations of motion as a solver integrates them.

    - `term`: a Diffrax term, or whatever tree of them the solver takes.
    - `state`: the state that it steps, at the start.
    - `args`: of the term; where a solver is differentiated by `diffrax.BacksolveAdjoint`, all that may
        have a derivative.
    - `read`: `(t, state) -> (q, v, p)`, the motion at one time, with p = ∂L/∂v or `None` where the
        solver carries no momentum.

    !!! example

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q, v = jnp.array([[1.0]]), jnp.array([[2.0]])
        made = nx.solvers.formulate(diffrax.Tsit5(), spring, q, v, nx.acceleration)
        rates = made.term.vf(0.0, made.state, made.args)
        assert rates == (v, -q)  # of the state (q, v)
        assert made.read(0.0, made.state) == (q, v, None)  # no momentum is carried
        ```
    """

    term: PyTree
    state: PyTree
    args: PyTree
    read: Callable[[Any, Any], tuple]


@singledispatch
def formulate(
    solver: diffrax.AbstractSolver, lagrangian: Callable, q, v, accelerate: Callable
) -> Formulation:
    """What a solver makes of a Lagrangian: [`noetherax.rollout`][] and [`noetherax.TrajectoryLoss`][]
    integrate that.

    Solvers of one term step (q, v), whose rate is (v, a); variational ones step (q, p, v) with a
    [`noetherax.LagrangianTerm`][]. Any other type of solver registers what it makes,
    `noetherax.solvers.formulate.register`, and enters both. The page
    [A faster Lagrangian](../lagrangians.md#a-solver-of-your-own) has an example.

    !!! example

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx


        class SymplecticEuler(diffrax.SemiImplicitEuler):
            "A step of q along the velocity, then one of p along the force."


        @nx.solvers.formulate.register
        def _(solver: SymplecticEuler, lagrangian, q, v, accelerate):
            # For L = v²/2 − V(q), of which p is v.
            def velocity(t, p, args):
                return p

            def force(t, q, args):
                return nx.dynamics.lagrangian_gradient(args, q, jnp.zeros_like(q))[0]

            def read(t, state):
                q, p = state
                return q, p, p

            terms = diffrax.ODETerm(velocity), diffrax.ODETerm(force)
            return nx.solvers.Formulation(terms, (q, v), lagrangian, read)


        path = nx.rollout(
            lambda q, v: jnp.sum(v**2 - q**2) / 2,
            jnp.array([[1.0]]),
            jnp.array([[0.0]]),
            ts=jnp.linspace(0.0, 2 * jnp.pi, 64),
            solver=SymplecticEuler(),
        )
        assert jnp.allclose(path.q[-1], 1.0, atol=0.01)
        ```

    **Arguments:**

    - `solver`: the solver, by whose type this is dispatched.
    - `lagrangian`: what is integrated, to be handed to the functions of this library or called with a
        state. Its type may be another than that of the user's Lagrangian, which JAX has to record. One
        that depends on time is that of the start, and `noetherax.at_time(lagrangian, t)` is that of
        another time.
    - `q`, `v`: the state at the start, shape `(points, space)`.
    - `accelerate`: `(lagrangian, q, v) -> a`, the acceleration as the caller wants it solved for; a
        solver that needs none leaves it aside.

    **Returns:**

    A [`noetherax.solvers.Formulation`][].

    **Raises:**

    `ValueError` if the solver takes no single term and has registered nothing else.
    """
    check_formulated(solver)
    term = diffrax.ODETerm(_rates)
    return Formulation(term, (q, v), (lagrangian, accelerate), _of_velocity)


@formulate.register
def _(solver: VariationalSolver, lagrangian, q, v, accelerate):
    term = LagrangianTerm(lagrangian)

    def read(t, state):
        q, p, guess = state
        return q, velocity(term, t, q, p, guess), p

    return Formulation(term, (q, momentum(lagrangian, q, v), v), None, read)


@singledispatch
def first_memory(solver: diffrax.AbstractSolver, term, t0, t1, state, args) -> PyTree:
    """What a solver carries into its first step, from a state as a [`noetherax.solvers.Formulation`][]
    has it. `solver.init` may have to find again what is known there, in a program twice as large."""
    return solver.init(term, t0, t1, state, args)


@first_memory.register
def _(solver: VariationalSolver, term, t0, t1, state, args):
    return no_history(solver.stages, term, t0, t1, state, args)


@singledispatch
def keeps_charges(solver: diffrax.AbstractSolver) -> bool:
    """Whether a solver keeps charges to rounding at its steps, and between them only to its order.

    Then [`noetherax.rollout`][] steps on every time that is saved, chooses no steps by itself, and
    warns in float32, where rounding hides what was gained. True of variational solvers; others register
    it, `noetherax.solvers.keeps_charges.register`.

    !!! example

        ```python
        import diffrax
        import noetherax as nx


        class OwnMethod(diffrax.SemiImplicitEuler):
            "A symplectic method of your own."


        nx.solvers.keeps_charges.register(OwnMethod, lambda solver: True)
        assert nx.solvers.keeps_charges(OwnMethod())
        assert nx.solvers.keeps_charges(nx.VariationalGauss4())
        assert not nx.solvers.keeps_charges(diffrax.Tsit5())
        ```

    **Arguments:**

    - `solver`: the solver, by whose type this is dispatched.

    **Returns:**

    Whether it does.
    """
    return False


@keeps_charges.register
def _(solver: VariationalSolver):
    return True


@singledispatch
def for_single_steps(solver: diffrax.AbstractSolver) -> diffrax.AbstractSolver:
    """The solver for steps that are taken one by one, without `diffrax.diffeqsolve`, and differentiated
    forward and in reverse."""
    return solver


@for_single_steps.register
def _(solver: diffrax.AbstractRungeKutta):
    # Which loop over the stages has the derivatives needed, otherwise Diffrax' adjoints choose.
    if solver.scan_kind is not None:
        return solver
    return eqx.tree_at(lambda x: x.scan_kind, solver, "bounded", is_leaf=lambda x: x is None)


@for_single_steps.register
def _(solver: Compensated):
    inside: Any = for_single_steps(solver.solver)
    return Compensated(inside)


@singledispatch
def asks_in_turn(solver: diffrax.AbstractSolver) -> bool:
    """Whether a solver asks for the rates of (q, v) one after the other, as often in every step, and
    makes its step of linear combinations of them: in Python, once for every step that is traced, and
    not in a loop of JAX."""
    return False


@asks_in_turn.register
def _(solver: RK4) -> bool:
    return True


def for_adjoint(solver: diffrax.AbstractSolver, adjoint: Any) -> diffrax.AbstractSolver:
    """The solver for a way of differentiating. Diffrax sees to those that differentiate forward for its
    own solvers, but not for one inside another."""
    forward = isinstance(adjoint, diffrax.ForwardMode | diffrax.DirectAdjoint | StoringAdjoint)
    return for_single_steps(solver) if forward else solver


def is_formulated(solver: diffrax.AbstractSolver) -> bool:
    """Whether a solver has a formulation of its own, other than (q, v) and its rate."""
    return formulate.dispatch(type(solver)) is not formulate.dispatch(object)


def check_formulated(solver: diffrax.AbstractSolver) -> None:
    """Raises a `ValueError` for a solver of several terms that nobody has said how to fill."""
    term = solver.term_structure
    single = isinstance(term, type) and issubclass(diffrax.ODETerm, term)
    if not (single or is_formulated(solver)):
        raise ValueError(
            f"{type(solver).__name__} integrates several terms, but a Lagrangian gives one, for all of "
            "the state. Pass a solver of a single term, such as nx.VariationalMidpoint() or "
            "diffrax.Tsit5(), or say what the terms are: register it with "
            "noetherax.solvers.formulate.register."
        )


def _rates(t, state, args):
    q, v = state
    lagrangian, accelerate = args
    return v, accelerate(at_time(lagrangian, t), q, v)


def _of_velocity(t, state):
    q, v = state
    return q, v, None
