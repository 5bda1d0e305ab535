import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import clipped, compiled, equal

import noetherax as nx
from noetherax.training import _checks
from noetherax.training._plan import Member
from noetherax.training._scale import Scale
from noetherax.training._verdict import verdicts

ACCELERATION = nx.AccelerationLoss()
KEY = jax.random.key(0)
SMALL = dict(progress=False, key=KEY)
GENTLE = clipped(optax.adam(1e-3))
ADAM = clipped(optax.adam(1e-2))  # compiles in a third of the time that the default takes
SAMPLER = nx.systems.Kepler().sampler(batch_size=64, noise=0.0)


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


def model(**options):
    features = nx.Rotations(3).invariant_features(1)
    options = {"width": 16, "dtype": jnp.float64} | options
    return nx.NeuralLagrangian(features, key=KEY, **options)


def observations(samples=256, seed=0):
    q, v = np.random.default_rng(seed).normal(size=(2, samples, 1, 3))
    return q, v, -2 * q


def test_training_from_arrays_lowers_the_error():
    data = observations()
    trained, history = nx.fit(model(), data, steps=400, **SMALL)
    before = ACCELERATION(nx.standardise(model(), *data[:2]), data)
    after = ACCELERATION(trained, data)
    assert after < 0.1 * before
    assert history.loss.shape == (400,)
    assert history.skipped == 0
    assert not history.interrupted


class Weight(eqx.Module):
    w: jax.Array


def two_valleys(model, batch):
    return jnp.square(jnp.square(model.w) - 1)


@pytest.mark.parametrize(("factor", "returned"), [(-2.0, "last"), (-1e-3, "average")])
def test_an_average_that_is_worse_is_not_returned(factor, returned):
    """Each step leads from one valley to the other, and the average lies on the hill between them."""
    step = optax.stateless(lambda _, w: jax.tree.map(lambda x: factor * x, w))
    options = dict(optimizer=step, preparation=False, steps=100, averaging=0.1, **SMALL)
    start = Weight(jnp.array(1.0 if returned == "last" else 2.0))
    trained, history = nx.fit(start, observations(), loss=two_valleys, **options)
    last = start.w * (1 + factor) ** 100
    assert bool(np.isclose(trained.w, last, rtol=1e-12)) == (returned == "last")
    assert np.isclose(history.returned_loss, two_valleys(trained, None), rtol=1e-12, atol=1e-12)


def test_what_is_explained_is_of_what_is_returned():
    data = observations(64)  # no more than a batch: all of them, at every step
    trained, history = nx.fit(model(), data, steps=100, optimizer=ADAM, **SMALL)
    assert np.isclose(history.returned_loss, ACCELERATION(trained, data), rtol=1e-9)
    assert np.isclose(history.explained, 1 - history.returned_loss / history.without_force)
    assert history.returned_loss != history.recent_loss


def test_the_same_settings_compile_once():
    seen = []
    observe = jax.monitoring.register_event_duration_secs_listener
    observe(lambda event, *_, **__: seen.append(event) if "backend_compile" in event else None)
    try:
        for steps, seed, again in ((20, 0, False), (20, 1, True), (30, 1, False)):
            seen.clear()
            fresh = nx.NeuralLagrangian(
                nx.Rotations(3).invariant_features(1), width=16, dtype=jnp.float64,
                key=jax.random.key(seed),
            )  # fmt: skip
            optimizer = optax.adam(optax.linear_schedule(1e-3, 0.0, steps))
            data = observations(seed=seed)
            nx.fit(fresh, data, steps=steps, optimizer=optimizer, progress=False, key=KEY)
            assert (len(seen) == 0) == again  # the schedule depends on the number of steps
    finally:
        jax.monitoring.clear_event_listeners()


def test_training_from_a_sampler():
    _, history = nx.fit(model(), SAMPLER, steps=300, optimizer=ADAM, **SMALL)
    assert np.median(history.loss[-50:]) < 0.1 * np.median(history.loss[:50])


def test_the_same_key_gives_the_same_weights():
    first, _ = nx.fit(model(), observations(), steps=30, optimizer=ADAM, **SMALL)
    second, _ = nx.fit(model(), observations(), steps=30, optimizer=ADAM, **SMALL)
    assert equal(first, second)


def test_the_model_given_is_not_changed():
    given = model()
    copy = jax.tree.map(lambda x: x, given)
    nx.fit(given, observations(), steps=5, optimizer=ADAM, **SMALL)
    assert equal(given, copy)


class HeldAsArray(nx.InvariantFeatures):
    """Features with an array field, which `eqx.is_inexact_array` takes for a parameter."""

    matrix: np.ndarray
    num_features: int = 3

    def __call__(self, q, v):
        x = jnp.concatenate([q, v])
        products = x @ self.matrix @ x.T
        return jnp.stack([products[0, 0], products[0, 1], products[1, 1]])


