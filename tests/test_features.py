import functools
import math

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

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
    assert compiled(features, q, v).shape == (count,)


@functools.cache  # the search takes seconds for some
def features_of(name: str, points: int) -> nx.InvariantFeatures:
    """The invariant features of a registered group; it must say where ∂²L/∂v² is singular."""
    group = helpers.GROUPS[name]()
    if points > 1 or name not in helpers.SINGULAR_ON_ONE_POINT:
        return group.invariant_features(points)
    with pytest.warns(UserWarning, match=r"on 1 point\(s\) makes ∂²L/∂v² singular for every"):
        return group.invariant_features(points)


def test_distances_of_all_pairs_are_features_and_exact_for_close_ones():
    q = np.random.default_rng(0).normal(size=(4, 3))
    q[1] = q[0] + np.array([3e-8, 0, 4e-8])
    features = nx.Euclidean(3).configuration_features(4)
    names = nx.feature_names(features)
    values = dict(zip(names, np.asarray(compiled(features, q)), strict=True))
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        name = f"(q{i + 1}-q{j + 1})"
        expected = np.sum((q[i] - q[j]) ** 2)
        assert np.isclose(values[f"{name}·{name}"], expected, rtol=1e-12, atol=0)
    assert len(names) == 6
    # Of events, the intervals.
    events = np.random.default_rng(1).normal(size=(3, 3))
    intervals = nx.Poincare(3).configuration_features(3)
    found = compiled(intervals, events)[nx.feature_names(intervals).index("⟨(q1-q2), (q1-q2)⟩")]
    apart = np.square(events[0] - events[1])
    assert np.isclose(np.abs(found), np.abs(apart[0] + apart[1] - apart[2]))


ALONE = ["Rotations(3)", "Translations(3)", "Euclidean(2)", "Cylindrical", "parabolic"]
"""Groups whose features of one point are another kind than those of two."""


@pytest.mark.parametrize(
    ("name", "points"),
    [(name, 2) for name in helpers.GROUPS]
    + [(name, 1) for name in [*ALONE, *sorted(helpers.SINGULAR_ON_ONE_POINT)]]
    + [("Euclidean(2)", 3)],
)
def test_feature_laws(name, points):
    group = helpers.GROUPS[name]()
    testing.check_features(features_of(name, points), group, points=points, max_examples=48)


@pytest.mark.parametrize(
    ("name", "points", "some"),
    [
        ("Rotations(3)", 1, {"q·v"}),
        ("Rotations(4)", 2, {"q1·v2", "det(q1, q2, v1, v2)"}),
        ("Translations(4) * Rotations(4)", 2, {"(q1-q2)·v1"}),
        ("spatial rotations * time translation", 1, {"q[0, 1, 2]·v[0, 1, 2]", "v[3]"}),
        ("Rotations(4, axes=(3, 1))", 1, {"q[0]", "v[2]"}),
        ("Translations(3)", 2, {"(q1-q2)[2]", "v2[0]"}),
        ("Euclidean(2)", 3, {"(q2-q3)·(q2-q3)", "(q1-q2)·(q1-q2)", "(q1-q3)·v2"}),
    ],
)
def test_names_say_what_the_values_are(name, points, some):
    """Every name, read as a formula, has the value of its feature."""
    group = helpers.GROUPS[name]()
    features = group.invariant_features(points)
    names = nx.feature_names(features)
    assert some <= set(names)
    assert len(names) == len(set(names)) == features.num_features

    class Vector(np.ndarray):  # `q1[0, 2]` are components
        def __getitem__(self, axes):
            return np.asarray(self)[list(axes) if isinstance(axes, tuple) else axes]

    q, v = np.random.default_rng(0).normal(size=(2, points, group.space))
    numbers = range(1, points + 1) if points > 1 else [""]
    vectors = {f"q{i}": x.view(Vector) for i, x in zip(numbers, q, strict=True)}
    vectors |= {f"v{i}": x.view(Vector) for i, x in zip(numbers, v, strict=True)}
    vectors["det"] = lambda *columns: np.linalg.det(np.array(columns))
    values = [eval(each.replace("·", "@"), vectors) for each in names]
    assert np.allclose(compiled(features, q, v), values, rtol=1e-12)


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize(
    "name", ["Lorentz()", "oblique translation", "binary cubics", "Poincare(3)"]
)
def test_other_features_have_as_many_names(name, points):
    features = features_of(name, points)
    names = nx.feature_names(features)
    assert len(set(names)) == features.num_features


