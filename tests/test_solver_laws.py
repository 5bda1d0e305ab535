"""The laws of solvers: ours hold them, and broken ones do not."""

from typing import ClassVar

import diffrax
import equinox as eqx
import helpers
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import noetherax as nx
from noetherax import testing
from noetherax.solvers import keeps_charges


def swinging(q, v, t):
    """Of the only kind that the Störmer–Verlet method is for."""
    return jnp.sum(v**2) - (1 + jnp.sin(t) / 2) * jnp.sum(jnp.sqrt(1 + q**2))


FEW = ["RK4", "StormerVerlet", "VariationalMidpoint"]


def subject_of(name):
    solver = helpers.SOLVERS[name]()
    structured = name == "StormerVerlet" or keeps_charges(solver)
    options = dict(symmetric=structured, symplectic=structured)
    if name == "StormerVerlet":
        options |= dict(lagrangian=swinging, group=nx.Trivial(1))
    return testing.Solver(solver, **options)


def laws_of(names):
    return testing.parametrize_with_laws([subject_of(name) for name in names])


@laws_of(FEW)
def test_laws(subject, law):
    law(subject)


@pytest.mark.slow
@laws_of([name for name in helpers.SOLVERS if name not in FEW])
def test_laws_of_all(subject, law):
    law(subject)


class Heun(diffrax.AbstractSolver):
    """Of second order, unless it has a fault."""

    fault: str = eqx.field(default="", static=True)
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def order(self, terms):
        return 2

    def init(self, terms, t0, t1, y0, args):
        return None

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        h = terms.contr(t0, t1)
        if self.fault == "an absolute tolerance":
            h = jnp.where(jnp.max(jnp.abs(y0[0])) < 1e-8, 0 * h, h)
        one = terms.vf_prod(t0, y0, args, h)
        if self.fault == "a derivative that is missing":
            one = jax.lax.stop_gradient(one)
        late = t0 if self.fault == "the time of the start" else t1
        two = terms.vf_prod(late, jax.tree.map(jnp.add, y0, one), args, h)
        y1 = jax.tree.map(lambda y, a, b: y + a / 2 + b / 2, y0, one, two)
        if self.fault == "double precision":
            y1 = jax.tree.map(lambda x: x.astype(jnp.float64), y1)
        if self.fault == "rest":
            still = jnp.all(y0[1] == 0)
            y1 = jax.tree.map(lambda y, z: jnp.where(still, y, z), y0, y1)
        return y1, None, dict(y0=y0, y1=y1), None, diffrax.RESULTS.successful


class Claims(Heun):
    """Says that it keeps charges."""


keeps_charges.register(Claims, lambda solver: True)


FAULTS = {
    "an absolute tolerance": ("unit_law", "in units 1.16e-10 of length .* are the same: violated"),
    "a derivative that is missing": ("solver_derivatives_law", "is that of their values: violated"),
    "the time of the start": ("order_law", "falls .*: violated"),
    "double precision": ("solver_precision_law", "stay in it: violated, what a step ends with"),
    "rest": ("order_law", "the error in every state falls with the step: violated"),
}


def run(subject, *names):
    laws = {law.__name__: law for law in testing.laws(subject)}
    for name in names:
        yield lambda name=name: laws[name](subject)


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_solvers_are_caught(fault):
    name, message = FAULTS[fault]
    (law,) = run(testing.Solver(Heun(fault)), name)
    with pytest.raises(AssertionError, match=message):
        law()


def test_what_is_claimed_of_a_solver_is_held():
    names = "kept_charges_law", "reversal_law", "symplectic_law"
    laws = run(testing.Solver(Claims(), symmetric=True, symplectic=True, max_examples=4), *names)
    for law, message in zip(
        laws, ("unchanged are kept", "return to the start", "symplectic form"), strict=True
    ):
        with pytest.raises(AssertionError, match=f"{message}: violated"):
            law()


def test_a_solver_is_held_to_the_order_that_is_declared():
    laws = run(testing.Solver(Heun(), order=3), "order_law")
    with pytest.raises(AssertionError, match=r"falls as h\^4: violated, it falls as h\^[23]"):
        next(laws)()
    exact = testing.Solver(Heun(), lagrangian=lambda q, v: jnp.sum(v**2), max_examples=4)
    with pytest.raises(AssertionError, match="order_law: saw nothing"):
        next(run(exact, "order_law"))()


def test_a_state_at_rest_at_the_origin_is_judged_by_how_far_it_comes():
    def pushed(q, v, t):
        return jnp.sum(v**2 - q**2) / 2 + jnp.sin(t) * q[0, 0]

    origin = st.just((np.zeros((1, 1)), np.zeros((1, 1))))
    subject = testing.Solver(
        Heun(), lagrangian=pushed, group=nx.Trivial(1), state_strategy=origin, max_examples=1
    )
    next(run(subject, "order_law"))()


@pytest.mark.slow
def test_implicit_solvers_of_diffrax_hold_the_laws_that_their_page_names():
    root_finder = optx.Newton(rtol=1e-12, atol=1e-12)
    subject = testing.Solver(diffrax.Kvaerno3(root_finder=root_finder))
    order, derivatives, unit = run(subject, "order_law", "solver_derivatives_law", "unit_law")
    order()
    derivatives()
    with pytest.raises(AssertionError, match="an absolute tolerance"):
        unit()


def test_a_solver_that_does_not_say_its_order_is_asked_for_it():
    class Silent(Heun):
        def order(self, terms):
            return None

    with pytest.raises(ValueError, match="Silent does not say its order: pass order="):
        next(run(testing.Solver(Silent()), "order_law"))()


MISTAKES = {
    "a name": (dict(solver="RK4"), TypeError, r"solver must be .* nx.RK4\(\)"),
    "a class": (dict(solver=nx.RK4), TypeError, "an instance is RK4"),
    "no step": (dict(dt=0.0), ValueError, "dt"),
    "no example": (dict(max_examples=0), ValueError, "max_examples"),
    "no tolerances": (
        dict(solver=diffrax.Kvaerno3()),
        ValueError,
        "Kvaerno3 finds its stages with",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    given, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        testing.laws(testing.Solver(**({"solver": nx.RK4()} | given)))


def test_a_lagrangian_with_forces_is_refused():
    pair = nx.Forced(lambda q, v: jnp.sum(v**2), lambda q, v: -v)
    with pytest.raises(ValueError, match="force"):
        testing.check_solver(nx.RK4(), lagrangian=pair)
