"""Gauss–Newton polish: its loss, its derivatives, its data and what it refuses."""

import functools
import re
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import clipped, compiled, equal

import noetherax as nx
from noetherax._programs import run
from noetherax.training import _checks, _normal_equations, _polish

KEY = jax.random.key(0)
ACCELERATION = nx.AccelerationLoss()
QUIET = dict(progress=False)


SAMPLES = _normal_equations.CHUNK + 44
"""The second chunk is mostly filled up. One number for all tests, that they share programs."""


def observations(samples=SAMPLES, dtype=np.float64):
    """An anharmonic oscillator in R³, without noise."""
    q, v = 0.5 * np.random.default_rng(0).normal(size=(2, samples, 1, 3))
    a = -q * (1 + np.sum(q**2, axis=(1, 2), keepdims=True))
    return tuple(x.astype(dtype) for x in (q, v, a))


@functools.cache
def fitted(dtype="float64"):
    """Trained gently from a regular start: rates at which training is chaotic would end elsewhere on
    another processor."""
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=24, dtype=jnp.dtype(dtype), key=KEY)
    data = observations(dtype=dtype)
    return nx.fit(model, data, steps=200, optimizer=clipped(optax.adam(1e-3)), key=KEY, **QUIET)[0]


def test_polish_lowers_the_loss_far_below_that_of_the_fit():
    data = observations()
    polished, history = nx.polish(fitted(), data, iterations=20, **QUIET)
    before, after = (ACCELERATION(model, data) for model in (fitted(), polished))
    np.testing.assert_allclose(history.loss[[0, -1]], [before, after], rtol=1e-10)  # rounding
    assert after < 1e-3 * before  # 1e-6 to 3e-6 with five keys
    assert np.all(np.diff(history.loss) < 0)
    assert history.seconds > history.compile_seconds > 0
    text = repr(history)
    assert re.search(rf"^History of +{len(history.loss) - 1} steps", text)
    assert f"{history.loss[-1]:.3g} in the end, {history.loss[0]:.3g} before" in text
    assert ("steps that did not help" in text) == (history.skipped > 0)
    assert "not finite" not in text


def test_constants_and_the_given_model_stay():
    given = jax.tree.map(lambda x: x, fitted())
    polished, _ = nx.polish(given, observations(), iterations=2, **QUIET)
    assert equal(given, fitted())
    assert equal(polished.standardisation, given.standardisation)
    assert not equal(polished.network, given.network)


def test_only_chosen_arrays_train():
    last = jax.tree.map(lambda _: False, fitted())
    last = eqx.tree_at(lambda model: model.network.layers[-1], last, True)  # a prefix, as for fit
    polished, history = nx.polish(fitted(), observations(), iterations=2, mask=last, **QUIET)
    assert re.match("all 2 iterations are taken, and the last lowered the loss by", history.stopped)
    given, layers = fitted().network.layers, polished.network.layers
    assert equal(layers[:-1], given[:-1])
    assert not equal(layers[-1], given[-1])
    assert history.loss[-1] < history.loss[0]


def test_normal_equations_are_those_of_the_jacobian():
    data, model = observations(), fitted()
    parameters, constants = eqx.partition(model, nx.trainable(model))
    weights, unravel = jax.flatten_util.ravel_pytree(parameters)

    def residual(weights):
        return ACCELERATION.residuals(eqx.combine(unravel(weights), constants), data).reshape(-1)

    @jax.jit
    def along(velocity):
        """How the slope of the residuals changes."""
        return jax.jvp(lambda w: jax.jvp(residual, (w,), (velocity,))[1], (weights,), (velocity,))

    parts = jax.jit(lambda w: (jax.jacfwd(residual)(w), residual(w)))(weights)
    jacobian, error = (np.asarray(x) for x in parts)
    chunks = _normal_equations.chunked(data, SAMPLES, 1)
    common = ACCELERATION, parameters, constants, chunks
    matrix, slope = (
        run(_normal_equations.curvature, *common),
        run(_normal_equations.slope_of, *common),
    )
    np.testing.assert_allclose(matrix, jacobian.T @ jacobian, rtol=1e-9, atol=1e-9 * np.max(matrix))
    np.testing.assert_allclose(
        slope, jacobian.T @ error, rtol=1e-9, atol=1e-9 * np.max(np.abs(slope))
    )
    np.testing.assert_allclose(run(_normal_equations.cost, *common), error @ error, rtol=1e-12)
    trial, ratio = run(_normal_equations.damped_step, *common, matrix, slope, jnp.array(1e-3))
    matrix, slope = np.asarray(matrix), np.asarray(slope)
    damped = matrix + 1e-3 * np.max(np.diagonal(matrix)) * np.eye(weights.size)
    velocity = -np.linalg.solve(damped, slope)
    _, bend = along(velocity)
    acceleration = -np.linalg.solve(damped, jacobian.T @ np.asarray(bend))
    moved = np.asarray(jax.flatten_util.ravel_pytree(trial)[0]) - np.asarray(weights)
    size = np.linalg.norm(acceleration)
    np.testing.assert_allclose(ratio, size / np.linalg.norm(velocity), rtol=1e-6)
    # The factor is the one that matters: the control is a step without its acceleration.
    assert np.linalg.norm(moved - velocity - acceleration / 2) < 1e-6 * size
    assert np.linalg.norm(moved - velocity) > 0.4 * size