def test_one_particle_has_the_papers_features_in_order():
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    expected = [np.sum(q * q), np.sum(q * v), np.sum(v * v)]
    features = nx.Rotations(3).invariant_features(1)
    assert np.allclose(compiled(features, q, v), expected, rtol=1e-15)


def test_schwarzschild_features_in_order():
    group = helpers.GROUPS["spatial rotations * time translation"]()
    q, v = np.random.default_rng(0).normal(size=(2, 1, 4))
    x, u = q[0, :3], v[0, :3]
    expected = [x @ x, x @ u, u @ u, v[0, 3]]
    assert np.allclose(compiled(group.invariant_features(1), q, v), expected, rtol=1e-15)


def test_relative_positions_come_before_velocities():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 4))
    expected = np.concatenate([q[0] - q[1], v[0], v[1]])
    assert np.array_equal(compiled(nx.Translations(4).invariant_features(2), q, v), expected)


def test_last_rotation_feature_is_the_determinant():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 4))
    features = compiled(nx.Rotations(4).invariant_features(2), q, v)
    assert np.allclose(features[-1], np.linalg.det(np.concatenate([q, v])), rtol=1e-13)


def test_determinants_can_be_left_out():
    features = nx.Rotations(4).invariant_features(2, determinants=False)
    assert features.num_features == 10


def test_many_determinants_are_announced_with_their_number():
    with pytest.warns(UserWarning, match="12870 determinants of 16 vectors in 8 dimensions"):
        nx.Rotations(8).invariant_features(8)


@pytest.mark.parametrize(
    ("points", "dim"), [(3, 2), (3, 3), (2, 4), (3, 5), (4, 4), (5, 1), (1, 3)]
)
def test_determinants_equal_linear_algebra(points, dim):
    from itertools import combinations

    vectors = nx.StateVectors(points, dim)
    q, v = np.random.default_rng(dim).normal(size=(2, points, dim))
    x = np.concatenate([q, v])
    expected = [np.linalg.det(x[list(s)]) for s in combinations(range(2 * points), dim)]
    assert len(expected) == math.comb(2 * points, dim)
    values = compiled(nx.Determinants(vectors), q, v)
    assert values.shape == (len(expected),)
    assert np.allclose(values, expected, rtol=1e-11, atol=1e-13)


def test_few_and_many_determinants_are_the_same_function(monkeypatch):
    from noetherax.features import _determinants

    features = nx.Determinants(nx.StateVectors(3, 3))
    q, v = np.random.default_rng(1).normal(size=(2, 3, 3))

    def derivatives(function):
        first = jax.jacfwd(function, argnums=(0, 1))
        second = jax.jacfwd(first, argnums=(0, 1))
        # A function of its own each time, since what it reads changes.
        everything = jax.jit(lambda q, v: (function(q, v), first(q, v), second(q, v)))(q, v)
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(everything)])

    many = derivatives(features)
    assert {x.primitive.name for x in helpers.equations(features, q, v)} & {"gather"}
    monkeypatch.setattr(_determinants, "UNROLLED", 1000)
    few = derivatives(features)
    assert not {x.primitive.name for x in helpers.equations(features, q, v)} & {"gather"}
    assert np.allclose(few, many, rtol=1e-12, atol=1e-13)
    other = derivatives(lambda q, v: features(q, (1 + 1e-9) * v))
    assert not np.allclose(few, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_products_keep_every_bit_on_accelerators(name):
    """Their default would round the factors, and so break the invariance. No CPU shows that."""
    group = helpers.GROUPS[name]()
    q, v = np.random.default_rng(0).normal(size=(2, 2, group.space))
    coefficients = np.ones(group.dimension)
    helpers.check_precision(features_of(name, 2), q, v)
    helpers.check_precision(group.act, coefficients, q, v)
    helpers.check_precision(group.generators, q)
    assert helpers.products(group.act, coefficients, q, v)


def test_lower_precision_is_caught():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 3))
    with pytest.raises(AssertionError, match="lower precision"):
        helpers.check_precision(lambda q, v: q @ v.T, q, v)


def span_of_values(features, points, space):
    q, v = np.random.default_rng(0).normal(size=(2, 400, points, space))
    return np.asarray(compiled(jax.vmap(features), q, v))


