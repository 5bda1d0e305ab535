"""Invariant features of the configuration alone, of every registered group."""

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing

POINTS = 2

SPIN = helpers.turn_about([0, 0, 1])
SCREWS = {
    "screw": ([SPIN], [[0.0, 0, 1]]),
    "slow screw": ([SPIN], [[0.0, 0, 1e-5]]),
    "screw about an oblique axis": ([0.7 * helpers.turn_about([1, 2, 3])], [[0.3, -0.2, 1.0]]),
    "spiral": ([SPIN + np.diag([0.5, 0.5, 0])], [[0.0, 0, 2]]),
    "screw and shifts across": ([0 * SPIN, 0 * SPIN, SPIN], [[1, 0, 0], [0, 1, 0], [0, 0, 0.5]]),
    "two screws about one axis": (
        [np.kron(np.diag([w, 0]), [[0.0, -1], [1, 0]]) for w in (2, 0.3)],
        [[0, 0, 1, 0], [0, 0, 0, 1]],
    ),
}
"""Groups with invariants that are no polynomials."""

GROUPS = helpers.GROUPS | {
    name: lambda generators=generators: helpers.Declared(*generators)
    for name, generators in SCREWS.items()
}
ROTATIONS = nx.Rotations(3)


@eqx.filter_jit
def at(features, group, coefficients, q, components):
    """Values, slopes and second derivatives at a configuration, at its images under the group, at the
    origin and where points coincide; the generators, and the value in single precision."""

    def expansion(q):
        shape = (features.num_features, q.size)
        slope, second = jax.jacrev(features)(q), jax.jacfwd(jax.jacrev(features))(q)
        return features(q), slope.reshape(shape), second.reshape(*shape, q.size)

    moved, _ = group.act(coefficients, q, 0 * q)
    images = [q, moved, *(moved @ component.T for component in components)]
    known = jax.vmap(expansion)(jnp.stack([*images, 0 * q, q[:1] + 0 * q]))
    fields = group.generators(q).reshape(group.dimension, q.size)
    return known, len(images), fields, features(q.astype(jnp.float32))


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_has_features_of_the_configuration(name):
    """Invariant, complete, smooth everywhere and as good in single precision."""
    group = GROUPS[name]()
    features = group.configuration_features(POINTS)
    rng = np.random.default_rng(0)
    q, coefficients = rng.normal(size=(POINTS, group.space)), 0.3 * rng.normal(size=group.dimension)
    components = nx.component_representatives(group)
    known, images, fields, single = at(features, group, coefficients, q, components)
    assert single.dtype == jnp.float32
    value, slope, second = (np.asarray(x) for x in known)
    fields, single = np.asarray(fields), np.asarray(single, float)
    assert all(np.all(np.isfinite(x)) for x in (value, slope, second))
    size = 1 + np.abs(value[0]) + np.abs(slope[0]).sum(axis=1)
    assert np.all(np.abs(value[:images] - value[0]) <= 1e-12 * size)
    reach = size[:, None] * (1 + np.abs(fields).max(initial=0.0))
    assert np.all(np.abs(slope[0] @ fields.T) <= 1e-13 * reach)
    assert np.all(np.abs(single - value[0]) <= 1e-5 * size)
    assert rank(slope[0]) == q.size - rank(fields)
    names = nx.feature_names(features)
    assert len(set(names)) == len(names) == features.num_features == len(single)
    assert not any("v" in each for each in names)


def rank(matrix):
    return np.linalg.matrix_rank(matrix, tol=1e-9) if len(matrix) else 0


@pytest.mark.parametrize(
    ("group", "points", "names"),
    [
        (nx.Trivial(2), 1, ["q[0]", "q[1]"]),
        (nx.Translations(2), 2, ["(q1-q2)[0]", "(q1-q2)[1]"]),
        (nx.Rotations(2), 2, ["q1·q1", "q1·q2", "q2·q2", "det(q1, q2)"]),
        (nx.Orthogonal(2), 2, ["q1·q1", "q1·q2", "q2·q2"]),
        (nx.Euclidean(3), 2, ["(q1-q2)·(q1-q2)"]),
        (nx.Periodic(1), 1, ["sin q[0]", "cos q[0]"]),
        (nx.Translations(1) * nx.Periodic(1), 2, ["sin (q1-q2)[0]", "cos (q1-q2)[0]"]),
        (nx.AxialRotations(), 1, ["q[0, 1]·q[0, 1]", "q[2]"]),
        (nx.Translations(3), 1, []),
        (nx.SpecialLinear(2), 1, []),
    ],
)
def test_closed_forms_are_those_of_positions(group, points, names):
    features = group.configuration_features(points)
    assert list(nx.feature_names(features)) == names
    assert features(np.ones((points, group.space))).shape == (len(names),)


def test_determinants_can_be_left_out():
    assert ROTATIONS.configuration_features(3).num_features == 7
    assert ROTATIONS.configuration_features(3, determinants=False).num_features == 6


@pytest.mark.parametrize(
    ("name", "points", "dtype"),
    [
        ("Rotations(3)", 3, np.float64),
        ("Euclidean(2)", 2, np.float32),
        ("Translations(3)", 1, np.float64),
        ("screw", 2, np.float64),
    ],
)
def test_laws_hold(name, points, dtype):
    group = GROUPS[name]()
    features = group.configuration_features(points)
    seen = testing.check_configuration_features(
        features, group, points=points, dtype=dtype, max_examples=24
    )
    assert {"configuration_completeness_law", "smoothness_law"} <= {law.law for law in seen}