class Plane(eqx.Module):
    """y = w · x: residuals whose least squares are known."""

    weights: jax.Array


class OfPlane(nx.Loss):
    def residuals(self, model, batch):
        return batch[0] @ model.weights - batch[1]

    def states(self, batch):
        return None


class Residuals(nx.Loss):
    """Whatever a function of the model and a batch of accelerations returns."""

    function: Callable

    def residuals(self, model, batch):
        return self.function(model, batch)

    def states(self, batch):
        return ACCELERATION.states(batch)


def at_each_call(monkeypatch, before) -> None:
    """Calls `before(function, *arguments)` before every compiled part of an iteration."""
    programs = _polish.programs

    def watched():
        call = programs()

        def watch(function, *arguments):
            before(function, *arguments)
            return call(function, *arguments)

        return watch

    monkeypatch.setattr(_polish, "programs", watched)


def test_curvature_of_a_part_leads_to_the_least_squares_of_all(monkeypatch):
    seen = {}

    def note(function, loss, parameters, constants, chunks, *rest):
        (x, _), weight = chunks
        seen.setdefault(function.__name__, []).append(np.asarray(x[weight > 0]))

    at_each_call(monkeypatch, note)
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 5))
    y = x @ np.arange(1.0, 6.0) + random.normal(size=2000)
    few = 400

    options = dict(loss=OfPlane(), tolerance=1e-12, **QUIET)
    plane, history = nx.polish(Plane(jnp.zeros(5)), (x, y), curvature_samples=few, **options)
    for name in ("cost", "slope_of"):
        np.testing.assert_array_equal(seen[name][0], x)
    part = seen["curvature"][0]
    np.testing.assert_array_equal(seen["damped_step"][0], part)
    chosen = [int(np.flatnonzero(np.all(x == row, axis=1))[0]) for row in part]
    assert len(set(chosen)) == few
    of_all, of_part = (np.linalg.lstsq(x[rows], y[rows])[0] for rows in (slice(None), chosen))
    assert len(seen["curvature"]) > 3  # one step for all samples, several with those of a part
    assert history.skipped == 0  # the slope is scaled to the part, and steps are of the right size
    np.testing.assert_allclose(plane.weights, of_all, rtol=1e-5)  # √tolerance is 1e-6
    assert np.max(np.abs(plane.weights - of_part)) > 0.01  # the control: not the part's
    np.testing.assert_allclose(history.loss[-1], np.mean((x @ of_all - y) ** 2), rtol=1e-10)
    assert re.match("3 steps in a row|none of 30 steps", history.stopped)
    assert f"stopped: {history.stopped}" in repr(history)


def test_float32_weights_return_as_float32_and_x64_stays_off():
    with jax.enable_x64(False):
        data = observations(dtype=np.float32)
        polished, history = nx.polish(fitted("float32"), data, iterations=10, **QUIET)
        assert {x.dtype for x in jax.tree.leaves(eqx.filter(polished, nx.trainable(polished)))} == {
            jnp.dtype("float32")
        }
        after = ACCELERATION(polished, data)
        assert after.dtype == jnp.float32
        assert after < 0.1 * history.loss[0]