def general_route(group, points):
    """Features from invariant tensors alone, where a closed form is known as well."""
    from noetherax.algebras import balance, read_algebra
    from noetherax.invariants import Frame, tensor_invariants

    name = type(group).__name__
    algebra, unit = balance(read_algebra(group.algebra(), name))
    frame = Frame(points, group.space, tuple(range(group.space)), np.diag(unit))
    return tensor_invariants(algebra, frame, name, 4)


CLOSED = {
    "Rotations(2)": (lambda: nx.Rotations(2), 2),
    "Rotations(3)": (lambda: nx.Rotations(3), 2),
    "Rotations(4)": (lambda: nx.Rotations(4), 2),
    "Orthogonal(3)": (lambda: nx.Orthogonal(3), 2),
    "Euclidean(3)": (lambda: nx.Euclidean(3), 2),
    "Lorentz()": (lambda: nx.Lorentz(speed_of_light=2.0), 2),
    "Poincare(3)": (lambda: nx.Poincare(3, speed_of_light=3.0), 2),
    "SpecialLinear(3)": (lambda: nx.SpecialLinear(3), 3),
}


@pytest.mark.parametrize("name", CLOSED)
def test_general_route_finds_the_closed_forms(name):
    """Classical groups by their generators alone: the same span of values, degree by degree."""
    construct, points = CLOSED[name]
    group = construct()
    general, closed = general_route(group, points), group.invariant_features(points)
    assert general.num_features == closed.num_features
    a, b = (span_of_values(f, points, group.space) for f in (general, closed))
    scale, moved = 1.1, np.random.default_rng(1).normal(size=(2, points, group.space))
    degrees = [
        np.round(np.log(np.abs(compiled(f, *scale * moved) / compiled(f, *moved))) / np.log(scale))
        for f in (general, closed)
    ]
    for degree in np.unique(degrees[1]):
        first, second = a[:, degrees[0] == degree], b[:, degrees[1] == degree]
        assert first.shape == second.shape
        both = np.concatenate([first, second], axis=1)
        assert np.linalg.matrix_rank(both, tol=1e-8) == first.shape[1]


INDEPENDENT = {
    # Generators of the ring of invariants, from classical invariant theory.
    ("Lorentz()", 1): 3,  # x·x, x·u, u·u
    ("Lorentz()", 2): 11,  # ten products and one determinant, as for SO(4)
    ("Orthogonal(3)", 2): 10,  # ten products, no determinants
    ("Euclidean(2)", 2): 6,  # products of three vectors
    ("Poincare(3)", 2): 7,  # products of three vectors, and their determinant
    ("Symplectic(4)", 2): 6,  # ω of four vectors, two at a time
    ("Unitary(2)", 1): 4,  # two norms, and the Hermitian product: two real numbers
    ("SpecialUnitary(4)", 1): 6,  # those of U(2), and the complex determinant
    ("SpecialLinear(2)", 2): 6,  # determinants of four vectors, two at a time
    ("squeeze", 1): 4,  # x y, u w, x w, y u
    ("weights 1 and -2", 1): 6,  # cubic: x² y and its polarisations
    ("AxialRotations", 1): 6,  # n·q, n·v, and in the plane two norms, a product and an area
    ("parabolic", 1): 3,  # 2 x − y² and its companions, 2·2 − 1
    ("binary cubics", 1): 6,  # the symplectic form, and the discriminant's five polarisations
    ("charged pair beside a vector", 1): 7,  # three products; two norms, a product and an area
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_general_route_against_theory(name):
    group, points = name
    assert features_of(group, points).num_features == INDEPENDENT[name]


HARD = {
    # Given by generators alone, in coordinates or of a kind that make the null spaces hard.
    "conjugated SO(4)": lambda: conjugated(nx.Rotations(4).algebra()[0], seed=0),
    "conjugated binary cubics": lambda: conjugated(helpers.binary_forms(3), seed=1),
    "unipotent": lambda: helpers.Declared(helpers.upper_triangular(4)),
    "conjugated unipotent": lambda: conjugated(helpers.upper_triangular(4), seed=2),
    "two copies of SO(3), mixed": lambda: conjugated(
        np.kron(nx.Rotations(3).algebra()[0], np.eye(2)), seed=3
    ),
    "lengths of 1e8": lambda: helpers.Declared(
        np.concatenate([np.zeros((2, 2, 2)), [[[0.0, -1.0], [1.0, 0.0]]]]),
        np.array([[1.0, 0.0], [0.0, 1.0], [1.5e8, -2e8]]),
    ),
    "SU(3)": lambda: nx.SpecialUnitary(6),
}


def conjugated(linear, seed):
    mixing = np.random.default_rng(seed).normal(size=linear.shape[1:])
    return helpers.Declared(mixing @ linear @ np.linalg.inv(mixing))


@pytest.mark.filterwarnings("ignore:.*makes ∂²L/∂v² singular")
@pytest.mark.parametrize("name", HARD)
def test_hard_groups(name):
    group = HARD[name]()
    testing.check_features(group.invariant_features(1), group, points=1, max_examples=5)


ROTATED = {  # name: linear part, shift, points
    "regular nilpotent": (np.diag([1.0, 1, 1], 1)[None], None, 2),
    "resonance 2 : 3": (np.kron(np.diag([2.0, 3]), [[0.0, -1], [1, 0]])[None], None, 1),
    # Its left translations: d/dx, d/dy + x d/dz and d/dz.
    "Heisenberg": (np.eye(27)[15].reshape(3, 3, 3), np.eye(3), 2),
}


@pytest.mark.parametrize("name", ROTATED)
def test_axes_that_mean_nothing_to_a_group_do_not_matter(name):
    linear, shift, points = ROTATED[name]
    space = linear.shape[1]
    plain = helpers.Declared(linear, shift).invariant_features(points, max_degree=5)
    for seed in range(3):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(space, space)))[0]
        turned = turn @ linear @ turn.T, None if shift is None else shift @ turn.T
        group = helpers.Declared(*turned)
        found = group.invariant_features(points, max_degree=5)
        assert found.num_features == plain.num_features
        q, v = np.random.default_rng(9).normal(size=(2, points, space))
        moved = group.act(jnp.full(len(linear), 0.3), q, v)
        before, after = found(jnp.asarray(q), jnp.asarray(v)), found(*moved)
        assert np.allclose(before, after, rtol=0, atol=1e-9 * np.max(np.abs(after)))


