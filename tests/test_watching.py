"""Training that is watched: validation, early ends, callbacks, and what goes on from what."""

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import noetherax as nx
from noetherax.losses import _trajectory
from noetherax.training._going_back import going_back
from noetherax.training._plan import Member
from noetherax.training._scale import Scale
from noetherax.training._verdict import _walls, verdicts
from noetherax.training._what_is_left import ALIKE, likeness, likeness_of_neighbours

KEY = jax.random.key(0)
ACCELERATION = nx.AccelerationLoss()
ADAM = optax.adam(2e-2)  # one object and one size of data: the tests share a compiled program
STEPS = 100


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


class Varying(nx.Lagrangian):
    """Of a mass that has another sign on the other side."""

    def __call__(self, q, v):
        return q[0, 0] * jnp.sum(v**2)


def data(stiffness=2.0, samples=256):
    q, v = np.random.default_rng(0).normal(size=(2, samples, 1, 3))
    return q, v, -stiffness * q


def fit(steps=STEPS, **options):
    """From stiffness 1 to 2: at 1.6 the model is best on data of that stiffness."""
    options = dict(optimizer=ADAM, averaging=0.0, key=KEY, progress=False) | options
    return nx.fit(Spring(jnp.array(1.0)), data(), steps=steps, **options)


def held_out(**options):
    q, v, a = data(1.6, 40)
    tracks = nx.Tracks(np.arange(40.0), q, v, a, periods=np.full((1, 3), np.inf))
    return nx.Validation(tracks, every=5, **options)


def test_weights_of_the_least_validation_loss_are_returned():
    last, plain = fit()
    assert plain.best_step is None
    assert not plain.validation.size
    best, history = fit(validation=held_out())
    assert np.array_equal(history.loss, plain.loss)
    assert abs(best.stiffness - 1.6) < 0.05 < abs(last.stiffness - 1.6)
    assert history.validation_steps.tolist() == list(range(0, STEPS + 1, 5))
    place = np.argmin(history.validation)
    assert history.best_step == history.validation_steps[place]
    assert np.isclose(history.validation[place], ACCELERATION(best, data(1.6, 40)), rtol=1e-12)
    scale = ACCELERATION(helpers.HarmonicOscillator(stiffness=0.0), data(1.6, 40))
    assert np.isclose(history.explained_validation, 1 - history.validation[place] / scale)
    ended, history = fit(validation=held_out(best=False))
    assert eqx.tree_equal(ended, last)
    assert history.best_step is None


def test_patience_ends_a_run_and_checkpoints_change_nothing(tmp_path):
    options = dict(validation=held_out(patience=3))
    whole, history = fit(**options)
    assert len(history.loss) == history.best_step + 15 < STEPS
    assert history.stopped == "no lower validation loss in 3 looks"

    def stop(report):
        return report.step == 20

    checkpoints = nx.Checkpoints(tmp_path, every=10)
    first, early = fit(callback=stop, checkpoints=checkpoints, **options)
    assert len(early.loss) == 20
    # Started again it stays stopped, though the callback would let it go on; without one it goes on.
    second, still = fit(callback=lambda report: False, checkpoints=checkpoints, **options)
    assert eqx.tree_equal(second, first)
    assert still.stopped == early.stopped == "the callback asked for it at step 20"
    again, resumed = fit(checkpoints=checkpoints, **options)
    assert eqx.tree_equal(again, whole)
    for name in ("loss", "validation", "validation_steps", "best_step", "stopped"):
        assert np.array_equal(getattr(resumed, name), getattr(history, name))
    _, finished = fit(checkpoints=checkpoints, **options)
    assert np.array_equal(finished.loss, history.loss)
    with pytest.raises(ValueError, match="belongs to another run: validation"):
        fit(checkpoints=checkpoints, validation=held_out(patience=4))


def test_a_callback_sees_the_run_and_stops_it():
    reports = []

    def note(report):
        reports.append(report)
        return report.step >= 15

    _, history = fit(callback=note, validation=held_out())
    assert [report.step for report in reports] == [5, 10, 15]
    assert len(history.loss) == 15
    assert history.stopped == "the callback asked for it at step 15"
    assert reports[1].loss == np.median(history.loss[5:10])
    assert [report.validation for report in reports] == history.validation[1:].tolist()
    assert ACCELERATION(reports[2].model, data(1.6, 40)) == pytest.approx(reports[2].validation)
    with pytest.raises(TypeError, match="callback must return True to stop.*'no'"):
        fit(callback=lambda report: "no")


