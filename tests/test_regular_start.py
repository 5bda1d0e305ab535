"""The last layer by least squares: a regular ∂²L/∂v² to start from."""

import math
import re
import warnings

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import compiled, equal

import noetherax as nx
from noetherax.training import _candidates, _first_layers, _regular_start

FEATURES = nx.Rotations(3).invariant_features(1)
ACCELERATION = nx.AccelerationLoss()
KEYS = jax.random.split(jax.random.key(0), 8)
SAMPLES = 300
ROUNDING = 1e-8
"""The normal equations square a condition number of some 1e4; the ridge bounds it."""


def observations(dtype=np.float64):
    """An anharmonic oscillator in R³."""
    q, v = 0.5 * np.random.default_rng(0).normal(size=(2, SAMPLES, 1, 3))
    a = -q * (1 + np.sum(q**2, axis=(1, 2), keepdims=True))
    return tuple(x.astype(dtype) for x in (q, v, a))


def random_model(key=KEYS[0], dtype="float64"):
    model = nx.NeuralLagrangian(FEATURES, width=32, dtype=jnp.dtype(dtype), key=key)
    return nx.standardise(model, *observations(dtype)[:2])


def with_last_layer(model, weights):
    return eqx.tree_at(lambda m: m.network.layers[-1].weight, model, weights)


def signs(model) -> float:
    """Part of the eigenvalues of ∂²L/∂v² over the data that is negative."""
    terms = nx.euler_lagrange_terms(model, *observations()[:2])
    return float(np.mean(np.linalg.eigvalsh(terms.mass_matrix) < 0))


def test_the_mass_matrix_has_one_sign_where_random_weights_give_both():
    models = [random_model(key) for key in KEYS]
    before = [signs(model) for model in models]
    after = [signs(nx.regular_start(model, *observations())) for model in models]
    assert max(after) == 0
    assert sum(0 < part < 1 for part in before) >= 4  # the control: these have a wall in the data


def test_every_seed_trains_where_random_weights_lose_some():
    """At a gentle rate, so that the processor does not decide: what a wall costs."""
    data = observations()
    options = dict(
        steps=300, optimizer=helpers.clipped(optax.adam(1e-3)), keys=KEYS, progress=False
    )

    def losses(models):
        models, _ = nx.fit_ensemble(models, data, **options)
        return np.array(compiled(eqx.filter_vmap(lambda model: ACCELERATION(model, data)), models))

    make = eqx.filter_vmap(lambda key: nx.NeuralLagrangian(FEATURES, width=32, key=key))
    fresh = compiled(make, KEYS)
    assert not np.any(fresh.standardisation.fitted)  # so that fit prepares them
    scale = np.mean(np.square(data[2]))
    assert np.max(losses(fresh)) < 0.01 * scale  # 8e-4 over sixteen keys
    # The control: the same models with their random last layers.
    random = helpers.stacked([random_model(key) for key in KEYS])
    with pytest.warns(UserWarning, match=r"Member \d: ") as told:
        assert np.sum(losses(random) > 0.01 * scale) >= 1
    walls = re.compile(r"worse than none: .*another signature")
    assert any(walls.search(str(warning.message)) for warning in told)


def test_the_layer_solves_the_normal_equations():
    """Against an assembly by the generic rule, unit by unit."""
    model, (q, v, a) = random_model(), observations()
    given = np.asarray(model.network.layers[-1].weight)[0]
    columns, traces = [], []
    for unit in np.eye(len(given)):
        lagrangian = with_last_layer(model, jnp.asarray(unit[None]))
        mass_matrix, force = compiled(nx.dynamics.autodiff_terms, lagrangian, q, v)
        columns.append((np.einsum("sij,sj->si", mass_matrix, a[:, 0]) - force).reshape(-1))
        traces.append(np.mean(np.trace(mass_matrix, axis1=1, axis2=2)))
    columns, traces = np.stack(columns, axis=1), np.stack(traces)
    gram = columns.T @ columns
    gram += _regular_start.RIDGE * np.trace(gram) / len(given) * np.eye(len(given))
    found = np.asarray(nx.regular_start(model, q, v, a).network.layers[-1].weight)[0]
    direction = gram @ found
    direction, expected = (x / np.linalg.norm(x) for x in (direction, traces))
    np.testing.assert_allclose(direction, expected, atol=ROUNDING)
    np.testing.assert_allclose(np.linalg.norm(found), np.linalg.norm(given), rtol=1e-12)
    assert np.linalg.norm(gram @ given / np.linalg.norm(gram @ given) - expected) > 0.1