@pytest.mark.parametrize("unit", [1e6, 1e-9, 299792458.0])
def test_axes_may_have_units_of_their_own(unit):
    """Rotations of x in metres and y in another unit, and boosts with the time first."""
    turn = helpers.Declared([[[0.0, -1 / unit], [unit, 0.0]]])
    boost = nx.Lorentz(2, axes=(1, 0), speed_of_light=unit)
    for group, angle in ((turn, 0.7), (boost, 0.7 * unit)):
        features = group.invariant_features(1)
        q, v = np.random.default_rng(0).normal(size=(2, 1, 2)) * [1.0, unit]
        before = features(jnp.asarray(q), jnp.asarray(v))
        after = features(*group.act(jnp.array([angle]), q, v))
        assert np.allclose(before, after, rtol=1e-12, atol=0)
        other = features(jnp.asarray(q * [1, 2]), jnp.asarray(v))  # all axes are seen
        assert not np.allclose(before[0], other[0], rtol=0.01)


def test_features_do_not_depend_on_the_basis_of_the_algebra():
    """Generators in another order, sign and mixture declare the same group."""
    linear = helpers.binary_forms(3)
    mixed = np.array([linear[2] - linear[0], 3 * linear[0], linear[1] + linear[2]])
    values = [
        span_of_values(helpers.Declared(x).invariant_features(1), 1, 4) for x in (linear, mixed)
    ]
    both = np.concatenate(values, axis=1)
    assert np.linalg.matrix_rank(both, tol=1e-8) == values[0].shape[1] == values[1].shape[1]


def test_construction_is_deterministic():
    first, second = (nx.AxialRotations((1.0, 2.0, 2.0)).invariant_features(2) for _ in range(2))
    assert first == second


def test_too_many_invariants_are_an_error_that_says_how_many():
    planes = helpers.Declared([np.kron(np.eye(17), [[0.0, -1.0], [1.0, 0.0]])])
    with pytest.raises(ValueError, match=r"578 invariant tensors of rank 2, too many"):
        planes.invariant_features(1)


