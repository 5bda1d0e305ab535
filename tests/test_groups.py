import helpers
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
            return helpers.turn_about([0, 0, 1])[None], np.zeros((1, 3))

    @nx.component_representatives.register
    def _(group: Askew):
        return np.eye(3)[None, [2, 0, 1]]

    with pytest.raises(ValueError, match="Component 0 of Askew must normalise"):
        Askew()


def test_many_generators_are_checked_quickly_and_still_shown():
    """One bracket of random combinations stands for all; the culprits are named all the same."""
    linear = nx.Rotations(6).algebra()[0]
    with pytest.raises(ValueError, match=r"\[\d+, \d+\] leaves their span"):
        helpers.Declared(linear[:-1])
    with pytest.raises(ValueError, match=r"redundant: generator 15 = 2·\[0\] \+ -1·\[3\]"):
        helpers.Declared([*linear, 2 * linear[0] - linear[3]])
