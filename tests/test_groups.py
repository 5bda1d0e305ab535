import helpers
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_group_laws(name):
    testing.check_group(helpers.GROUPS[name](), points=2)


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_dimension_and_space_match_the_generators(name):
    group = helpers.GROUPS[name]()
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