@pytest.mark.parametrize("group", sorted(helpers.SINGULAR_ON_ONE_POINT))
def test_groups_say_where_the_mass_matrix_is_singular(group):
    """And it is: for random weights ∂²L/∂v² has no inverse, while on two points it has."""
    for points, singular in ((1, True), (2, False)):
        features = features_of(group, points)
        space = helpers.GROUPS[group]().space
        model = nx.NeuralLagrangian(features, width=8, dtype=jnp.float64, key=jax.random.key(0))
        q, v = np.random.default_rng(0).normal(size=(2, points, space))
        matrix = np.asarray(nx.euler_lagrange_terms(model, q, v).mass_matrix)
        values = np.linalg.svd(matrix, compute_uv=False)
        assert (values[-1] < 1e-12 * values[0]) == singular


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
    hessian = compiled(jax.jacfwd(jax.jacrev(features, argnums=1), argnums=1), q, q)
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


def test_the_floor_is_blind_to_directions_that_no_feature_sees():
    """A clock that runs on (the τ of a relativistic particle) must not press the others flat."""
    q, v = np.random.default_rng(0).normal(size=(2, 2000, 1, 4))
    late = q + np.array([0, 0, 0, 1.0]) * np.linspace(0, 1000, 2000)[:, None, None]
    group = nx.Rotations(4, axes=(0, 1, 2)) * nx.Translations(4, axes=(3,))
    for features in (group.invariant_features(1), nx.Translations(4, (3,)).invariant_features(1)):
        early_unit = nx.Standardisation.fit(features, q, v).unit
        assert np.allclose(nx.Standardisation.fit(features, late, v).unit, early_unit, rtol=1e-6)


def test_standardised_features_have_zero_median_and_normal_quartiles():
    q, v = np.random.default_rng(1).normal(size=(2, 2000, 1, 3)) + 3.0
    features = nx.Rotations(3).invariant_features(1)
    standardisation = nx.Standardisation.fit(features, q, v)
    values = compiled(lambda q, v: standardisation(jax.vmap(features)(q, v)), q, v)
    lower, middle, upper = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    assert np.allclose(middle, 0, atol=1e-12)
    assert np.allclose(upper - lower, 1.349, rtol=1e-12)


def wide_orbits(count: int = 2000):
    """Kepler orbits up to an eccentricity of 0.9: distances from 0.3 to 10."""
    family = nx.systems.Orbits(nx.systems.Kepler(), math.inf)
    q, v, _ = family.sampler(count, noise=0.0)(jax.random.key(0))
    return q, v


def test_positive_features_of_position_are_bent_where_they_span_much():
    q, v = wide_orbits()
    features = nx.Rotations(3).invariant_features(1)
    standardisation = nx.Standardisation.fit(features, q, v)
    values = compiled(jax.vmap(features), q, v)
    # v·v spans as much as q·q, but ∂²L/∂v² needs it as it is; q·v has both signs.
    assert np.quantile(values[:, 2], 0.95) > 20 * np.quantile(values[:, 2], 0.05)
    assert np.isclose(1 / standardisation.bends[0], np.quantile(values[:, 0], 0.05))
    assert np.all(standardisation.bends[1:] == 0)
    # Equal ratios of the distance are equal parts of the network's input, far above the knee.
    near, middle, far = (
        compiled(standardisation, np.array([x, 0, 1.0]))[0] for x in (1e3, 1e4, 1e5)
    )
    assert np.isclose(far - middle, middle - near, rtol=1e-4)
    assert np.all(np.isfinite(compiled(standardisation, np.zeros(3))))  # a collision
    assert np.all(nx.Standardisation.fit(features, q, v, bend=None).bends == 0)


def test_the_inverse_root_is_the_potential_of_gravity_beyond_the_data_and_finite_at_zero():
    q, v = wide_orbits()
    features = nx.Rotations(3).invariant_features(1)
    root = nx.Standardisation.fit(features, q, v, bend="inverse")
    assert list(root.inverse) == [True, False, False]
    least = np.min(np.linalg.norm(q, axis=(1, 2)))

    def at(distance):
        return compiled(root, np.array([distance**2, 0, 1.0]))[0]

    # Linear in 1/r, from a tenth of the least distance that was seen to a thousand times.
    distances = least * np.array([0.1, 0.3, 1.0, 10.0, 1000.0])
    found = np.array([at(x) for x in distances])
    slope = np.diff(found) / np.diff(1 / distances)
    assert np.allclose(slope, slope[-1], rtol=1e-3)
    slopes = compiled(jax.jacfwd(root), np.zeros(3))
    assert np.all(np.isfinite(at(0.0)))
    assert np.all(np.isfinite(slopes))