@pytest.mark.parametrize("width", [3, 8], ids=["by weights", "by equations"])
def test_the_equations_are_linear_in_the_layer_however_they_are_differentiated(width):
    """Of three coordinates a sample has four equations."""
    q, v, a = (x[:7] for x in observations())
    model = nx.NeuralLagrangian(FEATURES, width=width, key=KEYS[0])
    model = nx.standardise(model, q, v)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (7, 3))
    parts = compiled(_candidates._linear_parts, model, q, v, a, None, None, signs)
    _, rest, columns = (np.asarray(x) for x in parts)
    weights = np.linspace(-1.0, 2.0, width)
    other = with_last_layer(model, jnp.asarray(weights)[None])
    terms = nx.euler_lagrange_terms(other, q, v)
    residual = np.einsum("sij,sj->si", terms.mass_matrix, a[:, 0]) - terms.force
    inertia = np.einsum("sij,sj->si", terms.mass_matrix, signs)
    trace = np.trace(terms.mass_matrix, axis1=1, axis2=2)[:, None]
    found = rest + columns @ weights
    bound = 1e-12 * np.max(np.abs(found))  # sums of a few hundred terms
    expected = np.concatenate([residual, inertia, trace], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_a_model_may_hold_the_times_of_all_samples():
    model = nx.Forced(random_model(), lambda q, v, t: jnp.sin(t) * jnp.ones_like(q))
    q, v, a = (x[:40] for x in observations())
    t = np.linspace(0.0, 2.0, 40)
    given = nx.regular_start(model, q, v, a, t)
    held = nx.regular_start(nx.at_time(model, t), q, v, a)
    one, other = (
        np.asarray(x.network.layers[-1].weight) for x in (given.lagrangian, held.model.lagrangian)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)  # what rounding makes of the normal equations
    assert not equal(one, model.lagrangian.network.layers[-1].weight)


class Exponential(nx.Lagrangian):
    """Not linear in the last layer."""

    lagrangian: nx.NeuralLagrangian

    def __call__(self, q, v):
        return jnp.exp(1e-2 * self.lagrangian(q, v))


def test_only_linear_models_are_changed():
    model, data = random_model(), observations()
    turns = nx.AveragedLagrangian(model, matrices=np.array([np.eye(3), -np.eye(3)]))
    assert not equal(nx.regular_start(turns, *data), turns)
    known = helpers.HarmonicOscillator(stiffness=1.0)
    wide = nx.NeuralLagrangian(FEATURES, width=256, key=KEYS[0])
    sums = [nx.LagrangianSum(part, known) for part in (model, nx.standardise(wide, *data[:2]))]
    for other in (Exponential(model), *sums, known):
        assert equal(nx.regular_start(other, *data), other)
    # Nor where the known law alone obeys the data: it adds no residual, but a trace.
    own = (*data[:2], -data[0])
    assert equal(nx.regular_start(sums[0], *own), sums[0])


def test_float32_stays_and_only_the_last_layer_changes():
    model = random_model(dtype="float32")
    found = nx.regular_start(model, *observations(np.float32))
    assert found.network.layers[-1].weight.dtype == jnp.float32
    assert not equal(found, model)
    assert equal(with_last_layer(found, model.network.layers[-1].weight), model)
    terms = nx.euler_lagrange_terms(found, *observations(np.float32)[:2])
    assert np.all(np.linalg.eigvalsh(terms.mass_matrix) > 0)


def test_a_better_model_is_kept():
    data, model = observations(), random_model()
    start = nx.regular_start(model, *data)
    options = dict(
        steps=300, optimizer=helpers.clipped(optax.adam(1e-3)), key=KEYS[0], progress=False
    )
    trained, _ = nx.fit(start, data, **options)
    # Least squares on the trained layers below would lose what the last one has learned.
    assert ACCELERATION(trained, data) < 0.5 * ACCELERATION(start, data)
    assert equal(nx.regular_start(trained, *data), trained)


def test_fit_gives_a_start_to_what_is_new_alone():
    data, fresh = observations(), nx.NeuralLagrangian(FEATURES, width=32, key=KEYS[0])
    nothing = dict(steps=1, optimizer=optax.sgd(0.0), key=KEYS[0], progress=False)

    def last(model):
        return model.network.layers[-1].weight

    def fitted(model, **options):
        return nx.fit(model, data, **nothing | options)[0]

    started = nx.regular_start(nx.standardise(fresh, *data[:2], bend=None), *data)
    relative = nx.RelativeAccelerationLoss(1.0)
    for options in ({}, {"loss": relative}):
        np.testing.assert_allclose(last(fitted(fresh, **options)), last(started), rtol=1e-6)
    for model, options in (
        (random_model(), {}),
        (fresh, {"mask": nx.trainable(fresh)}),
        (fresh, {"loss": lambda model, batch: ACCELERATION(model, batch)}),
    ):
        assert np.array_equal(last(fitted(model, **options)), last(model))
    beside = fitted(nx.LagrangianSum(random_model(), fresh))
    assert all(np.array_equal(last(term), last(fresh)) for term in beside.terms)


def test_degenerate_data_leave_the_model_or_give_a_finite_one():
    q, v, a = observations()
    free = nx.Translations(3).invariant_features(1)  # v alone, and no force: every residual is zero
    for features, data in ((free, (q, v, 0 * a)), (FEATURES, (q[:1], v[:1], a[:1]))):
        model = nx.standardise(nx.NeuralLagrangian(features, width=8, key=KEYS[0]), q, v)
        found = nx.regular_start(model, *data)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(eqx.filter(found, eqx.is_array)))


