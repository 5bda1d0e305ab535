import math

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing

COUNTS = {
    # The paper's Table 2: two particles in R⁴.
    "unconstrained": (lambda: nx.Trivial(4), 2, 16),
    "translations": (lambda: nx.Translations(4), 2, 12),
    "rotations": (lambda: nx.Rotations(4), 2, 11),
    "both": (lambda: nx.Translations(4) * nx.Rotations(4), 2, 6),
    # One particle: Kepler, and both arms of Schwarzschild.
    "Kepler": (lambda: nx.Rotations(3), 1, 3),
    "Schwarzschild": (helpers.GROUPS["spatial rotations * time translation"], 1, 4),
    "Schwarzschild, unconstrained": (lambda: nx.Translations(4, axes=(3,)), 1, 7),
    "Cylindrical": (helpers.Cylindrical, 1, 5),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    group, points, count = COUNTS[name]
    features = group().invariant_features(points)
    q, v = np.random.default_rng(0).normal(size=(2, points, group().space))
    assert features.num_features == count
    assert features(q, v).shape == (count,)


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize("name", helpers.GROUPS)
def test_feature_laws(name, points):
    group = helpers.GROUPS[name]()
    testing.check_features(group.invariant_features(points), group, points=points)


def test_one_particle_has_the_papers_features_in_order():
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    expected = [np.sum(q * q), np.sum(q * v), np.sum(v * v)]
    assert np.allclose(nx.Rotations(3).invariant_features(1)(q, v), expected, rtol=1e-15)


def test_schwarzschild_features_in_order():
    group = helpers.GROUPS["spatial rotations * time translation"]()
    q, v = np.random.default_rng(0).normal(size=(2, 1, 4))
    x, u = q[0, :3], v[0, :3]
    expected = [x @ x, x @ u, u @ u, v[0, 3]]
    assert np.allclose(group.invariant_features(1)(q, v), expected, rtol=1e-15)


def test_relative_positions_come_before_velocities():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 4))
    expected = np.concatenate([q[0] - q[1], v[0], v[1]])
    assert np.array_equal(nx.Translations(4).invariant_features(2)(q, v), expected)


def test_last_rotation_feature_is_the_determinant():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 4))
    features = nx.Rotations(4).invariant_features(2)(q, v)
    assert np.allclose(features[-1], np.linalg.det(np.concatenate([q, v])), rtol=1e-13)


def test_determinants_can_be_left_out():
    features = nx.Rotations(4).invariant_features(2, determinants=False)
    assert features.num_features == 10


def test_many_determinants_are_announced_with_their_number():
    with pytest.warns(UserWarning, match="12870 determinants of 16 vectors in 8 dimensions"):
        nx.Rotations(8).invariant_features(8)


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_determinants_equal_linear_algebra(dim):
    from itertools import combinations

    vectors = nx.StateVectors(3, dim)
    q, v = np.random.default_rng(dim).normal(size=(2, 3, dim))
    x = np.concatenate([q, v])
    expected = [np.linalg.det(x[list(s)]) for s in combinations(range(6), dim)]
    assert len(expected) == math.comb(6, dim)
    assert np.allclose(nx.Determinants(vectors)(q, v), expected, rtol=1e-11, atol=1e-13)


def span_of_values(features, points, space):
    q, v = np.random.default_rng(0).normal(size=(2, 400, points, space))
    return np.asarray(jax.vmap(features)(q, v))


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize("space", [2, 3])
def test_general_route_finds_the_closed_forms(space, points):
    """Rotations by their generators alone, through invariant tensors: the same span of values."""
    from noetherax.groups._algebra import affine_algebra
    from noetherax.groups._tensors import tensor_invariants

    group = nx.Rotations(space)
    axes = tuple(range(space))
    general = tensor_invariants(affine_algebra(group), points, space, axes, "Rotations", 4)
    closed = group.invariant_features(points)
    assert general.num_features == closed.num_features
    a, b = span_of_values(general, points, space), span_of_values(closed, points, space)
    assert np.linalg.matrix_rank(np.concatenate([a, b], axis=1)) == np.linalg.matrix_rank(b)