def test_a_bend_that_there_is_none_of_is_named():
    for wrong in (True, False, "log", 1, ["inverse"]):
        with pytest.raises(ValueError, match="'logarithm', 'inverse', or None for no bend, but it"):
            nx.features.check_bend(wrong)


def test_features_that_span_little_or_change_sign_are_not_bent():
    q, v = wide_orbits()
    narrow = jnp.asarray(q / np.linalg.norm(q, axis=(1, 2), keepdims=True))
    rotations = nx.Rotations(3).invariant_features(1)
    coordinates = nx.Trivial(3).invariant_features(1)
    for features, positions in ((rotations, narrow), (coordinates, q), (coordinates, q + 100.0)):
        for bend in ("logarithm", "inverse"):
            assert np.all(nx.Standardisation.fit(features, positions, v, bend=bend).bends == 0)


@pytest.mark.parametrize(("unit", "nearest"), [(1e-10, 1e-5), (1.0, 1e-8), (1e8, 1e-8)])
@pytest.mark.parametrize("bend", ["logarithm", "inverse"])
def test_bends_stay_in_the_range_of_single_precision(bend, unit, nearest):
    """Also where the squares of distances span sixteen decades."""
    distance = np.geomspace(nearest, 1, 200)[:, None]
    direction = np.array([1.0, 2.0, 2.0]) / 3
    q = np.float32(unit * distance * direction)[:, None]
    features = nx.Rotations(3).invariant_features(1)
    found = nx.Standardisation.fit(features, q, q, bend=bend)
    assert found.bends[0] > 0

    def both(x):
        return found(x)[0], found.slope(x)[0], jax.grad(lambda x: found(x)[0])(x)[0]

    states = np.float32(unit**2 * np.stack([distance**2] * 3, axis=1)[..., 0])
    values, slopes, gradients = compiled(jax.vmap(both), states)
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) >= 0)
    assert np.all(slopes > 0)
    np.testing.assert_allclose(slopes, gradients, rtol=1e-4)


FORMULAS = {
    "logarithm": lambda x, k: jnp.arcsinh(k * x) / k,
    "inverse": lambda x, k: -((1 + (k * x) ** 2) ** -0.25),
    None: lambda x, k: x,
}


@pytest.mark.parametrize("bend", FORMULAS)
def test_a_standardisation_has_the_derivatives_of_its_formula(bend):
    """Those are written out. An equation of motion has two of them, and its gradient three."""
    q, v = wide_orbits()
    features = nx.Rotations(3).invariant_features(1)
    standardisation = nx.Standardisation.fit(features, q, v, bend=bend)
    assert np.count_nonzero(standardisation.bends) == (bend is not None)

    def formula(x):
        bent = FORMULAS[bend](x[0], standardisation.bends[0])
        return (
            jnp.concatenate([bent[None], x[1:]]) - standardisation.centre
        ) / standardisation.unit

    def derivatives(function):
        first = jax.jacfwd(function)
        return function, first, jax.jacrev(first), jax.jacfwd(jax.jacrev(first))

    def slopes(function):
        return [compiled(jax.vmap(each), states) for each in derivatives(function)]

    states = np.asarray(compiled(jax.vmap(features), q[:5], v[:5]))
    states = np.concatenate([states, -states, np.zeros((1, 3))])
    found, expected = slopes(standardisation), slopes(formula)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-14 * np.max(np.abs(other)))
    slope = compiled(jax.vmap(standardisation.slope), states)
    assert np.allclose(slope, np.diagonal(expected[1], axis1=1, axis2=2), rtol=1e-13)


def frequencies(first, second):
    return lambda: helpers.Declared([np.kron(np.diag([first, second]), [[0.0, -1], [1, 0]])])


def coupled(size):
    linear = np.kron(np.eye(2), [[0.0, -1], [1, 0]])
    linear[0, 2], linear[2, 0] = size, -size
    return lambda: helpers.Declared([linear])