def test_a_further_fit_goes_on_with_the_state_of_the_optimiser():
    batch = tuple(map(jnp.asarray, data(samples=16)))
    options = dict(optimizer=ADAM, averaging=0.0, key=KEY, progress=False)

    def on(model, steps, **more):
        return nx.fit(model, lambda key: batch, steps=steps, **options, **more)

    whole, _ = on(Spring(jnp.array(1.0)), 30)
    half, history = on(Spring(jnp.array(1.0)), 15)
    assert eqx.tree_equal(on(half, 15, optimizer_state=history.optimizer_state)[0], whole)
    assert not eqx.tree_equal(on(half, 15)[0], whole)  # the control
    with pytest.raises(
        ValueError, match="not of this optimiser.*Given are 0 arrays.*expected .* 3"
    ):
        on(half, 15, optimizer_state=optax.sgd(1.0).init(half))
    with pytest.raises(ValueError, match="not of this optimiser.*Given are 2 arrays of 2 numbers"):
        on(half, 15, optimizer_state=(1, 2.0))


def test_optimisers_that_look_at_the_loss():
    """A plateau that no loss leaves: the rate is halved at every second step."""
    plateau = optax.contrib.reduce_on_plateau(0.5, patience=2, rtol=0.999)
    _, history = fit(9, optimizer=optax.chain(optax.sgd(1e-9), plateau))
    assert history.optimizer_state[1].scale == 0.5**4
    assert np.isclose(history.optimizer_state[1].best_value * 4, history.loss[0], rtol=0.3)


def test_every_member_of_an_ensemble_keeps_its_own_best():
    def observed(stiffness):
        return data(stiffness, 40)

    models = eqx.filter_vmap(Spring)(jnp.array([1.0, 1.0]))
    options = dict(optimizer=ADAM, averaging=0.0, progress=False, steps=STEPS)
    validation = nx.Validation([observed(1.6), observed(3.0)], every=5)
    keys = jax.random.split(KEY)
    learned, history = nx.fit_ensemble(models, data(), keys=keys, validation=validation, **options)
    assert abs(learned.stiffness[0] - 1.6) < 0.05
    assert history.best_step[0] < history.best_step[1]
    assert history.validation.shape == (2, 21)
    alone, one = fit(key=keys[0], validation=nx.Validation(observed(1.6), every=5))
    assert np.isclose(learned.stiffness[0], alone.stiffness, rtol=1e-12)
    assert one.best_step == history.best_step[0]
    assert "at step" in repr(history)


def test_a_history_prints_what_matters():
    _, history = fit(validation=held_out())
    text = repr(history)
    assert len(text.splitlines()) == 4
    for part in (
        "100 steps in",
        "without any force",
        f"at step {history.best_step}",
        "% of the data",
    ):
        assert part in text
    assert np.isclose(history.without_force, 4.0, rtol=0.2)
    assert history.recent_loss == np.median(history.loss[-10:])
    # Of the weights that are returned: those of the least validation loss, and not of the last steps.
    assert np.isclose(history.explained, 1 - history.returned_loss / history.without_force)


def test_what_is_wrong_with_validation_is_named():
    with pytest.raises(ValueError, match="every must be a positive integer"):
        nx.Validation(data(), every=0)
    q, v, a = data(samples=8)
    with pytest.raises(ValueError, match="validation: a is not finite"):
        fit(validation=(q, v, a * np.nan))
    with pytest.raises(TypeError, match="validation: observations are float32"):
        fit(validation=tuple(np.float32(x) for x in (q, v, a)))


def descent(optimizer, steps=60):
    """On a parabola, from 1."""

    def step(carry, _):
        x, state = carry
        value, slope = jax.value_and_grad(lambda x: x * x)(x)
        update, state = optax.with_extra_args_support(optimizer).update(
            slope, state, x, value=value
        )
        return (x + update, state), value

    with jax.numpy_dtype_promotion("standard"):
        start = jnp.array(1.0)
        return np.asarray(jax.lax.scan(step, (start, optimizer.init(start)), length=steps)[1])


def test_an_optimiser_goes_back_where_its_rate_is_too_large():
    def rate(count):
        return jnp.where(count < 10, 0.3, 1.3) + 0.0 * count

    assert descent(optax.sgd(rate))[-1] > 1e3  # the control
    found = descent(going_back(optax.sgd(1.0), rate))
    assert found[-1] < found[10]
    # Where nothing goes wrong it has no effect.
    gentle = going_back(optax.sgd(1.0), optax.constant_schedule(0.3))
    assert np.array_equal(descent(gentle), descent(optax.sgd(0.3)))