class PositionsAlone(nx.InvariantFeatures):
    num_features: int = 1

    def __call__(self, q, v):
        return jnp.sum(q * q)[None]


def test_features_without_velocities_are_left_alone():
    model = nx.NeuralLagrangian(PositionsAlone(), width=8, key=KEYS[0])
    model = nx.standardise(model, *observations()[:2])
    assert equal(nx.regular_start(model, *observations()), model)


def test_bad_observations_are_named():
    (q, v, a), model = observations(), random_model()
    with pytest.raises(ValueError, match="a is not finite in 1 of 300 samples"):
        nx.regular_start(model, q, v, np.where(np.arange(SAMPLES)[:, None, None], a, np.nan))
    with pytest.raises(TypeError, match="is traced by JAX, .* Call it outside of jax.jit"):
        jax.jit(lambda a: nx.regular_start(model, q, v, a))(a)
    # In these tests the types of arguments are checked before that.
    with pytest.raises(
        TypeError, match="first_layer must be True or False|parameter 'first_layer'"
    ):
        nx.prepare(model, (q, v, a), first_layer="x")


def lennard_jones(samples: int):
    """A particle about a fixed one, at 0.95 to 3 times the length of its potential."""
    rng = np.random.default_rng(0)
    radius = rng.uniform(0.95, 3.0, (samples, 1, 1))
    direction, v = rng.normal(size=(2, samples, 1, 3))
    q = radius * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    return q, v, q * (48 * radius**-14 - 24 * radius**-8)


