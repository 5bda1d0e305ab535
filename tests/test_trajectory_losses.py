"""Learning from windows of positions: the losses know the law, and do not reward what is none."""

import math

import diffrax
import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax._checks import check_number
from noetherax.data import check_noise
from noetherax.losses import samples_of

KEY = jax.random.key(0)
FAMILY = nx.systems.Orbits(nx.systems.Kepler(), math.inf)
TRUE = nx.systems.Kepler().lagrangian
H = 0.05
DISCRETE, SHOOTING = nx.DiscreteLoss(H), nx.TrajectoryLoss(H)
LOSSES = {"discrete": DISCRETE, "trajectory": SHOOTING}
# Squares of: h²/24 of the fourth derivative, and the position error of RK4, both at perihelion.
TRUNCATION = {"discrete": 1e-2**2, "trajectory": 1e-5**2}


def windows(noise=0.0, times=7, batch_size=4, **options):
    draw = FAMILY.windows(H, times=times, batch_size=batch_size, noise=noise, **options)
    return jax.jit(draw)(KEY)


class Scaled(nx.Lagrangian):
    """A multiple of the true law plus a total derivative: the same motion."""

    def __call__(self, q, v):
        return -3 * TRUE(q, v) + jnp.sum(q * v)


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


def test_windows_solve_the_equations_of_motion():
    q, v, a = windows(velocities=True, accelerations=True)
    path = nx.rollout(TRUE, q[0, 0], v[0, 0], ts=H * np.arange(7), dt=H / 8, solver=nx.RK4())
    assert np.allclose(path.q, q[0], atol=1e-6)
    assert np.allclose(path.v, v[0], atol=1e-6)
    assert np.allclose(jax.vmap(jax.vmap(lambda q, v: nx.acceleration(TRUE, q, v)))(q, v), a)
    assert windows().v is None
    assert windows().a is None
    noisy = windows(noise=1e-3, batch_size=64).q - windows(batch_size=64).q
    assert np.isclose(np.std(noisy), 1e-3, rtol=0.1)


@pytest.mark.parametrize("name", LOSSES)
def test_the_true_law_has_no_loss_but_truncation(name):
    loss = eqx.filter_jit(LOSSES[name])
    exact = windows()
    assert loss(TRUE, exact) < TRUNCATION[name]
    # Neither the scale of L nor a total derivative in it changes the motion, or the loss.
    assert np.isclose(loss(Scaled(), exact), loss(TRUE, exact), rtol=1e-3, atol=1e-12)
    # Negative control: another law.
    assert loss(Spring(jnp.array(1.0)), exact) > 1e3 * TRUNCATION[name]


@pytest.mark.parametrize("name", LOSSES)
def test_a_lagrangian_without_motion_is_not_rewarded(name):
    """Zero and total derivatives make every discrete action stationary: never a finite loss."""
    for trivial in (lambda q, v: 0.0 * jnp.sum(v**2), lambda q, v: jnp.sum(q * v)):
        assert not np.isfinite(compiled(LOSSES[name], trivial, windows()))


def test_noise_is_what_the_docstrings_say():
    noisy = windows(noise=1e-3, times=9, batch_size=256)
    assert np.isclose(DISCRETE(TRUE, noisy) ** 0.5, 1e-3 * 6**0.5 / H**2, rtol=0.1)
    loss = eqx.filter_jit(nx.TrajectoryLoss(H, noise=1e-3))
    assert np.isclose(loss(TRUE, noisy), 1.0, rtol=0.1)
    both = windows(noise=1e-3, times=5, batch_size=64, velocities=True)
    assert np.isclose(loss(TRUE, both), 1.0, rtol=0.15)
    assert loss(TRUE, (*both[:2], jnp.zeros_like(both.q))) == loss(TRUE, both)  # not used


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    noisy = windows(noise=1e-3, times=5)
    loss = LOSSES[name]
    if name == "trajectory":
        loss = nx.TrajectoryLoss(H, noise=1e-3, iterations=4)  # the gradient is the minimum's

    def value(stiffness):
        return loss(Spring(stiffness), noisy)

    step = 1e-4
    slope, up, down = (
        jax.jit(jax.grad(value))(jnp.array(0.5)),
        *jax.jit(jax.vmap(value))(jnp.array([0.5 + step, 0.5 - step])),
    )
    assert np.isclose(slope, (up - down) / (2 * step), rtol=1e-5)


def test_variational_solvers_serve_as_well():
    loss = nx.TrajectoryLoss(H, solver=nx.VariationalMidpoint(), noise=1e-3)
    exact = windows(times=5, batch_size=2, velocities=True)
    true, wrong = (eqx.filter_jit(loss)(law, exact) for law in (TRUE, Spring(jnp.array(1.0))))
    assert true < 1 < wrong


