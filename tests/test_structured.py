"""Neural Lagrangians whose kinetic energy is a part of its own; and what takes its units from data."""

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled, equal

import noetherax as nx
from noetherax import testing
from noetherax.features import ConfigurationFeatures, standardisation_of, standardised_part
from noetherax.lagrangians._masses import Masses

KINDS = [nx.NeuralSeparableLagrangian, nx.NeuralMechanicalLagrangian]
MATRIX = ((2.0, 0.5), (0.5, 1.0))


def random_weights(model, seed: int, size: float = 3.0):
    """All that trains, normal with a large deviation."""
    random = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x, chosen: jnp.asarray(size * random.normal(size=x.shape), x.dtype) if chosen else x,
        model,
        nx.trainable(model),
    )


def oscillators(lengths=1.0, times=1.0, dtype=np.float64):
    """States of two masses, 1 and 3, bound to the origin and to each other by anharmonic springs."""
    q, v = np.random.default_rng(0).normal(size=(2, 64, 2, 1))
    force = -q - q**3 - 2 * (q - q[:, ::-1])
    a = force / np.array([[1.0], [3.0]])
    return tuple((x * lengths / times**k).astype(dtype) for k, x in enumerate((q, v, a)))


class Area(ConfigurationFeatures):
    num_features = 1

    def __call__(self, q):
        return jnp.prod(q, axis=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_changes_lengths_does_not_keep_the_kinetic_energy(kind):
    """The features are invariant, and so is all that is made of them; |v|² is not."""
    q, v = np.random.default_rng(0).normal(size=(2, 16, 1, 2))
    lagrangian = nx.standardise(kind(Area(), 8, key=jax.random.key(0)), q, v)
    squeeze = helpers.Declared([np.diag([1.0, -1])])
    subject = testing.Lagrangian(lagrangian, squeeze, points=1)
    (invariance,) = (law for law in testing.laws(subject) if law.__name__ == "invariance_law")
    with pytest.raises(AssertionError, match="leaves the value unchanged"):
        invariance(subject)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_mass_matrix_is_positive_definite_for_any_weights(dtype):
    q, v = np.random.default_rng(1).normal(size=(2, 64, 2, 1)).astype(dtype)
    model = helpers.structured(
        nx.NeuralMechanicalLagrangian, helpers.Places(2), 1, dtype=dtype, train_masses=False
    )

    @eqx.filter_jit
    def least(model):
        matrix = nx.euler_lagrange_terms(model, q, v).mass_matrix
        return matrix, jnp.linalg.eigvalsh(matrix.astype(float)).min(), model(q[0], v[0])

    different = []
    for seed in range(8):
        matrix, smallest, value = least(random_weights(model, seed))
        # diag(1, 3) is a lower bound, but for the rounding of large entries.
        assert smallest > 1 - 8 * float(jnp.finfo(dtype).eps) * float(np.max(np.abs(matrix)))
        assert matrix.dtype == value.dtype == dtype
        different.append(float(np.ptp(np.asarray(matrix)[:, 0, 1])))
    assert min(different) > 0  # it depends on q


@pytest.mark.parametrize("kind", KINDS)
def test_units_change_nothing_but_units(kind):
    """Powers of two, whose products are exact, in single precision. Masses are given, which leaves
    nothing of L free: the potential has the scale of the forces."""
    errors = []
    for lengths, times, masses in ((1, 1, 1), (2.0**-32, 2.0**-20, 1), (2.0**34, 2.0**34, 2.0**20)):
        key, masses = jax.random.key(0), (masses, 3 * masses)
        model = kind(
            helpers.Places(2), 8, masses=masses, train_masses=False, dtype=jnp.float32, key=key
        )
        data = oscillators(lengths, times, np.float32)
        ready, words = nx.prepare(model, data)
        assert words.startswith("none of 2 features bent; last layer by least squares")
        found = compiled(nx.acceleration, ready, *data[:2])
        assert found.dtype == np.float32
        unit = np.float32(lengths / times**2)
        errors.append((np.asarray(found) - data[2]) / unit)
        assert np.linalg.norm(errors[-1]) < 0.6 * np.linalg.norm(data[2] / unit)
        assert np.array_equal(errors[-1], errors[0])


def test_data_at_rest_or_out_of_range():
    q, v, _ = oscillators()
    model = nx.NeuralMechanicalLagrangian(helpers.Places(2), 8, key=jax.random.key(0))
    still = nx.standardise(model, q, 0 * v)
    assert (still.energy_unit.value, still.rate_unit.value) == (1, 1)
    moving = nx.standardise(model, q, v)
    assert np.isclose(moving.energy_unit.value, 128 / 64, rtol=0.5)
    assert equal(nx.standardise(moving, 2 * q, 2 * v), moving)  # once
    small = nx.NeuralSeparableLagrangian(
        helpers.Places(2), 8, masses=1e-30, dtype=jnp.float32, key=jax.random.key(0)
    )
    states = (x.astype(np.float32) * np.float32(1e-8) for x in (q, v))
    with pytest.raises(ValueError, match="unit of energy that the data give, .*e-46, is outside"):
        nx.standardise(small, *states)


def test_masses_train_and_stay_positive():
    for given in (2.0, (1.0, 3.0), MATRIX):
        masses = Masses(given, True, jnp.float64)
        assert np.allclose(masses(), given, rtol=1e-15)
        for seed in range(3):
            moved = np.asarray(random_weights(masses, seed)())
            assert np.all(
                np.linalg.eigvalsh(moved if moved.ndim == 2 else np.diag([*moved.flat])) > 0
            )
        assert hash(Masses(given, False, jnp.float64)) is not None  # constants are static
    model = nx.NeuralSeparableLagrangian(
        helpers.Places(2), 8, masses=(1.0, 1.0), train_masses=True, key=jax.random.key(0)
    )
    trained, _ = nx.fit(model, oscillators(), steps=600, key=jax.random.key(1), progress=False)
    light, heavy = trained.inertia()
    assert abs(heavy / light - 3) < 0.3
    untrained = nx.NeuralSeparableLagrangian(helpers.Places(2), 8, key=jax.random.key(0))
    assert len(jax.tree.leaves(eqx.filter(untrained, nx.trainable(untrained)))) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_back_the_model(kind, tmp_path):
    model = helpers.structured(kind, helpers.Places(2), 1, masses=MATRIX, train_masses=True)
    like = kind(
        helpers.Places(2),
        8,
        masses=MATRIX,
        train_masses=True,
        dtype=jnp.float64,
        key=jax.random.key(5),
    )
    nx.save(tmp_path / "model.nx", model)
    assert equal(nx.load(tmp_path / "model.nx", like), model)


@pytest.mark.parametrize(
    ("masses", "error", "message"),
    [
        (-1.0, ValueError, "masses must be positive"),
        ((1.0, 0.0), ValueError, "masses must be positive"),
        (np.inf, ValueError, "masses must be positive"),
        ("heavy", TypeError, "masses must be a number or numbers, but they are 'heavy'"),
        (
            ((1.0, 2.0), (2.0, 1.0)),
            ValueError,
            "must be positive definite, .* least eigenvalue is -1",
        ),
        (((1.0, 2.0), (0.0, 1.0)), ValueError, "must be symmetric, but it differs .* by 2"),
        (((1.0, 2.0),), ValueError, "must be square"),
    ],
)
def test_masses_that_are_none(masses, error, message):
    for kind in KINDS:
        with pytest.raises(error, match=message):
            kind(helpers.Places(2), 8, masses=masses, key=jax.random.key(0))


def test_features_that_are_of_another_kind():
    key = jax.random.key(0)
    for kind in KINDS:
        with pytest.raises(ValueError, match="at least one feature"):
            kind(helpers.Places(0), 8, key=key)
        with pytest.raises(TypeError, match="ConfigurationFeatures"):
            kind(nx.Trivial(1).invariant_features(2), 8, key=key)
        with pytest.raises(TypeError, match="train_masses"):
            kind(helpers.Places(2), 8, train_masses="yes", key=key)
    with pytest.raises(TypeError, match="InvariantFeatures"):
        nx.NeuralLagrangian(helpers.Places(2), 8, key=key)


class Spring(nx.Lagrangian):
    """A type of a user's, with a standardisation and no network."""

    features: nx.InvariantFeatures
    standardisation: nx.Standardisation
    stiffness: jax.Array

    def __call__(self, q, v):
        x = self.standardisation(self.features(q, v))
        return jnp.sum(v**2) / 2 - self.stiffness * jnp.sum(x**2)


def test_a_type_of_ones_own_takes_its_standardisation_from_data():
    features = nx.Trivial(1).invariant_features(2)
    spring = Spring(features, nx.Standardisation.identity(4, jnp.float64), jnp.array(1.0))
    q, v, _ = oscillators()
    assert equal(nx.standardise(spring, q, v), spring)
    standardisation_of.register(Spring)(lambda part: part.standardisation)
    with pytest.raises(TypeError, match="Spring has a standardisation, but does not say how"):
        nx.standardise(spring, q, v)

    @standardised_part.register
    def _(part: Spring, q, v, bend):
        fitted = nx.Standardisation.fit(part.features, q, v, bend=bend)
        return eqx.tree_at(lambda x: x.standardisation, part, fitted)

    fitted = nx.standardise((spring, "anything"), q, v)[0]
    assert fitted.standardisation.fitted
    assert np.isclose(fitted.standardisation.centre[0], np.median(q[:, 0]))


def test_the_matrix_along_orbits_is_that_of_the_masses():
    """Where the features stay, so does the kinetic energy of the masses alone."""
    model = helpers.structured(nx.NeuralMechanicalLagrangian, helpers.Separation(), 1)
    q, v = np.array([[0.3], [1.1]]), np.zeros((2, 1))
    matrix = eqx.filter_jit(nx.euler_lagrange_terms)(model, q, v).mass_matrix
    assert np.allclose(np.sum(matrix, axis=1), [1.0, 3.0])
    assert not np.allclose(matrix, np.diag([1.0, 3.0]))