def test_guesses_of_states_follow_motion_and_not_noise():
    t, noise = np.linspace(0, 0.5, 9), 1e-3 * np.random.default_rng(0).normal(size=(200, 9))

    def slope_error(rate, noise):
        def of(q):
            return _trajectory._polynomial(q[:, None, None], t[1])[1][:, 0, 0]

        found = jax.vmap(of)(jnp.asarray(np.sin(rate * t) + noise))
        return np.sqrt(np.mean(np.square(found - rate * np.cos(rate * t))))

    # Of the polynomials of degree 6, which were guessed from before.
    values, slopes = (np.polynomial.polynomial.polyvander(t, k) for k in (6, 5))
    slopes = np.concatenate([np.zeros((9, 1)), slopes * np.arange(1, 7)], axis=1)
    of_noise = np.sqrt(np.mean(np.square(noise @ (slopes @ np.linalg.pinv(values)).T)))
    assert slope_error(1.0, noise) < 0.5 * of_noise
    assert slope_error(8.0, 0 * noise) < 1e-2 * 8  # a fast motion is followed all the same


def test_the_verdict_names_a_loss_that_few_samples_rule():
    q, v = np.random.default_rng(0).normal(size=(2, 512, 1, 3))
    a = -q / np.sum(q**2, axis=2, keepdims=True) ** 2
    drawn = tuple(jnp.asarray(x)[None] for x in (q, v, a))
    scale = float(np.mean(a**2))
    member = Member(None, "", None, drawn, None, Scale(1.0, without_force=scale))

    def of(a, losses):
        found = member._replace(drawn=(*drawn[:2], a))
        (verdict,) = verdicts(losses, np.zeros(0), 0, Spring(jnp.array(-1.0)), found, ACCELERATION)
        return verdict

    found = of(drawn[2], np.full(200, 2 * scale))
    assert "worse than none" in found.finding
    assert "RelativeAccelerationLoss(floor)" in found.advice
    assert "finite on none" in of(np.nan * drawn[2], np.full(200, np.nan)).finding


def test_the_verdict_tells_a_law_that_is_left_from_noise():
    rng = np.random.default_rng(0)
    q, v, noise = rng.normal(size=(3, 512, 1, 3))

    def of(a):
        drawn = tuple(jnp.asarray(x)[None] for x in (q, v, a))
        scale = float(np.mean(a**2))
        member = Member(None, "", None, drawn, None, Scale(1.0, without_force=scale))
        spring = Spring(jnp.array(1.0))
        losses = np.full(200, float(ACCELERATION(spring, jax.tree.map(lambda x: x[0], drawn))))
        return verdicts(losses, np.zeros(0), 0, spring, member, ACCELERATION)

    (found,) = of(-q - 0.4 * v)  # friction
    assert "86% is explained, and the rest is not independent noise" in found.finding
    assert "noetherax.Forced" in found.advice
    assert not of(-q + 0.4 * noise)
    assert not of(-q - 0.2 * v)  # less than a twentieth is left


@pytest.mark.parametrize("space", [1, 3])
def test_noise_of_any_kind_is_alike_nowhere_and_laws_are(space):
    rng = np.random.default_rng(0)
    at = rng.normal(size=(1000, 2 * space))
    noise = {
        "normal": rng.normal(size=(1000, space)),
        "heavy tails": rng.standard_t(1.0, size=(1000, space)),
        "skewed": np.exp(2 * rng.normal(size=(1000, space))) - np.exp(2),
    }
    for kind, left in noise.items():
        alike, chance = likeness(at, left)
        assert abs(alike) < ALIKE / 2, kind
        assert chance < 2 / np.sqrt(1000)
    # A state that was recorded twice brings its noise along, also where it was rounded otherwise.
    twice = np.concatenate([at, at * (1 + 1e-9)])
    assert abs(likeness(twice, np.tile(noise["normal"], (2, 1)))[0]) < ALIKE / 2
    laws = {"linear": at[:, space:], "of gravity": np.ones((1000, space))}
    for kind, left in laws.items():
        assert likeness(at, left + 0.1 * noise["normal"])[0] > 0.6, kind
    assert likeness(at[:50], at[:50])[1] == np.inf  # too few to say