def test_a_sampler_is_drawn_until_there_are_enough():
    class Spring(nx.Lagrangian):
        stiffness: jax.Array

        def __call__(self, q, v):
            return jnp.sum(v**2) / 2 - self.stiffness * jnp.sum(q**2) / 2

    model = Spring(jnp.array(0.5))
    sampler = nx.systems.Kepler().sampler(batch_size=32)
    seen = []

    def residual(lagrangian, batch):
        seen.append(batch[0].shape)
        return nx.RelativeAccelerationLoss(0.3).residuals(lagrangian, batch)

    options = dict(samples=600, iterations=3, loss=Residuals(residual), **QUIET)
    _, history = nx.polish(model, sampler, key=KEY, **options)
    assert history.loss[-1] < history.loss[0]
    assert (600, 1, 3) in seen
    with pytest.raises(TypeError, match="needs a random key"):
        nx.polish(model, sampler, **QUIET)


@pytest.mark.parametrize("floor", [None, 0.3])
def test_residuals_belong_to_the_losses(floor):
    data = observations(samples=20)
    loss = nx.RelativeAccelerationLoss(floor) if floor else ACCELERATION
    sizes = np.sum(data[2] ** 2, axis=(1, 2)) + floor**2 if floor else np.ones(20)
    error = np.asarray(nx.acceleration(fitted(), *data[:2])) - data[2]
    expected = np.mean(np.mean(np.square(error), axis=(1, 2)) / sizes)
    np.testing.assert_allclose(loss(fitted(), data), expected, rtol=1e-12)
    residuals = compiled(loss.residuals, fitted(), data)
    np.testing.assert_allclose(np.mean(np.sum(np.square(residuals), axis=1)), expected, rtol=1e-12)


def test_what_cannot_start_is_named():
    raw = nx.NeuralLagrangian(nx.Rotations(3).invariant_features(1), width=8, key=KEY)
    with pytest.raises(ValueError, match="not standardised yet"):
        nx.polish(raw, observations(), **QUIET)
    flat = jax.tree.map(lambda x: 0 * x if eqx.is_inexact_array(x) else x, fitted().network)
    flat = eqx.tree_at(lambda model: model.network, fitted(), flat)  # ∂²L/∂v² = 0
    with pytest.raises(ValueError, match="condition number"):
        nx.polish(flat, observations(), **QUIET)
    with pytest.raises(ValueError, match="iterations must be a positive integer"):
        nx.polish(fitted(), observations(), iterations=0, **QUIET)
    with pytest.raises(ValueError, match="curvature_samples must be a positive integer"):
        nx.polish(fitted(), observations(), curvature_samples=0, **QUIET)
    with pytest.raises(ValueError, match=rf"{SAMPLES} samples along its first axis.*shape \(\)"):
        nx.polish(fitted(), observations(), loss=Residuals(ACCELERATION), **QUIET)
    with pytest.raises(TypeError, match="polish takes the residuals of a noetherax.Loss"):
        _checks.check_residuals(lambda model, batch: 0.0)
    for residual, message in (
        (lambda model, batch: batch[0].reshape(-1, 3), "do not change with any of the weights"),
        (lambda model, batch: jnp.ones(SAMPLES), "one row for each sample"),
        (lambda model, batch: jnp.ones(len(batch[0]), int), "floating-point array"),
    ):
        with pytest.raises(ValueError, match=message):
            nx.polish(fitted(), observations(), loss=Residuals(residual), **QUIET)
    pair = jax.tree.map(lambda x: jnp.stack([x, x]) if eqx.is_array(x) else x, fitted())
    with pytest.raises(ValueError, match="ensemble of 2 members"):
        nx.polish(pair, observations(), **QUIET)
    q, v, a = observations()
    with pytest.raises(ValueError, match="not finite"):
        nx.polish(fitted(), (q, v, a * np.nan), **QUIET)


def test_interruption_keeps_the_best(monkeypatch):
    steps = []

    def interrupt(function, *arguments):
        if function is _normal_equations.damped_step:
            steps.append(arguments)
        if len(steps) == 12:
            raise KeyboardInterrupt

    at_each_call(monkeypatch, interrupt)
    with pytest.warns(UserWarning, match="interrupted after"):
        polished, history = nx.polish(fitted(), observations(), **QUIET)
    assert history.interrupted
    assert not history.stopped
    assert "stopped: interrupted" in repr(history)
    best = ACCELERATION(polished, observations())
    np.testing.assert_allclose(best, history.loss[-1], rtol=1e-12)
    assert history.loss[-1] < history.loss[0]
