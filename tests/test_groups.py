import subprocess
import sys

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_group_laws(name):
    group = helpers.GROUPS[name]()
    testing.check_group(group, points=2, max_examples=48)
    q = np.random.default_rng(0).normal(size=(3, group.space))
    assert group.generators(q).shape == (group.dimension, 3, group.space)


def test_rotations_of_three_axes_turn_about_x_y_z():
    q = np.array([[1.0, 2.0, 3.0]])
    expected = [np.cross(axis, q[0]) for axis in np.eye(3)]
    assert np.array_equal(nx.Rotations(3).generators(q)[:, 0], expected)


def test_angular_momentum_is_q_cross_p():
    class Free(nx.Lagrangian):
        def __call__(self, q, v):
            return 1.5 * jnp.sum(v**2)

    q, v = np.random.default_rng(0).normal(size=(2, 2, 3))
    charge = nx.Rotations(3).noether_charge(Free())(q, v)
    assert np.allclose(charge, np.cross(q, 3 * v).sum(axis=0), rtol=1e-14)


def test_other_dimensions_list_planes_in_lexicographic_order():
    q = np.array([[1.0, 2.0, 3.0, 4.0]])
    p = np.array([[0.5, -1.0, 2.0, 0.25]])
    charge = np.einsum("aij,ij->a", nx.Rotations(4).generators(q), p)
    planes = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert np.allclose(charge, [q[0, j] * p[0, k] - q[0, k] * p[0, j] for j, k in planes])


def test_translations_act_on_all_points_alike():
    group = nx.Translations(3, axes=(0, 2))
    q, v = np.zeros((2, 2, 3))
    moved, same = group.act(np.array([1.0, -2.0]), q, v)
    assert np.allclose(moved, [[1.0, 0, -2.0]] * 2, atol=1e-15)
    assert np.array_equal(same, v)


def test_a_finite_rotation_is_the_textbook_matrix():
    q = v = np.array([[1.0, 0.0]])
    moved, _ = nx.Rotations(2).act(np.array([0.3]), q, v)
    assert np.allclose(moved, [[np.cos(0.3), np.sin(0.3)]], atol=1e-15)


def test_products_concatenate_generators():
    first, second = nx.Translations(3), nx.Rotations(3)
    q = np.random.default_rng(0).normal(size=(2, 3))
    both = np.concatenate([first.generators(q), second.generators(q)])
    assert np.array_equal((first * second).generators(q), both)
    assert (first * second).dimension == 6


def declare(linear, shift=None):
    class Wrong(nx.AffineGroup):
        def algebra(self):
            return np.asarray(linear), np.zeros(np.shape(linear)[:2]) if shift is None else shift

    return Wrong