def test_velocities_sharpen_the_states_that_prepare_a_model():
    t = 0.2 * np.arange(5)[:, None, None]
    phase = np.random.default_rng(0).uniform(0, 6, (40, 1, 1, 2))
    exact = nx.Windows(np.cos(2 * t + phase), -2 * np.sin(2 * t + phase))
    q, _, a = nx.TrajectoryLoss(0.2).states(exact)
    assert np.max(np.abs(a + 4 * q)) < 1e-6  # 1e-2 by degree four
    resting = nx.Windows(np.ones((3, 5, 1, 1)), np.zeros((3, 5, 1, 1)))
    assert not np.any(nx.TrajectoryLoss(0.2).states(resting)[2])
    noise = 1e-2 * np.random.default_rng(1).normal(size=(2, *exact.q.shape))
    q, _, a = nx.TrajectoryLoss(0.2).states(nx.Windows(exact.q + noise[0], exact.v + noise[1]))
    assert np.sqrt(np.mean((a + 4 * q) ** 2)) < 0.1  # the noise of more terms would be twice that


def test_training_from_positions():
    draw = FAMILY.windows(H, times=7, batch_size=8)
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=16, key=KEY, dtype=jnp.float64)
    q, v, _ = FAMILY.sampler(256)(KEY)
    model = nx.standardise(model, q, v)
    loss = nx.TrajectoryLoss(H, noise=1e-3)
    options = dict(steps=200, loss=loss, key=KEY, preparation=False, progress=False)
    _, history = nx.fit(model, draw, **options)
    assert history.skipped == 0
    assert np.median(history.loss[-50:]) < 0.3 * np.median(history.loss[:5])