NEARLY_DEGENERATE = {
    "1 : 1 + 3e-10": (frequencies(1, 1 + 3e-10), "change a feature by 1.*e-10"),
    "1 : 1 + 1e-8": (frequencies(1, 1 + 1e-8), "change a tensor by 1e-08"),
    "1 : 1 + 1e-5": (frequencies(1, 1 + 1e-5), "nearly leave alone"),
    "1 : 2 + 1e-9": (frequencies(1, 2 + 1e-9), "change a feature by .*e-10"),
    "coupling of 1e-9": (coupled(1e-9), "change a feature by 3.*e-10"),
    "coupling of 1e-6": (coupled(1e-6), "change a tensor by 1e-06"),
    "scale of 1e-9": (lambda: helpers.Declared([np.diag([1, -1, 1e-9])]), "change a feature"),
}


@pytest.mark.parametrize("name", NEARLY_DEGENERATE)
def test_nearly_degenerate_groups_are_refused_with_the_evidence(name):
    """Features that their own law would reject by 1e-10, or that are missing for no other reason."""
    group, message = NEARLY_DEGENERATE[name]
    with pytest.raises(ValueError, match=message) as caught:
        group().invariant_features(1)
    assert "make them agree exactly, or differ clearly" in str(caught.value)


def test_rounded_frequencies_are_degenerate_and_others_are_not():
    for ratio, count in ((1.0, 16), (1 + 1e-15, 16), (0.1 * 3 / 0.3, 16), (2.0, 20)):
        assert frequencies(1, ratio)().invariant_features(1).num_features == count
    with pytest.raises(ValueError, match="7 independent .* degree 4 give 6"):
        frequencies(1, math.sqrt(2))().invariant_features(1)


class Single(nx.AffineGroup):
    """Generators in float32, with noise."""

    linear: tuple

    def __init__(self, linear, noise):
        drawn = np.random.default_rng(0).normal(size=(*np.shape(linear), 2))
        mixing = drawn[0, :, :, 0]
        oblique = mixing @ linear @ np.linalg.inv(mixing) + noise * drawn[..., 1]
        self.linear = tuple(tuple(map(tuple, matrix)) for matrix in oblique.tolist())

    def algebra(self):
        return np.array(self.linear, np.float32), np.zeros(np.shape(self.linear)[:2], np.float32)


def test_oblique_float32_generators_have_no_more_features_and_noise_is_named():
    same = [np.kron(np.eye(2), [[0.0, -1], [1, 0]])]
    turn = [helpers.turn_about([0, 0, 1])]
    for linear, points, count in ((same, 1, 16), (turn, 2, 20)):
        assert Single(linear, 0.0).invariant_features(points).num_features == count
    for linear in (same, turn):
        with pytest.raises(ValueError, match="generators are noisy"):
            Single(linear, 1e-4).invariant_features(2)


def test_many_products_are_the_same_function_as_few(monkeypatch):
    from noetherax.features import _scalar_products

    q, v = np.random.default_rng(0).normal(size=(2, 3, 3))
    features = nx.Rotations(3).invariant_features(3, determinants=False)
    many = jax.jit(lambda q, v: features(q, v))(q, v)
    monkeypatch.setattr(_scalar_products, "FEW", 6)
    assert np.allclose(jax.jit(lambda q, v: features(q, v))(q, v), many, rtol=1e-14)
    assert len(helpers.products(features, q, v)) == 6


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_static_fields_without_a_hash_are_named_at_once():
    """JAX would compile the first call and fail at the second."""
    import equinox as eqx

    class Held(nx.InvariantFeatures):
        matrix: np.ndarray = eqx.field(static=True)
        num_features = 1

        def __call__(self, q, v):
            return jnp.sum(q)[None]

    class Turn(nx.AffineGroup):
        matrix: np.ndarray = eqx.field(static=True)

        def algebra(self):
            return self.matrix[None], np.zeros((1, 2))

    class Pull(nx.Lagrangian):
        matrix: list = eqx.field(static=True)

        def __call__(self, q, v):
            return jnp.sum(v**2) / 2

    for build in (Held, Turn, Pull):
        with pytest.raises(TypeError, match=rf"{build.__name__}.matrix is a static field"):
            build([[0.0]] if build is Pull else np.array([[0.0, -1], [1, 0]]))


@pytest.mark.parametrize("size", [1e20, 1e-20])
def test_features_out_of_range_are_named(size):
    """Squares of lengths are in the range of float64, not of float32."""
    q, v = size * np.random.default_rng(0).normal(size=(2, 64, 1, 3))
    features = nx.Rotations(3).invariant_features(1)
    fitted = nx.Standardisation.fit(features, q, v)
    expected = nx.Standardisation.fit(features, q / size, v / size)
    assert np.allclose(fitted.unit / size**2, expected.unit, rtol=1e-12)
    with pytest.raises(ValueError, match=r"Features \[0, 1, 2\] leave the range of float32.*units"):
        nx.Standardisation.fit(features, q.astype(np.float32), v.astype(np.float32))