MISTAKES = {
    "brackets": (lambda: nx.Rotations(3) * nx.Translations(3, axes=(0,)), r"\[1, 3\] leaves"),
    "redundant": (lambda: nx.Rotations(3) * nx.Rotations(3), "generator 3 = 1·\\[0\\]"),
    "zero": (declare(np.zeros((1, 2, 2))), "Generator 0 of Wrong is zero"),
    "spaces": (lambda: nx.Rotations(3) * nx.Translations(4), "space of 3 axes"),
    "matrix for stack": (declare(np.eye(2), np.zeros(2)), r"\(2, 2\) and \(2,\)"),
    "shift": (declare(np.eye(2)[None], np.zeros((1, 3))), r"\(1, 2, 2\) and \(1, 3\)"),
    "not finite": (declare([[[np.nan, 0], [0, 1]]]), "Generator 0 of Wrong is not finite"),
    "axes": (lambda: nx.Rotations(3, axes=(0, 3)), "from 0 to 2"),
    "repeated axes": (lambda: nx.Translations(3, axes=(0, 0)), "distinct"),
    "no axes": (lambda: nx.Euclidean(2, axes=()), "at least one of the 2 axes"),
    "one axis": (lambda: nx.Rotations(3, axes=(0,)), "at least two axes"),
    "space": (lambda: nx.Translations(0), "positive integer"),
    "no time": (lambda: nx.Lorentz(1), "Spacetime needs a spatial axis and one of time"),
    "light": (lambda: nx.Lorentz(speed_of_light=0.0), "speed_of_light must be positive"),
    "odd": (lambda: nx.Symplectic(3), "even number of axes"),
    "unpaired": (lambda: nx.Unitary(4, axes=(0, 1, 2)), "pairs of axes, but there are 3"),
    "phase": (lambda: nx.SpecialUnitary(2), "at least two pairs"),
    "one axis of SL": (lambda: nx.SpecialLinear(1), "at least two axes"),
    "no direction": (lambda: nx.AxialRotations((0.0, 0.0, 0.0)), "axis must not be zero"),
    "centre": (lambda: nx.AxialRotations(centre=(0.0, np.inf, 0.0)), "three finite numbers"),
    "points": (lambda: nx.Rotations(3).invariant_features(0), "points must be a positive integer"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_show_the_evidence(name):
    construct, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        construct()


def test_float32_generators_are_judged_at_their_own_precision():
    # Structure constants 1/√2 and the like are only good to 1e-7 here.
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    linear = np.array([turned @ helpers.turn_about(axis) @ turned.T for axis in np.eye(3)])

    class Single(nx.AffineGroup):
        def algebra(self):
            return jnp.asarray(linear, jnp.float32), jnp.zeros((3, 3), jnp.float32)

    assert Single().invariant_features(points=1).num_features == 3


def test_algebra_that_is_no_pair_is_named():
    class Matrices(nx.AffineGroup):
        def algebra(self):
            return np.zeros((1, 2, 2))

    with pytest.raises(TypeError, match=r"Matrices.algebra\(\) must return a pair"):
        Matrices()


def test_the_unit_of_a_generator_does_not_matter():
    """The Earth's rate of rotation about an oblique axis, in radians per second and in float32."""

    class Slow(nx.AffineGroup):
        def algebra(self):
            turn = 7.3e-5 * helpers.turn_about([1, 1, 0])
            return jnp.asarray(turn[None], jnp.float32), jnp.zeros((1, 3), jnp.float32)

    assert Slow().invariant_features(points=1).num_features == 6


def test_the_axis_of_rotation_stays_where_it_is():
    group = nx.AxialRotations((0.0, 3.0, 4.0), (1.0, 2.0, 3.0))
    on_axis = np.array([[1.0, 2.0, 3.0], [1.0, 5.0, 7.0]])
    assert np.allclose(group.generators(on_axis), 0.0, atol=1e-14)
    p = np.random.default_rng(0).normal(size=(2, 3))
    q = np.random.default_rng(1).normal(size=(2, 3))
    charge = np.einsum("aij,ij->a", group.generators(q), p)
    angular = np.cross(q - [1.0, 2.0, 3.0], p).sum(axis=0)
    assert np.allclose(charge, angular @ [0.0, 0.6, 0.8], rtol=1e-13)


@pytest.mark.parametrize("speed_of_light", [1.0, 2.5, 299_792_458.0])
def test_boosts_keep_the_interval(speed_of_light):
    group = nx.Lorentz(speed_of_light=speed_of_light)
    assert group.dimension == 6
    q, v = np.random.default_rng(0).normal(size=(2, 1, 4))
    q[:, :3], v[:, :3] = q[:, :3] * speed_of_light, v[:, :3] * speed_of_light
    metric = np.diag([1.0, 1.0, 1.0, -(speed_of_light**2)])
    rapidity = np.array([0.3, -0.2, 0.1]) * speed_of_light
    moved, _ = group.act(np.concatenate([rapidity, [0.5, 0.0, -1.0]]), q, v)
    interval = np.sum(q @ metric * q)
    size = np.sum(q @ np.abs(metric) * q)
    assert np.isclose(np.sum(moved @ metric * moved), interval, atol=1e-12 * size)
    # Far apart as entries of the generators may be, the algebra and its invariants are found.
    features = group.invariant_features(1)
    expected = [np.sum(x @ metric * y) for x, y in [(q, q), (q, v), (v, v)]]
    assert np.allclose(features(q, v), expected, rtol=1e-12, atol=1e-12 * size)


def test_components_must_normalise_the_group():
    class Askew(nx.AffineGroup):
        def algebra(self):
            return helpers.turn_about([0, 0, 1])[None], np.zeros((1, 3)), np.eye(3)[None, [2, 0, 1]]

    with pytest.raises(ValueError, match="Component 0 of Askew must normalise"):
        Askew()


class Mirrored(nx.AffineGroup):
    """Reflections alone, beside no generators."""

    maps: tuple

    def algebra(self):
        return np.zeros((0, 2, 2)), np.zeros((0, 2)), np.array(self.maps)


def test_components_stand_beside_the_generators():
    flip = ((1.0, 0.0), (0.0, -1.0))
    mirror = Mirrored((flip,))
    assert np.array_equal(nx.component_representatives(mirror), [flip])
    assert mirror.invariant_features(1).num_features == 5  # x, its rate, and products of y and its
    assert nx.Trivial(2).invariant_features(1).num_features == 4
    both = nx.Orthogonal(3, axes=(0, 1)) * nx.Orthogonal(3, axes=(2,))
    expected = [np.diag([-1.0, 1, 1]), np.diag([1.0, 1, -1])]
    assert np.array_equal(nx.component_representatives(both), expected)
    assert nx.component_representatives(nx.Rotations(3)).shape == (0, 3, 3)


WRONG_COMPONENTS = {
    "a single map": (
        flat := ((1.0, 0.0), (0.0, -1.0)),
        r"\(maps, 2, 2\), but the shape is \(2, 2\)",
    ),
    "singular": ((((1.0, 0.0), (0.0, 0.0)),), "Component 0 of Mirrored is a singular map"),
    "not finite": ((flat, ((1.0, 0.0), (0.0, np.nan))), "Component 1 of Mirrored is not finite"),
}


@pytest.mark.parametrize("name", WRONG_COMPONENTS)
def test_wrong_components_are_named(name):
    maps, message = WRONG_COMPONENTS[name]
    with pytest.raises(ValueError, match=message):
        Mirrored(maps)


def test_an_affine_group_has_one_place_for_its_components():
    class Registered(nx.AffineGroup):
        def algebra(self):
            return np.zeros((0, 2, 2)), np.zeros((0, 2))

    Registered()

    @nx.component_representatives.register
    def _(group: Registered):
        return np.eye(2)[None]

    with pytest.raises(TypeError, match=r"return them from Registered.algebra\(\) instead"):
        Registered()


def test_an_algebra_is_checked_once_and_anew_where_it_is_another(monkeypatch):
    from noetherax.algebras import _checked

    checked, sizes = [], {"turn": 1.25}
    check = _checked.check_closure
    monkeypatch.setattr(_checked, "check_closure", lambda *x: checked.append(x[-1]) or check(*x))

    class Following(nx.AffineGroup):
        def algebra(self):
            return sizes["turn"] * helpers.turn_about([0.1, 0.2, 0.3])[None], np.zeros((1, 3))

    q = np.ones((2, 3))
    group = Following()
    group.invariant_features(1), group.generators(q), Following()
    jax.eval_shape(group.act, np.ones(1), q, q)
    assert checked == ["Following"]
    product = group * nx.Translations(3)
    product.invariant_features(2), jax.eval_shape(product.act, np.ones(4), q, q)
    assert checked.count("AffineProduct") == checked.count("Following") == 1
    once = group.generators(q)
    sizes["turn"] = 2.5  # what a group reads may change, and what was kept is not used for it
    assert np.allclose(group.generators(q), 2 * once)
    assert checked.count("Following") == 2


def test_few_results_are_kept(monkeypatch):
    from noetherax.algebras import _kept, read_algebra

    made = []
    size = _kept.kept_by_content(lambda algebra: made.append(algebra) or np.array(len(made)))
    algebras = [read_algebra((k * np.eye(2)[None], np.zeros((1, 2))), "k") for k in range(3)]
    monkeypatch.setattr(_kept, "MOST", 2)
    found = [int(size(algebras[k])) for k in (0, 1, 0, 2, 0, 1)]
    assert found == [1, 2, 1, 3, 1, 4]  # the one that was asked for longest ago is made anew
    monkeypatch.setattr(_kept, "MOST_BYTES", 1)
    assert [int(size(algebras[k])) for k in (2, 2, 0, 0)] == [5, 5, 6, 6]
    with pytest.raises(ValueError, match="read-only"):
        size(algebras[0])[...] = 0.0


TYPED = """
from typing import assert_type
import noetherax as nx

product = nx.Translations(3) * nx.Rotations(3)
assert_type(product, nx.AffineGroup)
assert_type(product * nx.Trivial(3), nx.AffineGroup)
product.invariant_features(2, determinants=False)


def mixed(first: nx.SymmetryGroup, second: nx.AffineGroup):
    assert_type(first * second, nx.SymmetryGroup)
    assert_type(second * first, nx.SymmetryGroup)


assert_type(product, nx.Rotations)  # the only one that is wrong
"""


def test_a_product_of_affine_groups_is_typed_as_one(tmp_path):
    pytest.importorskip("pyright", reason="Pyright is not installed: pip install -e '.[dev]'")
    script = tmp_path / "typed.py"
    script.write_text(TYPED)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 error" in done.stdout, done.stdout + done.stderr
    assert 'expected "Rotations" but received "AffineGroup"' in done.stdout


def test_many_generators_are_checked_quickly_and_still_shown():
    """One bracket of random combinations stands for all; the culprits are named all the same."""
    linear = nx.Rotations(6).algebra()[0]
    with pytest.raises(ValueError, match=r"\[\d+, \d+\] leaves their span"):
        helpers.Declared(linear[:-1])
    with pytest.raises(ValueError, match=r"redundant: generator 15 = 2·\[0\] \+ -1·\[3\]"):
        helpers.Declared([*linear, 2 * linear[0] - linear[3]])


def test_large_elements_are_exact_where_their_kind_allows_it():
    q, v = np.array([[0.3, -1.2, 2.0]]), np.array([[1.0, 0.5, -0.7]])
    far = 1e6 * np.array([1.0, 0, -3])
    moved, same = nx.Translations(3).act(far, q, v)
    assert np.array_equal(moved, q + far)
    assert np.array_equal(same, v)
    c, s = np.cos(1e6), np.sin(1e6)
    turned, _ = nx.Rotations(3).act(np.array([0, 0, 1e6]), q, v)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    assert np.allclose(turned, q @ turn.T, rtol=0, atol=1e-15)
    assert not np.allclose(q @ turn.T, q, atol=0.1)
    # Another turn of the same plane in a group of several, and a clock set by a year.
    assert np.allclose(nx.Rotations(3, axes=(0, 1)).act(np.array([1e6]), q, v)[0], turned)
    group = nx.Poincare(4, speed_of_light=299_792_458.0)
    later, _ = group.act(np.eye(10)[3] * 3.2e7, np.ones((1, 4)), np.ones((1, 4)))
    assert np.array_equal(later, [[1, 1, 1, 1 + 3.2e7]])
    shear = helpers.Declared([[[0.0, 1], [0, 0]]], [[0.0, 1]])
    sheared, _ = shear.act(np.array([2.0**40]), np.array([[3.0, 5.0]]), np.ones((1, 2)))
    assert np.array_equal(sheared, [[3 + 5 * 2.0**40 + 2.0**79, 5 + 2.0**40]])


LARGE = {
    # What is conserved, and elements up to where it can be: the four routes of the exponential.
    "Rotations(4)": (lambda: nx.Rotations(4), [1e2, 1e6, 1e12]),
    "Poincare(4)": (lambda: nx.Poincare(4), [10.0, 30.0, 1e6]),
    "Galilei": (lambda: galilei(), [1e2, 1e6, 1e12]),
    "squeeze": (helpers.GROUPS["squeeze"], [30.0, 300.0, 1e6]),
    "SpecialLinear(2)": (lambda: nx.SpecialLinear(2), [30.0, 200.0, 1e6]),
}


def galilei() -> helpers.Declared:
    """Rotations, boosts and translations of (x, y, z, t)."""
    boosts = [np.outer(axis, [0, 0, 0, 1.0]) for axis in np.eye(4)[:3]]
    turns = nx.Rotations(4, axes=(0, 1, 2)).algebra()[0]
    linear = np.concatenate([turns, boosts, np.zeros((4, 4, 4))])
    return helpers.Declared(linear, np.concatenate([np.zeros((6, 4)), np.eye(4)]))


@pytest.mark.parametrize("name", LARGE)
def test_large_elements_compose_and_are_never_nan(name):
    construct, sizes = LARGE[name]
    group = construct()
    act = jax.jit(group.act)
    q, v = np.random.default_rng(0).normal(size=(2, 2, group.space))
    direction = np.random.default_rng(1).normal(size=group.dimension)
    for size in sizes:
        once = act(size * direction, q, v)
        twice, both = (
            np.stack(act(size * direction, *once)),
            np.stack(act(2 * size * direction, q, v)),
        )
        assert not np.any(np.isnan(both))
        if np.all(np.isfinite(both)):
            scale = np.abs(both).max() + np.abs(once).max()
            assert np.abs(twice - both).max() < 1e-14 * scale
            assert np.abs(np.stack(act(2.001 * size * direction, q, v)) - both).max() > 1e-5 * scale
    if name == "Rotations(4)":  # the group of 1e12 still is one
        assert np.allclose(np.linalg.norm(both, axis=2), np.linalg.norm([q, v], axis=2), rtol=1e-14)


def test_the_action_has_two_derivatives_at_the_identity_and_far_from_it():
    """Of a closed form, against a turn about z written out: also in float32 and where angles vanish."""
    q = v = np.array([[1.0, 2.0, 3.0]])
    group = nx.Rotations(3)
    second = jax.jit(jax.jacfwd(jax.jacfwd(lambda c: group.act(c, q, v)[0][0])))
    for angle in (0.0, 1e-200, 0.3, 50.0):
        found = second(np.array([0.0, 0.0, angle]))
        x, y = np.cos(angle) - 2 * np.sin(angle), np.sin(angle) + 2 * np.cos(angle)
        assert np.all(np.isfinite(found))
        assert np.allclose(found[:, 2, 2], [-x, -y, 0], atol=1e-12)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e-308])
def test_generators_of_any_size_declare_the_same_group(size):
    group = helpers.Declared(size * nx.Rotations(3).algebra()[0])
    assert group.invariant_features(2).num_features == 14
    with pytest.raises(ValueError, match="entry of 1e.*, which float32 does not hold"):
        group.generators(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"redundant: generator 1 = 2·\[0\]"):
        helpers.Declared(size * np.array([1.0, 2.0])[:, None, None] * helpers.turn_about([0, 0, 1]))


def test_the_length_of_an_axis_does_not_matter():
    for size in (1e300, 1e-300):
        linear, _ = nx.AxialRotations((size, 0.0, size)).algebra()
        assert np.allclose(linear, nx.AxialRotations((1.0, 0.0, 1.0)).algebra()[0], rtol=1e-15)