def test_only_network_weights_train():
    """With weight decay every array the optimiser can reach would shrink."""
    lagrangian = nx.NeuralLagrangian(HeldAsArray(np.eye(3)), width=16, key=KEY, dtype=jnp.float64)
    optimizer = clipped(optax.adamw(1e-3, weight_decay=0.1))
    once, _ = nx.fit(lagrangian, observations(), steps=20, optimizer=optimizer, **SMALL)
    assert np.array_equal(once.features.matrix, np.eye(3))
    assert not np.array_equal(once.network.layers[0].weight, lagrangian.network.layers[0].weight)
    assert once.standardisation.fitted
    # Other data: the standardisation stays as it was fitted the first time.
    other = tuple(3 * x for x in observations(seed=1))
    twice, _ = nx.fit(once, other, steps=20, optimizer=optimizer, **SMALL)
    assert equal(twice.standardisation, once.standardisation)
    # Negative control: a mask of all arrays moves the features too.
    mask = jax.tree.map(eqx.is_inexact_array, lagrangian)
    moved, _ = nx.fit(lagrangian, observations(), steps=20, optimizer=optimizer, mask=mask, **SMALL)
    assert not np.array_equal(moved.features.matrix, np.eye(3))


def test_parameters_of_analytic_lagrangians_train():
    spring = Spring(jnp.array(1.0))
    trained, _ = nx.fit(
        spring, observations(), steps=300, optimizer=clipped(optax.adam(0.02)), **SMALL
    )
    assert np.isclose(trained.stiffness, 2.0, atol=1e-2)


def test_updates_that_are_not_finite_are_left_out_and_counted():
    def sampler(key):
        # One batch in eight or so holds a state at which the acceleration is not finite.
        q, v, a = (jax.random.normal(k, (8, 1, 3)) for k in jax.random.split(key, 3))
        broken = jax.random.bernoulli(jax.random.fold_in(key, 7), 0.12)
        return q, v, jnp.where(broken & (jnp.arange(8) == 0)[:, None, None], jnp.inf, a)

    # The accelerations are noise, too: there is nothing to learn.
    left_out = pytest.warns(UserWarning, match=r"\d+ of 100 updates were left out.*Is the loss")
    with pytest.warns(UserWarning, match="worse than none: .* without any force 1"), left_out:
        trained, history = nx.fit(
            nx.standardise(model(), *observations()[:2]),
            sampler,
            steps=100,
            optimizer=ADAM,
            preparation=False,
            **SMALL,
        )
    assert 2 <= history.skipped <= 40
    assert history.skipped == np.sum(~np.isfinite(history.loss))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(eqx.filter(trained, eqx.is_array)))


def test_a_lagrangian_that_determines_no_motion_is_diagnosed():
    class Linear(nx.Lagrangian):
        weight: jax.Array

        def __call__(self, q, v):
            return self.weight * jnp.sum(q * v)

    with pytest.raises(RuntimeError, match="None of the first 10 updates was finite"):
        nx.fit(Linear(jnp.array(1.0)), observations(), steps=10, optimizer=ADAM, **SMALL)


def test_any_loss_of_any_batch():
    def loss(lagrangian, batch):
        force = jax.vmap(lambda q: lagrangian(q, jnp.zeros_like(q)))(batch["positions"])
        return jnp.mean((force - batch["target"]) ** 2)

    def sampler(key):
        q = jax.random.normal(key, (32, 1, 3))
        return {"positions": q, "target": jnp.sum(q**2, axis=(1, 2))}

    lagrangian = nx.standardise(model(), *observations()[:2])
    _, history = nx.fit(lagrangian, sampler, steps=200, loss=loss, optimizer=ADAM, **SMALL)
    assert np.mean(history.loss[-20:]) < 0.1 * np.mean(history.loss[:20])
    with pytest.raises(TypeError, match="call noetherax.standardise"):
        nx.fit(model(), sampler, steps=2, loss=loss, **SMALL)


def nan_at(array, index):
    array = array.copy()
    array[index] = np.nan
    return array