def test_windows_and_measured_forces_are_no_noisy_accelerations():
    rng = np.random.default_rng(0)
    q, v, a, noise = rng.normal(size=(4, 512, 1, 2))
    # The measured force holds the noise, and is not among what neighbours are found by.
    tau = 0.3 * a + 2 * q + noise
    drawn = tuple(jnp.asarray(x)[None] for x in (q, v, 0.3 * a, tau))
    spring = Spring(jnp.array(2.0))
    assert likeness_of_neighbours(nx.ForceLoss(), spring, drawn) is None
    wrong = Spring(jnp.array(-2.0))
    assert likeness_of_neighbours(nx.ForceLoss(), wrong, drawn) > ALIKE
    windows = nx.systems.HarmonicOscillator(space=2).windows(
        0.1, times=9, velocities=True, accelerations=True
    )(KEY)
    drawn = jax.tree.map(lambda x: x[None], windows)
    assert likeness_of_neighbours(nx.TrajectoryLoss(interval=0.1), spring, drawn) is None


def test_a_small_mass_in_single_precision_is_not_singular():
    class Masses(nx.Lagrangian):
        small: float

        def __call__(self, q, v):
            one, other = v[0, 0] + v[0, 1], v[0, 0] - v[0, 1]
            return jnp.exp(q[0, 0]) * (one**2 + self.small * other**2) - jnp.sum(q**2)

    states = np.random.default_rng(0).normal(size=(3, 1, 512, 1, 2)).astype(np.float32)
    drawn = tuple(jnp.asarray(x) for x in states)
    assert _walls(Masses(1e-9), ACCELERATION, drawn) is None
    assert "another signature" in _walls(Varying(), ACCELERATION, drawn)


def test_where_few_samples_rule_the_loss_is_relative_by_default():
    class Centre(nx.Lagrangian):
        strength: jax.Array

        def __call__(self, q, v):
            return 0.5 * jnp.sum(v**2) + 0.5 * self.strength / jnp.sum(q**2)

    def learned(a, **options):
        observations = nx.Observations(q, v, a)
        options = dict(steps=3, optimizer=ADAM, averaging=0.0, key=KEY, progress=False) | options
        return nx.fit(Centre(jnp.array(0.5)), observations, **options)[1]

    q, v = np.random.default_rng(0).normal(size=(2, 256, 1, 3))
    a = -q / np.sum(q**2, axis=2, keepdims=True) ** 2  # the nearest to the centre rule
    square = np.sum(a**2, axis=(1, 2))
    floor = max(0.1 * np.median(square) ** 0.5, 0.01 * np.mean(square) ** 0.5)
    found = learned(a)
    named = learned(a, loss=nx.RelativeAccelerationLoss(float(f"{floor:.1e}")))
    np.testing.assert_array_equal(found.loss, named.loss)
    assert "RelativeAccelerationLoss" in found.chosen_loss
    assert not named.chosen_loss
    assert "times the median" in repr(found)
    in_other_units = learned(1e-10 * a)  # a floor has two digits
    np.testing.assert_allclose(in_other_units.without_force, found.without_force, rtol=0.05)

    plain = learned(-q)
    assert not plain.chosen_loss
    np.testing.assert_array_equal(plain.loss, learned(-q, loss=ACCELERATION).loss)
    hits = np.where(np.arange(256)[:, None, None] % 16, 0.0, -q)  # nearly all move freely
    assert not learned(hits).chosen_loss
    noise = 1e-6 * np.random.default_rng(1).normal(size=q.shape)
    floor = float(learned(hits + noise).chosen_loss.split("(")[1].split(")")[0])
    assert floor > 1e3 * 1e-6  # so that the noise does not count


@pytest.mark.slow  # the default optimiser compiles slowly
def test_positions_alone_train_by_default():
    random, t = np.random.default_rng(0), np.linspace(0, 8, 120)
    exact = np.stack([np.cos(t), 0.6 * np.sin(t)], axis=-1)[:, None]
    noisy = [exact + 1e-3 * random.normal(size=exact.shape) for _ in range(4)]
    tracks, loss = nx.Tracks([t] * 4, noisy), nx.TrajectoryLoss(noise=1e-3)
    model = nx.NeuralLagrangian(nx.Rotations(2).invariant_features(1), width=16, key=KEY)
    options = dict(loss=loss, steps=400, batch_size=32, key=KEY, progress=False)
    _, history = nx.fit(model, tracks, **options)
    assert history.recent_loss < 6  # 1e17 by steps that do not go back