def test_features_are_bent_where_that_starts_nearer_to_the_accelerations():
    """Kepler's family needs the inverse root of q·q; to an anharmonic oscillator it does harm."""
    nothing = dict(steps=1, optimizer=optax.sgd(0.0), key=KEYS[0], progress=False)
    q, v = np.random.default_rng(0).normal(size=(2, 512, 1, 3))
    oscillator = q, v, -q * (1 + 0.3 * np.sum(q**2, axis=(1, 2), keepdims=True))
    family = nx.systems.Orbits(nx.systems.Kepler(), math.inf).sampler(512)
    family = compiled(family, KEYS[1])
    for data, count, how in ((oscillator, 0, ""), (family, 1, " (inverse)")):
        fresh = nx.NeuralLagrangian(FEATURES, width=32, key=KEYS[0])
        fitted, history = nx.fit(fresh, data, **nothing)
        words = f"{count or 'none'} of 3 features bent{how} (part missed by trials: without "
        assert history.preparation.startswith(words)
        assert history.preparation.endswith("last layer by least squares")
        rule = nx.standardise(fresh, *data[:2])
        bends = (np.asarray(model.standardisation.bends) for model in (rule, fitted))
        # What the span alone would say, and what was chosen.
        assert [np.sum(x > 0) for x in bends] == [1, count]


def test_the_choice_of_bends_does_not_depend_on_the_network():
    """One of eight units cannot follow the forces, with bends or without; its features could."""
    told = []
    for width, key in ((8, KEYS[0]), (64, KEYS[1])):
        model = nx.NeuralLagrangian(FEATURES, width=width, key=key)
        told.append(nx.prepare(model, lennard_jones(2048), first_layer=False)[1])
        assert told[-1].startswith("1 of 3 features bent (inverse)")
    assert told[0] == told[1]


@pytest.mark.parametrize("unit", [1.0, 1e-10, 1e10])
def test_friction_to_be_learned_does_not_decide_on_bends(unit):
    """Nor does the unit, in float32, where forces once left the range of numbers."""
    group = nx.Rotations(3)
    q, v = np.random.default_rng(0).normal(size=(2, 1024, 1, 3))
    data = [(unit * x).astype(np.float32) for x in (q, v, -q - 0.2 * v)]
    options: dict = dict(width=32, dtype=jnp.float32)
    law = nx.NeuralLagrangian(FEATURES, **options, key=KEYS[0])
    friction = nx.Friction(group.configuration_features(1), **options, key=KEYS[1])
    _, told = nx.prepare(nx.Forced(law, friction), data)
    assert told.startswith("none of 3 features bent; none of 1 features bent")
    assert "last layer by least squares" in told


def test_a_force_out_of_range_leaves_the_last_layer_as_it_was():
    class Singular(nx.Force):
        def __call__(self, q, v):
            return q / 0.0

    model = nx.Forced(random_model(), Singular())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert equal(nx.regular_start(model, *observations()), model)


def test_a_few_close_encounters_do_not_decide(monkeypatch):
    """Of bodies that attract each other they have most of the mean square."""
    masses = np.array([1.0, 2.0, 3.0])
    q, v = np.random.default_rng(0).normal(size=(2, 512, 3, 3))
    apart = q[:, None] - q[:, :, None]
    distance = np.linalg.norm(apart, axis=-1) + np.eye(3)
    a = np.einsum("j,sijk->sik", masses, apart / distance[..., None] ** 3)
    model = nx.NeuralLagrangian(nx.Euclidean(3).invariant_features(3), width=128, key=KEYS[0])

    def errors(start):
        at = jax.vmap(lambda start, q, v: nx.acceleration(start, q, v, throw=False), (None, 0, 0))
        found = compiled(at, start, q, v)
        return np.linalg.norm(found - a, axis=(1, 2)) / np.linalg.norm(a, axis=(1, 2))

    start, told = nx.prepare(model, (q, v, a))
    assert told.startswith("3 of 15 features bent (inverse)")
    assert np.median(errors(start)) < 0.5
    plain = nx.standardise(model, q, v, bend=None)
    # By least squares alone: near the identity both would be less far off.
    monkeypatch.setattr(_candidates, "near_the_identity", lambda *equations: iter(()))
    relative = np.median(errors(nx.regular_start(plain, q, v, a)))
    monkeypatch.setattr(_candidates, "relative_floor", lambda squares: None)
    assert relative < 0.5 * np.median(errors(nx.regular_start(plain, q, v, a)))