@pytest.mark.parametrize("size", [1e-13, 1e-17])
def test_a_product_that_vanishes_in_a_precision_is_named(size):
    """Cubes are in the range of numbers long after squares have left it, or not."""

    class Cubes(nx.InvariantFeatures):
        num_features: int = 2

        def __call__(self, q, v):
            return jnp.stack([q[0, 0] ** 3, jnp.sum(v**2)])

    q, v = np.random.default_rng(0).normal(size=(2, 64, 1, 1))
    nx.Standardisation.fit(Cubes(), size * q, size * v)
    with pytest.raises(ValueError, match=r"Features \[0\] leave the range of float32.*units"):
        nx.Standardisation.fit(Cubes(), np.float32(size * q), np.float32(size * v))
    # What is constant carries nothing, in no units.
    nx.Standardisation.fit(Cubes(), np.float32(0 * q), np.float32(size * v))


@pytest.mark.parametrize("pitch", [5.4e-10, 1.0, 1e13])
def test_a_screw_has_its_features_in_any_unit_of_length(pitch):
    spin = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]])
    group = helpers.Declared(spin, np.array([[0.0, 0, pitch]]))
    features = group.configuration_features(1)
    q = pitch * np.array([[1.0, 0.3, 0.2]])
    moved, _ = group.act(jnp.array([0.7]), q, q)
    assert features.num_features == 2
    np.testing.assert_allclose(features(moved), features(q), rtol=1e-13)
    lifted = q + np.array([0, 0, 0.7 * pitch])
    assert np.max(np.abs(features(lifted) - features(q))) > 0.1 * pitch


def test_a_period_is_seen_by_sine_and_cosine():
    group = nx.Translations(2, axes=(1,)) * nx.Periodic(2, axes=(1,), period=0.5)
    features = group.invariant_features(2)
    assert nx.feature_names(features) == (
        *("q1[0]", "q2[0]", "v1[0]", "v2[0]"),
        *("sin (q1-q2)[1]", "cos (q1-q2)[1]", "v1[1]", "v2[1]"),
    )
    assert group.dimension == 1
    assert np.array_equal(nx.periods(group), [np.inf, 0.5])
    q, v = np.random.default_rng(0).normal(size=(2, 2, 2))
    angle = 4 * np.pi * (q[0, 1] - q[1, 1])
    assert np.allclose(compiled(features, q, v)[4:6], [np.sin(angle), np.cos(angle)])


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: nx.Periodic(1, period=-1.0), "period must be a positive number"),
        (lambda: nx.Periodic(2, period=(1.0, 2.0, 3.0)), "one for each of the axes"),
        (lambda: nx.Periodic(1, period=float("nan")), "period must be a positive number"),
        (lambda: nx.Periodic(1) * nx.Periodic(1, period=1.0), "one period, but the factors"),
        (
            lambda: nx.Periodic(2, axes=(0,)) * nx.Rotations(2),
            r"mixes or reflects the axes \(0, 1\)",
        ),
        (
            lambda: helpers.Declared(np.zeros((1, 2, 2)), [[1.0, 1]]) * nx.Periodic(2, axes=(1,)),
            "translates along a direction between them",
        ),
    ],
)
def test_periods_that_make_no_sense_are_named(declare, message):
    with pytest.raises(ValueError, match=message):
        declare().invariant_features(1)


@pytest.mark.parametrize("period", [1e-10, 1e10])
def test_laws_know_the_unit_of_a_period(period):
    group = nx.Periodic(1, period=period)
    testing.check_features(group.invariant_features(2), group, points=2, max_examples=16)


class MeanAndRelative(nx.InvariantFeatures):
    """The sum of all velocities, which nothing is left of beside their mean, and a difference."""

    num_features: int = 2

    def __call__(self, q, v):
        return jnp.stack([jnp.sum(v), (v[0, 0] - v[1, 0]) ** 2])


def test_what_is_rounding_beside_the_mean_velocity_is_no_feature():
    relative = nx.features.RelativeVelocities(MeanAndRelative(), points=3, space=1)
    assert relative.kept == (1,)