Q = np.zeros((2, 5, 1, 3))
MISTAKES = {
    "four arrays": ((Q, Q, Q, Q), TypeError, "tuple of 4 items"),
    "no windows": ((Q[0],), ValueError, r"q must have shape \(windows, times, points, space\)"),
    "shapes": ((Q, Q[:, 1:]), ValueError, "q and v must have the same shape"),
    "too short": ((Q[:, :2],), ValueError, "at least three times, but q has 2"),
    "integers": ((Q.astype(int),), TypeError, "q must hold floating-point"),
    "empty": ((Q[:, :0],), ValueError, r"q is empty: its shape is \(2, 0, 1, 3\)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_batches_are_named(name):
    batch, error, message = MISTAKES[name]
    for loss in LOSSES.values():
        for call in (
            loss.states,
            lambda batch, loss=loss: loss(helpers.HarmonicOscillator(), batch),
        ):
            with pytest.raises(error, match=message):
                call(batch)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="substeps must be a positive integer"):
        nx.TrajectoryLoss(H, substeps=0)
    with pytest.raises(ValueError, match="iterations must be a positive integer"):
        nx.TrajectoryLoss(H, iterations=0)
    for noise, place in ((0.0, ""), ((1.0, -1.0), r"\[1\]")):
        with pytest.raises(ValueError, match=f"noise{place} must be a positive, finite number"):
            nx.TrajectoryLoss(H, noise=noise)
    with pytest.raises(ValueError, match="noise must be one number or"):
        nx.TrajectoryLoss(H, noise=(1.0,))(TRUE, (Q, Q))
    for build in (nx.DiscreteLoss, nx.TrajectoryLoss):
        with pytest.raises(ValueError, match="interval must be a positive, finite"):
            build(0.0)
    with pytest.raises(ValueError, match="floor must be a positive, finite"):
        nx.RelativeAccelerationLoss(0.0)
    with pytest.raises(ValueError, match="interval must be a positive.*array"):
        check_number("interval", np.array([0.1, 0.2]))
    assert check_number("interval", np.array(0.1)) == 0.1
    both = nx.Windows(Q, Q)
    for noise in (2.0, np.array(2.0), [2.0, 2.0], np.array([2.0, 2.0])):
        assert check_noise(noise, both) == (2.0, 2.0)
    with pytest.raises(ValueError, match="noise must be one number or"):
        check_noise(np.ones((1, 2)), both)
    with pytest.raises(ValueError, match="interval must be positive"):
        FAMILY.windows(0.0)


def spring_tracks(regular: bool, noise: float = 1e-3) -> nx.Tracks:
    """Positions of a spring of stiffness one in the plane, at regular or random times."""
    random = np.random.default_rng(0)
    t = np.linspace(0, 8, 120)
    if not regular:
        t[1:-1] = np.sort(random.uniform(0, 8, 118))
    q = np.stack([np.cos(t), 0.6 * np.sin(t)], axis=-1)[:, None]
    return nx.Tracks(t, q + noise * random.normal(size=q.shape))


@pytest.mark.parametrize("regular", [True, False], ids=["regular", "irregular"])
def test_tracks_give_the_windows_of_a_loss_with_their_times(regular):
    tracks, right, wrong = spring_tracks(regular), Spring(jnp.array(1.0)), Spring(jnp.array(1.1))
    loss = nx.TrajectoryLoss(noise=1e-3)
    batch = samples_of(loss, tracks)
    assert isinstance(batch, nx.TimedWindows)
    value = eqx.filter_jit(loss)
    assert 0.8 < value(right, batch) < 1.2  # one for the true law
    assert value(wrong, batch) > 1.5
    q, _, a = loss.states(batch)
    assert (
        np.median(np.abs(a + q)) < 0.5
    )  # noise, more so where samples lie close; it is for a start
    assert np.abs(np.median(a / -q) - 1) < 0.1
    if regular:
        even = nx.TrajectoryLoss(tracks.interval, noise=1e-3)
        of_even = compiled(even, right, samples_of(even, tracks))
        assert np.isclose(of_even, value(right, batch), rtol=1e-6)


def test_tracks_that_do_not_fit_a_loss_are_named():
    options = dict(steps=1, key=KEY, progress=False)
    with pytest.raises(ValueError, match=r"interval 0.1, but samples of these tracks are 0.0672"):
        nx.fit(Spring(jnp.array(1.0)), spring_tracks(True), loss=nx.TrajectoryLoss(0.1), **options)
    with pytest.raises(ValueError, match="takes samples at equal intervals, but these tracks have"):
        nx.fit(Spring(jnp.array(1.0)), spring_tracks(False), loss=nx.DiscreteLoss(0.1), **options)
    short = nx.Tracks(np.arange(2.0), np.ones((2, 1, 2)))
    with pytest.raises(ValueError, match=r"the longest of these 1 recording\(s\) has 2"):
        nx.fit(Spring(jnp.array(1.0)), short, loss=nx.TrajectoryLoss(1.0), **options)
    with pytest.raises(TypeError, match=r"such as noetherax.AccelerationLoss\(\), or a function"):
        nx.fit(Spring(jnp.array(1.0)), short, loss=nx.TrajectoryLoss, **options)
    with pytest.raises(ValueError, match=r"tracks.smooth\(\).observations\(\) estimates them"):
        nx.fit(Spring(jnp.array(1.0)), spring_tracks(True), **options)


class StepByStep(diffrax.AbstractSolver):
    """RK4 as any other solver: its steps are differentiated, and not its stages all at once."""

    term_structure = diffrax.AbstractTerm
    interpolation_cls = nx.RK4.interpolation_cls

    def order(self, terms):
        return 4

    def init(self, terms, t0, t1, y0, args):
        return nx.RK4().init(terms, t0, t1, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        return nx.RK4().step(terms, t0, t1, y0, args, solver_state, made_jump)

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)


def motor(q, v, t, u):
    return u * jnp.sin(t) - 0.1 * v


STAGES = {"at any times": {"iterations": 2}, "driven": {"inputs": "linear"}}


@pytest.mark.parametrize("name", STAGES)
def test_stages_taken_at_once_have_the_derivatives_of_the_steps(name):
    q, v, _ = windows(0.01, times=4, batch_size=2, velocities=True)
    t = H * np.arange(4) * np.array([[1.0], [1.2]])
    model, options = helpers.neural(nx.Rotations(3), 1), STAGES[name]
    batch = nx.TimedWindows(t, q, v)
    if "inputs" in options:
        u = np.random.default_rng(0).normal(size=(2, 4, 3))
        model, start = nx.Forced(model, motor), np.array([0.0, 1.0])
        batch = nx.DrivenWindows(t, q, v, None, start, u)

    def value_and_gradient(solver):
        loss = nx.TrajectoryLoss(**options, solver=solver)
        return compiled(eqx.filter_value_and_grad(lambda model: loss(model, batch)), model)

    value, gradient = value_and_gradient(nx.RK4())
    expected, slope = value_and_gradient(StepByStep())
    assert np.allclose(value, expected, rtol=1e-8)
    largest = max(np.abs(x).max() for x in jax.tree.leaves(slope))
    for x, y in zip(jax.tree.leaves(gradient), jax.tree.leaves(slope), strict=True):
        assert np.allclose(x, y, atol=1e-7 * largest)


def test_windows_without_times_ask_for_the_interval():
    batch = windows()
    for given in (batch, tuple(batch)):
        with pytest.raises((TypeError, ValueError), match="needs the interval"):
            nx.TrajectoryLoss()(TRUE, given)


def test_stages_taken_at_once_have_derivatives_by_all_that_the_loss_takes():
    """By the data, their times, and what a plain function closes over: as by the steps."""
    t = 0.3 * np.arange(4) * np.ones((2, 1))
    q, v = np.random.default_rng(0).normal(size=(2, 2, 4, 1, 1))

    def loss(solver, stiffness, q, times):
        def law(q, v, t):
            mass = 1 + 0.2 * jnp.sin(q) ** 2 + 0.1 * v**2
            return jnp.sum(mass * v**2 - stiffness * q**2 * (1 + 0.3 * jnp.sin(t))) / 2

        batch = nx.DrivenWindows(times, q, v, None, np.array([0.0, 1.0]), None)
        return nx.TrajectoryLoss(solver=solver)(law, batch)

    at = (jnp.asarray(1.3), jnp.asarray(q), jnp.asarray(t))
    slopes = [
        compiled(jax.grad(lambda *x, s=solver: loss(s, *x), argnums=(0, 1, 2)), *at)
        for solver in (nx.RK4(), StepByStep())
    ]
    for found, expected in zip(*slopes, strict=True):
        assert np.abs(expected).max() > 1e-3
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
