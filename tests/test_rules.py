"""Every rule that a type registers for the equations of motion, against automatic differentiation."""

import sys
from pathlib import Path

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax.dynamics import (
    RULES,
    closure_converted,
    constant_inertia,
    has_rule,
    known,
    lagrangian_gradient,
    solve_motion,
    solve_terms,
    terms_and_change,
)


def types_with_rules() -> set[type]:
    """Of the package. Tests register rules of their own types, too."""
    types = {kind for function in RULES for kind in function.registry} - {object}
    return {kind for kind in types if kind.__module__.startswith("noetherax.")}


def states(points: int):
    return np.random.default_rng(0).uniform(0.5, 1.5, size=(2, 3, points, 1))


def test_every_type_with_rules_is_held_by_them():
    assert {kind.__name__ for kind in types_with_rules()} == set(helpers.RULED)
    assert len(RULES) == 6


@pytest.mark.parametrize("name", helpers.RULED)
def test_rules_equal_automatic_differentiation(name):
    lagrangian, points, referee = helpers.RULED[name]()
    assert name in {kind.__name__ for kind in type(lagrangian).__mro__}
    functions = [x for x in RULES if referee is None or x is not lagrangian_gradient]
    ruled = [x.__name__ for x in functions if has_rule(x, type(lagrangian))]
    seen = nx.testing.check_rules(lagrangian, *states(points), referee=referee, functions=functions)
    assert [x.law.split()[0] for x in seen] == ruled


def test_a_law_without_a_lagrangian_has_no_gradient():
    state = np.ones((1, 1))
    law = helpers.Attracted()
    for call in (
        lagrangian_gradient,
        nx.momentum,
        nx.energy,
        lambda *x: nx.solvers.formulate(nx.VariationalMidpoint(), *x, nx.acceleration),
    ):
        with pytest.raises(TypeError, match="Attracted gives accelerations and has no Lagrangian"):
            call(law, state, state)


def wrong(function, spoil):
    """A type whose rule for a function is spoilt."""

    class Wrong(nx.Lagrangian):
        strength: jax.Array

        def __call__(self, q, v):
            return jnp.sum((1 + q**2) * v**2) - self.strength * jnp.sum(q**4)

    def rule(lagrangian, *arguments):
        found = function.dispatch(object)(lagrangian, *arguments)
        if function is terms_and_change:
            return found[0], lambda *x: spoil(found[1](*x))
        return jax.tree.map(lambda x: x if x.dtype == bool else spoil(x), found)

    function.register(Wrong)(rule)
    return Wrong(jnp.array(0.7))


@pytest.mark.parametrize("function", RULES[:-1], ids=lambda x: x.__name__)
def test_a_wrong_rule_is_caught(function):
    lagrangian = wrong(function, lambda x: (1 + 1e-8) * x)
    with pytest.raises(AssertionError, match=rf"{function.__name__} of Wrong equals automatic"):
        nx.testing.check_rules(lagrangian, *states(1))


def test_masses_that_are_not_constant_are_caught():
    lagrangian = wrong(nx.euler_lagrange_terms, lambda x: x)
    constant_inertia.register(type(lagrangian))(lambda _, q: 0 * q + 2.0)
    with pytest.raises(AssertionError, match="constant_inertia of Wrong equals automatic"):
        nx.testing.check_rules(lagrangian, *states(1), functions=[constant_inertia])


def test_a_rule_with_wrong_derivatives_is_caught():
    for function in (nx.euler_lagrange_terms, lagrangian_gradient):
        lagrangian = wrong(function, jax.lax.stop_gradient)
        with pytest.raises(AssertionError, match="change of (force|∂L/∂q|mass_matrix)"):
            nx.testing.check_rules(lagrangian, *states(1))


def test_without_a_rule_there_is_nothing_to_check():
    with pytest.raises(ValueError, match="HarmonicOscillator has no rule of its own"):
        nx.testing.check_rules(helpers.HarmonicOscillator(), *states(1))


def test_states_without_an_acceleration_are_no_evidence():
    lagrangian = helpers.Quartic(jnp.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="singular at one of these states"):
        nx.testing.check_rules(lagrangian, *states(2))


def test_any_rule_is_kept_in_a_compiled_program():
    """Also where the terms have none: it was lost there, and the type differentiated in its place."""

    class Marked(nx.Lagrangian):
        def __call__(self, q, v):
            return jnp.sum(v**2)

    @lagrangian_gradient.register
    def _(lagrangian: Marked, q, v):
        return 0 * q + 7.0, 2 * v

    state = np.ones((1, 1))
    kept = known(Marked(), state, state, lambda *x: x[0](*x[1:]))
    assert nx.LagrangianTerm(kept).vf(0.0, (state, state), None).force == 7


def test_parts_that_close_over_traced_values_leave_the_others_their_rules():
    network, state = helpers.on_the_line(), np.ones((1, 1))

    def converted(strength):
        def spring(q, v):
            return -strength * jnp.sum(q**2)

        pair = nx.LagrangianSum(network, spring)
        average = nx.AveragedLagrangian(pair, matrices=np.array([[[1.0]], [[-1.0]]]))
        inner = closure_converted(average, state, state).lagrangian
        assert [type(x) for x in (inner, inner.terms[0])] == [nx.LagrangianSum, nx.NeuralLagrangian]
        assert closure_converted(inner, state, state) is inner  # nothing is left to convert
        a, _ = solve_motion(average, state, 0 * state, solve_terms)
        return a[0]

    mass_matrix = nx.euler_lagrange_terms(network, state, 0 * state).mass_matrix
    mirrored = nx.euler_lagrange_terms(network, -state, 0 * state).mass_matrix
    slope = jax.grad(converted)(2.0)
    assert np.isclose(slope, -4 / (mass_matrix + mirrored)[0, 0], rtol=1e-10)


def test_the_page_shows_what_the_registries_hold(monkeypatch):
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.setattr(sys, "path", [str(docs), *sys.path])
    from _hooks import on_page_markdown

    page = on_page_markdown((docs / "lagrangians.md").read_text())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    (head,) = (row for row in rows if row[:1] == ["type"])
    assert head[1:] == [f"`{function.__name__}`" for function in RULES]
    shown = {
        name: dict(zip(RULES, row[1:], strict=True))
        for name in nx.__all__
        for row in rows
        if row[:1] == [f"[`{name}`][noetherax.{name}]"] and len(row) == len(head)
    }
    public = {kind for kind in types_with_rules() if kind.__name__ in nx.__all__}
    assert set(shown) == {kind.__name__ for kind in public}
    assert len(public) >= 5
    for kind in public:
        for function, mark in shown[kind.__name__].items():
            assert mark == ("✓" if kind in function.registry else "")