INDEPENDENT = {
    # Theory: 2·points·space minus the orbit's dimension, and the number of generators of the ring.
    ("Lorentz", 1): 3,  # x·x, x·u, u·u
    ("Lorentz", 2): 11,  # ten products and one determinant, as for SO(4)
    ("SU(2)", 1): 6,  # two norms; Hermitian and symplectic products, two real numbers each
    ("squeeze", 1): 4,  # x y, u w, x w, y u
    ("weights 1 and -2", 1): 6,  # cubic: x² y and its polarisations
    ("oblique axis", 1): 6,  # n·q, n·v, and in the plane two norms, a product and an area
    ("parabolic", 1): 3,  # 2 x − y² and its companions, 2·2 − 1
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_general_route_against_theory(name):
    group, points = name
    features = helpers.GROUPS[group]().invariant_features(points)
    assert features.num_features == INDEPENDENT[name]


def test_lorentz_invariants_are_minkowski_products():
    q, v = np.random.default_rng(0).normal(size=(2, 1, 4))
    metric = np.diag([1.0, 1, 1, -1])
    x, u = q[0], v[0]
    features = helpers.GROUPS["Lorentz"]().invariant_features(1)(q, v)
    assert np.allclose(features, [x @ metric @ x, x @ metric @ u, u @ metric @ u], atol=1e-13)


def test_incomplete_invariants_are_an_error_with_counts():
    screw = helpers.Declared([helpers.turn_about([0, 0, 1])], [[0.0, 0, 1]])
    with pytest.raises(ValueError, match=r"1 point\(s\) have 5 independent .* degree 4 give 4"):
        screw.invariant_features(1)
    scaling = helpers.Declared([np.eye(2)])
    with pytest.raises(ValueError, match="give 0"):
        scaling.invariant_features(1)


def test_second_derivatives_are_finite_for_many_particles_at_rest():
    features = nx.Rotations(3).invariant_features(4)
    q = np.zeros((4, 3))
    hessian = jax.jacfwd(jax.jacrev(features, argnums=1), argnums=1)(q, q)
    assert np.all(np.isfinite(hessian))


def test_users_features_need_a_count_and_a_call_only():
    class Distance(nx.InvariantFeatures):
        num_features = 2

        def __call__(self, q, v):
            return jnp.array([jnp.sum((q[0] - q[1]) ** 2), jnp.sum((v[0] - v[1]) ** 2)])

    group = nx.Translations(3) * nx.Rotations(3)
    testing.check_features(Distance(), group, points=2, complete=False)
    with pytest.raises(AssertionError, match="2 of 2 are independent, but 6 are needed"):
        testing.check_features(Distance(), group, points=2)


def test_wrong_states_are_named():
    features = nx.Rotations(3).invariant_features(1)
    with pytest.raises(ValueError, match=r"for 1 point\(s\), but q has shape \(2, 3\)"):
        features(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="3 entries on its last axis"):
        features(np.zeros((1, 2)), np.zeros((1, 2)))


def test_standardisation_has_a_floor_of_the_features_kind():
    """Heights above the orbital plane are pure noise: they must not be blown up to unit size."""
    rng = np.random.default_rng(0)
    q, v = rng.normal(size=(2, 2000, 1, 3))
    q[:, :, 2] *= 1e-3
    standardisation = nx.Standardisation.fit(nx.Trivial(3).invariant_features(1), q, v)
    height, sideways = standardisation.unit[2], standardisation.unit[0]
    assert 0.05 < height / sideways < 0.2
    assert np.isclose(sideways, np.std(q[:, 0, 0]), rtol=0.1)


def test_standardised_features_have_zero_median_and_normal_quartiles():
    q, v = np.random.default_rng(1).normal(size=(2, 2000, 1, 3)) + 3.0
    features = nx.Rotations(3).invariant_features(1)
    values = nx.Standardisation.fit(features, q, v)(jax.vmap(features)(q, v))
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    assert np.allclose(middle, 0, atol=1e-12)
    assert np.allclose(upper - lower, 1.349, rtol=1e-12)