def test_positions_of_a_screw_are_those_in_axes_that_turn_with_it():
    features = GROUPS["screw"]().configuration_features(1)
    x, y, z = q = np.array([0.3, -0.7, 1.1])
    carried = [np.cos(z) * x + np.sin(z) * y, np.cos(z) * y - np.sin(z) * x]
    assert nx.feature_names(features) == ("q[0]'", "q[1]'")
    assert np.allclose(features(q[None]), carried, rtol=1e-14)


def test_what_is_no_screw_is_not_taken_for_one():
    with pytest.raises(ValueError, match="coordinates with a period are among them"):
        (GROUPS["screw"]() * nx.Periodic(3)).configuration_features(1)
    frequencies = np.kron(np.diag([1.0, np.sqrt(2)]), [[0.0, -1], [1, 0]])
    with pytest.raises(ValueError, match="have 3 independent .* degree 4 give 2"):
        helpers.Declared([frequencies]).configuration_features(1)


class Products(nx.ConfigurationFeatures):
    """Two of the three products of two positions, and what they are multiplied by is an array."""

    scale: np.ndarray
    num_features: int = 2

    def __call__(self, q):
        return self.scale * jnp.stack([q[0] @ q[0], q[1] @ q[1]])


def broken(fault):
    return lambda q: Products(np.ones(2))(q) + fault(q)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (broken(lambda q: 1e-6 * q[0, 0]), "leaves the value unchanged"),
        (broken(lambda q: jnp.linalg.norm(q[0] - q[1])), "are finite at"),
        (broken(lambda q: 0.0), r"2 of 2 are independent, but 3 are needed \(6 coordinates of the"),
    ],
    ids=["leaning", "a distance", "too few"],
)
def test_broken_features_are_caught(features, message):
    complete = message.startswith("2")
    with pytest.raises(AssertionError, match=message):
        testing.check_configuration_features(
            features, ROTATIONS, points=2, max_examples=16, complete=complete
        )


def test_they_never_train():
    own = Products(np.ones(2))
    assert not any(jax.tree.leaves(nx.trainable((own, ROTATIONS.configuration_features(2)))))
    assert jax.tree.leaves(nx.trainable([jnp.ones(2)])) == [True]  # an array that is none of them


def test_they_are_saved_and_loaded(tmp_path):
    features = helpers.GROUPS["AxialRotations"]().configuration_features(2)
    nx.save(tmp_path / "model.nx", (features, Products(np.ones(2))))
    like = features, Products(np.zeros(2))
    assert eqx.tree_equal(nx.load(tmp_path / "model.nx", like), (features, Products(np.ones(2))))
    other = ROTATIONS.configuration_features(2), Products(np.zeros(2))
    with pytest.raises(ValueError, match=r"parts\[0\] was TensorContractions and is Scalar"):
        nx.load(tmp_path / "model.nx", other)


class Swirl(nx.SymmetryGroup):
    """A vector field that is not affine."""

    @property
    def space(self):
        return 1

    @property
    def dimension(self):
        return 1

    def generators(self, q, t=0.0):
        return jnp.asarray(q)[None] ** 2

    def act(self, coefficients, q, v, t=0.0):
        return q / (1 - coefficients[0] * q), v / (1 - coefficients[0] * q) ** 2

    def invariant_features(self, points):
        raise NotImplementedError


def test_a_group_that_is_not_affine_says_what_to_write():
    with pytest.raises(
        TypeError, match=r"Swirl is no AffineGroup.* noetherax.ConfigurationFeatures"
    ):
        Swirl().configuration_features(2)


def test_what_cannot_be_derived_is_named_with_counts():
    message = r"have 2 independent .*1·3 coordinates of the configuration .* give 0.*AtRest"
    scaling = helpers.Declared([np.eye(3)])
    with pytest.raises(ValueError, match=message):
        scaling.configuration_features(1)
    with pytest.raises(ValueError, match="points must be a positive integer, but it is 0"):
        ROTATIONS.configuration_features(0)
    with pytest.raises(ValueError, match="period.*ConfigurationFeatures of your own"):
        (nx.Rotations(2) * nx.Periodic(2)).configuration_features(1)


def test_features_of_the_state_serve_at_rest():
    """Those that one has written by hand, of a screw, whose invariants are no polynomials."""

    class Alongside(nx.InvariantFeatures):
        num_features: int = 4

        def __call__(self, q, v):
            cosine, sine = jnp.cos(q[0, 2]), jnp.sin(q[0, 2])
            turn = jnp.array([[cosine, sine], [-sine, cosine]])
            return jnp.concatenate([turn @ q[0, :2], turn @ v[0, :2]])

    screw = helpers.Declared([helpers.turn_about([0, 0, 1])], [[0.0, 0, 1]])
    features = nx.AtRest(1, 3, (Alongside(),))
    q = np.random.default_rng(0).normal(size=(1, 3))
    known, _, fields, _ = at(features, screw, np.array([0.7]), q, np.zeros((0, 3, 3)))
    value, slope, _ = (np.asarray(x) for x in known)
    assert np.allclose(value[1], value[0], atol=1e-14)
    assert np.abs(slope[0] @ np.asarray(fields).T).max() <= 1e-14
    assert rank(slope[0]) == 2  # of three coordinates, less the screw


def test_wrong_configurations_are_named():
    features = ROTATIONS.configuration_features(1)
    with pytest.raises(ValueError, match=r"for 1 point\(s\), but q has shape \(2, 3\)"):
        features(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="3 entries on its last axis"):
        features(np.zeros((1, 2)))