Q, V, A = observations(16)
MISTAKES = {
    "nan": ((Q, nan_at(V, (3, 0, 1)), A), ValueError, r"v is not finite in 1 of 16 .*\(3, 0, 1\)"),
    "two arrays": ((Q, V), TypeError, r"\(q, v, a\)"),
    "no points axis": ((Q[:, 0], V[:, 0], A[:, 0]), ValueError, r"q\[:, None, :\]"),
    "shapes": ((Q, V, A[:5]), ValueError, "same shape"),
    "empty": ((Q[:0], V[:0], A[:0]), ValueError, "empty"),
    "integers": ((Q.astype(int), V, A), TypeError, "q must hold floating-point"),
    "precision": (tuple(x.astype(np.float32) for x in (Q, V, A)), TypeError, "same precision"),
    "space": (tuple(x[..., :2] for x in (Q, V, A)), ValueError, "3 entries on its last axis"),
    "points": (
        tuple(np.concatenate([x, x], axis=1) for x in (Q, V, A)),
        ValueError,
        r"for 1 point\(s\)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_data_are_named_before_training(name):
    data, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        nx.fit(model(), data, steps=10, **SMALL)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        nx.fit(model(), observations(), steps=0, **SMALL)
    with pytest.raises(ValueError, match="nothing to train"):
        nx.fit(helpers.HarmonicOscillator(), observations(), steps=1, **SMALL)
    with pytest.raises(ValueError, match="v is not finite"):
        nx.standardise(model(), Q, nan_at(V, (0, 0, 0)))
    with pytest.raises(ValueError, match="empty"):
        nx.fit(model(), lambda key: (jnp.zeros((0, 1, 3)),) * 3, steps=1, **SMALL)
    with pytest.raises(TypeError, match=r"sampler key -> \(q, v, a\)"):
        nx.fit(model(), lambda key: (jnp.ones((4, 1, 3)),) * 2, steps=1, **SMALL)
    for options, error, message in (
        ({"mask": "x"}, TypeError, "PyTree of booleans.*'x'"),
        ({"mask": [True]}, ValueError, "structure of the model"),
        ({"mask": False}, ValueError, "chooses nothing to train"),
    ):
        with pytest.raises(error, match=message):
            nx.fit(model(), observations(), steps=1, **options, **SMALL)
    for name, check, value in (
        ("preparation", _checks.check_flag, "x"),
        ("optimizer", _checks.check_optimizer, optax.adam),
        ("loss", _checks.check_loss, "acceleration"),
    ):
        with pytest.raises(TypeError, match=f"{name} must be"):
            check(*((name, value) if name == "preparation" else (value,)))
    for value in (np.int64(2), np.array(2)):
        assert _checks.check_count("steps", value) == 2
    for dtype in ("float16", "bfloat16"):
        data = tuple(jnp.asarray(x, dtype) for x in observations())
        for weights in (model(), model(dtype=jnp.dtype(dtype))):
            with pytest.raises(TypeError, match=f"float32 or float64, but .* {dtype}"):
                nx.fit(weights, data, steps=1, **SMALL)
    ensemble = helpers.stacked([model(), model()])
    with pytest.raises(ValueError, match="an ensemble of 2 members.*fit_ensemble"):
        nx.fit(ensemble, observations(), steps=1, **SMALL)
    with pytest.raises(ValueError, match="q is not finite"):
        nx.fit(model(), lambda key: (jnp.full((4, 1, 3), jnp.nan),) * 3, steps=1, **SMALL)


def test_a_weak_symmetry_of_the_data_shows_in_unseen_orientations():
    """What a symmetry is for: trained in one plane, the same error in any other."""
    trained, _ = nx.fit(model(), SAMPLER, steps=300, optimizer=ADAM, **SMALL)
    q, v, a = (np.asarray(x) for x in compiled(SAMPLER, jax.random.key(5)))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    tilted = tuple(x @ turn.T for x in (q, v, a))
    assert np.isclose(ACCELERATION(trained, tilted), ACCELERATION(trained, (q, v, a)), rtol=1e-6)
    features = nx.Trivial(3).invariant_features(1)
    plain = nx.NeuralLagrangian(features, width=16, key=KEY, dtype=jnp.float64)
    plain, _ = nx.fit(plain, SAMPLER, steps=300, optimizer=ADAM, **SMALL)
    assert ACCELERATION(plain, tilted) > 3 * ACCELERATION(plain, (q, v, a))


def test_a_hopeless_run_gives_up_and_keeps_its_weights():
    """From some update on none is finite: a count that is not advanced stays where it is."""
    broken = optax.sgd(lambda count: jnp.where(count < 30, 1e-3, jnp.nan))
    start, options = Spring(jnp.array(1.0)), dict(batch_size=8, averaging=0.0, **SMALL)
    with pytest.warns(UserWarning, match=r"gave up at step \d+ of 5000: .*condition number"):
        trained, history = nx.fit(start, observations(), steps=5000, optimizer=broken, **options)
    assert 1000 <= history.skipped == len(history.loss) - 30 < 4000
    whole, _ = nx.fit(start, observations(), steps=30, optimizer=optax.sgd(1e-3), **options)
    assert equal(trained, whole)


def test_the_average_of_the_weights_is_steadier_than_the_last_ones():
    """At a constant rate the weights keep moving with the noise of the batches; their mean does not."""
    q, v, _ = observations(512)
    noise = np.random.default_rng(3).normal(size=q.shape)
    data = (q, v, -2 * q + noise)

    # What least squares gives on these data: the target of both.
    best = 2 - np.sum(noise * q) / np.sum(q * q)
    options = dict(steps=500, batch_size=8, optimizer=clipped(optax.sgd(0.05)), progress=False)

    def error(averaging):
        keys = jax.random.split(KEY, 8)
        fits, _ = nx.fit_ensemble(
            Spring(jnp.ones(8)), data, averaging=averaging, keys=keys, **options
        )
        return np.sqrt(np.mean(np.square(fits.stiffness - best)))

    assert error(0.2) < 0.5 * error(0.0)
    with pytest.raises(ValueError, match="fraction from 0 to 1"):
        nx.fit(Spring(jnp.array(1.0)), data, averaging=2.0, key=KEY, **options)


def test_the_relative_loss_weighs_by_the_size_of_the_acceleration():
    lagrangian = helpers.HarmonicOscillator(stiffness=1.0)  # the data have 2
    q, v, a = observations(64)
    expected = np.mean(np.sum(q**2, axis=(1, 2)) / 3 / (0.25 + np.sum(a**2, axis=(1, 2))))
    assert np.isclose(nx.RelativeAccelerationLoss(0.5)(lagrangian, (q, v, a)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_length_and_time_have_no_say(dtype):
    """By powers of two nothing rounds, so that the weights are equal bit for bit."""
    q, v, _ = observations(64)
    a = -q * (1 + 0.3 * np.sum(q**2, axis=(1, 2), keepdims=True))
    fresh = model(dtype=jnp.dtype(dtype))
    fitted = []
    for time, length in ((1, 1), (2**23, 2**-2), (2**-10, 2**-30)):
        data = [(x * length / time**k).astype(dtype) for k, x in enumerate((q, v, a))]
        # Adam and the clipping of gradients compare with absolute numbers.
        trained, history = nx.fit(fresh, tuple(data), steps=20, optimizer=GENTLE, **SMALL)
        fitted.append((trained.network, history.loss * (time**2 / length) ** 2))
    for other in fitted[1:]:
        assert equal(other, fitted[0])
    size = np.finfo(np.float32).max ** 0.5
    with pytest.raises(ValueError, match="squares leave the range of float32.*other units"):
        nx.fit(
            model(dtype=jnp.float32), [np.float32(x) for x in (q, v, size * a)], steps=1, **SMALL
        )


def test_an_optimizer_is_used_as_it_is():
    """What is composed in Optax is all that happens to a gradient."""
    seen = []

    def note(updates, state, params=None):
        jax.debug.callback(lambda x: seen.append(float(x)), optax.tree.norm(updates))
        return updates, state

    def fitted(*parts):
        noting = optax.GradientTransformation(lambda _: optax.EmptyState(), note)
        seen.clear()
        optimizer = optax.chain(*parts, noting, optax.sgd(1e-6))
        nx.fit(nx.standardise(model(), Q, V), (Q, V, A), steps=3, optimizer=optimizer, **SMALL)
        jax.effects_barrier()
        return max(seen)

    assert fitted() > 0.1
    assert np.isclose(fitted(optax.clip_by_global_norm(1e-3)), 1e-3, rtol=1e-12)


def test_the_default_optimizer_has_no_scale():
    weights = {"matrix": jnp.ones((3, 3)), "bias": jnp.ones(3)}
    optimizer = nx.default_optimizer(10)
    with jax.numpy_dtype_promotion("standard"):  # as in the loop
        start = optimizer.init(weights)
        plain, small = (
            optimizer.update(jax.tree.map(lambda x, size=size: size * x, weights), start, weights)[
                0
            ]
            for size in (1.0, 2.0**-40)
        )
    assert np.allclose(plain["matrix"], small["matrix"], rtol=1e-12, atol=0)
    assert np.allclose(plain["bias"], small["bias"], rtol=1e-12, atol=0)


def test_a_fit_that_learned_nothing_says_so():
    q, v, a = observations(128)
    options = dict(steps=120, optimizer=ADAM, **SMALL)
    free = nx.NeuralLagrangian(nx.Translations(3).invariant_features(1), width=8, key=KEY)
    with pytest.warns(UserWarning, match=r"Next to nothing .* 120 steps: .*; 0.0% .*Trivial"):
        nx.fit(free, (q, v, a), **options)


def test_the_verdict_is_silent_about_what_went_well():
    member = Member(None, "", None, None, None, Scale(1.0, without_force=1.0))

    def of(losses, skipped):
        return verdicts(losses, np.zeros(0), skipped, None, member, ACCELERATION)

    assert not of(np.full(99, 2.0), 0)  # too few steps to say
    assert not of(np.full(200, 0.04), 9)
    (found,) = of(np.full(200, 0.04), 180)
    assert "180 of 200 updates were left out" in found.finding
