"""What is printed tells what an object holds, and `describe` says what follows from a group."""

import equinox as eqx
import jax
import numpy as np
import pytest

import noetherax as nx

KEY = jax.random.key(0)


def test_a_group_is_described_by_formulas():
    found = nx.describe(nx.Rotations(3), points=1)
    assert found.features == ("q·q", "q·v", "v·v")
    assert found.generators[2] == "(−q[1], q[0], 0)"
    assert found.charges[2] == "q[0] p[1] − q[1] p[0]"
    text = repr(found)
    assert "3 invariant features may be used, and 3 charges kept" in text
    assert all(x in text for x in (*found.features, *found.charges))


def test_formulas_of_charges_are_what_charges_compute():
    q, p = np.random.default_rng(0).normal(size=(2, 1, 3))
    scope = {"q": q[0], "p": p[0]}
    group = nx.Euclidean(3)
    values = np.einsum("aij,ij->a", group.generators(q), p)
    for formula, value in zip(nx.describe(group, 1).charges, values, strict=True):
        code = formula.replace("−", "-").replace("] p", "] * p")
        assert np.isclose(eval(code, scope), value, rtol=1e-12)


def test_a_description_says_what_its_names_mean():
    notes = nx.describe(nx.Lorentz(4), 1).notes
    assert "⟨x, y⟩ = x[0] y[0] + x[1] y[1] + x[2] y[2] − x[3] y[3]" in notes
    assert any("further map" in note for note in nx.describe(nx.Orthogonal(2), 1).notes)
    assert any("q[0] by 6.28319" in x for x in nx.describe(nx.Periodic(2, axes=(0,)), 1).notes)


def test_what_is_no_group_is_named():
    with pytest.raises(ValueError, match="points must be a positive integer"):
        nx.describe(nx.Rotations(3), 0)
    with pytest.raises(TypeError, match=r"such as noetherax.Rotations\(3\)"):
        nx.describe("rotations", 1)
    with pytest.raises(TypeError, match=r"such as noetherax.Rotations\(3\)"):
        nx.describe(nx.Rotations, 1)


def test_models_print_in_one_line():
    group = nx.Rotations(3)
    model = nx.NeuralLagrangian(group.invariant_features(1), key=KEY, width=8)
    text = repr(model)
    assert "3 features: q·q, q·v, v·v" in text
    assert "MLP(3 → 8 → 8 → 1, softplus, 112 weights)" in text
    for thing in (model, nx.Forced(model, lambda q, v: -v), group.noether_charge(model)):
        assert "\n" not in repr(thing)
        assert repr(group) in repr(thing) or text in repr(thing)
    repr(eqx.filter(model, eqx.is_inexact_array, inverse=True))  # parts of it print as well
    assert "weight=" in eqx.tree_pformat(model)  # which still shows all


def test_a_group_prints_what_it_is():
    assert repr(nx.Rotations(3)) == (
        "Rotations(ambient=3, axes=(0, 1, 2); 3 generators on 3 coordinates)"
    )
    assert repr(nx.Rotations(3) * nx.Translations(3)).count("generators on") == 3


def test_records_print_shapes_and_no_numbers():
    q = np.zeros((2, 5, 1, 3))
    assert repr(nx.Windows(q)) == "Windows(q=f64[2,5,1,3](numpy))"
    assert repr(nx.Observations(*q[:, :, :, None, 0][[0, 1, 0]])).startswith("Observations(q=f64")


def test_a_trajectory_prints_its_times_also_where_it_is_traced():
    texts = []

    def follow(q):
        path = nx.rollout(
            lambda q, v: (v**2).sum() / 2, q, q, ts=np.linspace(0, 2, 3), dt=1.0, solver=nx.RK4()
        )
        texts.append(repr(path))
        return path

    path = jax.jit(follow)(np.ones((1, 2)))
    assert texts == ["Trajectory(3 times: q=f64[3,1,2], v=f64[3,1,2])"]
    assert repr(path) == "Trajectory(3 times from 0 to 2: q=f64[3,1,2], v=f64[3,1,2])"