def test_a_sum_of_systems_that_do_not_act_on_each_other_is_regular(monkeypatch):
    """An oscillator with another frequency along its axis: of many Lagrangians some are singular."""
    q, v = np.random.default_rng(0).normal(size=(2, 512, 1, 3))
    data = q, v, -q * np.array([1.0, 1.0, 4.0])
    features = nx.AxialRotations().invariant_features(1)

    def mass_matrices(key):
        model = nx.NeuralLagrangian(features, key=key)
        start = nx.regular_start(nx.standardise(model, q, v, bend=None), *data)
        return nx.euler_lagrange_terms(start, q, v).mass_matrix

    def singular():
        """Part of the states with another signature than the rest, for three networks."""
        negative = [np.sum(np.linalg.eigvalsh(mass_matrices(key)) < 0, axis=1) for key in KEYS[:3]]
        return [np.mean(count != np.bincount(count).argmax()) for count in negative]

    assert max(singular()) < 0.01
    monkeypatch.setattr(_candidates, "near_the_identity", lambda *equations: iter(()))
    assert max(singular()) > 0.05  # the control: least squares alone


def test_first_layers_are_spread_where_those_drawn_see_too_little():
    """Of a double well; an oscillator needs no kinks. What is tried is judged by other states."""
    features = nx.Trivial(1).invariant_features(1)
    q, v = np.random.default_rng(0).uniform(-1.8, 1.8, size=(2, 1024, 1, 1))
    other = np.random.default_rng(1).uniform(-1.8, 1.8, size=(2, 256, 1, 1))
    for law, changed in ((lambda q: q - q**3, True), (lambda q: -q, False)):
        data = q, v, law(q)
        fresh = nx.NeuralLagrangian(features, key=KEYS[0])
        start, told = nx.prepare(fresh, data)
        plain, words = nx.prepare(fresh, data, first_layer=False)
        assert words == "none of 2 features bent; last layer by least squares"
        assert told.startswith(words)
        assert (words + "; first layer " in told) == changed
        assert (not equal(start.network.layers[0], plain.network.layers[0])) == changed
        states = (*other, law(other[0]))
        missed = [_regular_start.part_missed(x, states) for x in (start, plain)]
        assert missed[0] < 0.5 * missed[1] if changed else missed[0] == missed[1] < 0.1


def test_networks_with_spread_first_layers_stay_apart():
    features = nx.Trivial(1).invariant_features(1)
    models = [nx.NeuralLagrangian(features, width=64, key=key) for key in KEYS[:2]]
    one, other = (_first_layers.spread(x, 0.5, 1.0).network.layers[0] for x in models)
    for layer in (one, other):
        assert np.std(np.asarray(layer.weight)) == pytest.approx(0.5, rel=0.1)
    assert np.corrcoef(one.bias, other.bias)[0, 1] < 0.5
    assert not np.any(models[0].network.layers[0].bias)  # the control


def test_a_linear_part_finds_what_is_linear_in_features():
    """An oscillator in a magnetic field: v·v, q·q and q ∧ v, by least squares."""
    features = nx.Rotations(2).invariant_features(1)
    q, v = np.random.default_rng(0).normal(size=(2, 256, 1, 2))
    a = -q + 1.4 * v[..., ::-1] * np.array([1.0, -1.0])
    data = nx.Observations(*(jnp.asarray(x) for x in (q, v, a)))
    network = nx.NeuralLagrangian(features, width=16, key=KEYS[0])
    both = nx.LagrangianSum(network, nx.LinearLagrangian(features, key=KEYS[1]))
    loss = nx.AccelerationLoss()
    starts = [float(compiled(loss, nx.prepare(x, data)[0], data)) for x in (network, both)]
    assert starts[1] < 1e-2 * starts[0]
