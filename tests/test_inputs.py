"""Inputs as functions of time: their slopes, Lagrangians that take them, and where they jump."""

import diffrax
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled
from scipy.integrate import solve_ivp

import noetherax as nx

T = 0.2 * np.arange(11)
U = np.random.default_rng(0).normal(size=(11, 1))
REST = jnp.zeros((1, 1))


def free(q, v):
    return jnp.sum(v**2) / 2


def spring(q, v):
    return -jnp.sum(q**2) / 2


def command(q, v, t, u):
    return u[None]


def of_support(q, v, t, u):
    """Momentum v + u: the acceleration is −du/dt."""
    return jnp.sum(v**2) / 2 + u[0] * jnp.sum(v)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_slopes_at_samples_are_those_beside_them(kind):
    inputs = nx.Inputs(T, np.sin(T)[:, None], kind)
    slope = compiled(jax.vmap(jax.grad(lambda t: inputs(t)[0])), jnp.asarray(T))
    beside = compiled(jax.vmap(jax.grad(lambda t: inputs(t)[0])), jnp.asarray(T[:-1] + 1e-9))
    assert np.allclose(slope[:-1], beside, atol=1e-7)
    assert np.allclose(slope, np.cos(T), atol=0.2)  # half of it would not be
    outside = jax.vmap(jax.grad(lambda t: inputs(t)[0]))(jnp.array([-1.0, 3.0]))
    assert not np.any(outside)  # beyond the samples they keep their value


@pytest.mark.parametrize("beyond", [0.0, 1e-15, 5e-4])
def test_losses_bear_the_rounding_of_times(beyond):
    """Their intervals may be longer than those of the data."""
    t = np.arange(9) / 10 + 0.3
    q, v, a = (x[:, None, None] for x in (-(t**2) / 2, -t, -np.ones_like(t)))
    batch = nx.Tracks([t], [q], [v], [a], inputs=[t[:, None]]).windows(9, timed=True)
    loss = nx.TrajectoryLoss(0.1 * (1 + beyond))
    # Without the slope at one end of a step, of v by 0.1/6.
    assert np.max(np.abs(compiled(loss.residuals, of_support, batch))) < 1e-9 + 2 * beyond


def test_motions_that_outlast_their_inputs_have_no_slope_there():
    def of_carriage(q, v, t, u):
        return jnp.sum((v - u[0]) ** 2) / 2 + u[0]

    driven = nx.Driven(of_carriage, nx.Inputs([0.0, 1.0], [[0.0], [1.0]]))
    for solver, dt in ((None, None), (nx.RK4(), 0.1), (nx.VariationalMidpoint(), 0.1)):
        path = nx.rollout(driven, REST, REST, ts=np.array([0.0, 1.0, 2.0]), solver=solver, dt=dt)
        assert np.allclose(path.v[1:], 1, atol=1e-8)
    path = nx.rollout(driven, REST, REST, ts=np.array([-1.0, -0.5, 0.5, 1.0]))
    assert np.allclose(path.v[:, 0, 0], [0, 0, 0.5, 1], atol=1e-8)
    put = nx.impulses(nx.Energy(driven), nx.rollout(driven, REST, REST, ts=np.array([0.0, 1, 2])))
    assert np.allclose(put[1:, -1, 0], put[1, -1, 0], atol=1e-8)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_a_delay_has_a_derivative(kind):
    def late(delay):
        return nx.Inputs(jnp.asarray(T) + delay, jnp.asarray(U), kind)(jnp.array(0.93))[0]

    left, right = late(0.01 - 1e-6), late(0.01 + 1e-6)
    assert np.allclose(jax.grad(late)(0.01), (right - left) / 2e-6, rtol=1e-6)


def test_a_lagrangian_of_inputs_moves_as_one_of_time():
    def support(t):
        return jnp.sin(t)[None]

    driven = nx.Driven(of_support, support)
    assert np.allclose(nx.acceleration(driven, REST, REST, 0.5), -np.cos(0.5))
    states = jnp.zeros((3, 1, 1))
    times = jnp.array([0.1, 0.5, 2.0])
    found = nx.acceleration(nx.at_time(driven, times), states, states)
    assert np.allclose(found[:, 0, 0], -np.cos(times))
    residual = nx.euler_lagrange_residual(nx.at_time(driven, 0.5), REST, REST, REST)
    assert np.allclose(residual, np.cos(0.5))
    path = nx.rollout(driven, REST, REST, ts=np.linspace(0, 3, 7), solver=nx.RK4(), dt=0.05)
    assert np.allclose(path.q[-1], np.cos(3) - 1, atol=1e-6)
    charge = nx.Translations(1).noether_charge(driven)
    assert np.max(np.abs(nx.balance(charge, path))) < 1e-6


def test_no_step_crosses_a_kink_of_the_inputs_in_a_momentum():
    driven = nx.Driven(of_support, nx.Inputs(T, U, "linear"))
    path = nx.rollout(driven, REST, REST, ts=T, solver=nx.RK4())
    spans = np.diff(T)
    whole = np.sum((U[1:, 0] + U[:-1, 0]) / 2 * spans) - U[0, 0] * T[-1]
    assert np.allclose(path.q[-1], -whole, atol=1e-12)  # and not by first order


def test_inputs_without_a_rate_have_no_part_in_the_momentum():
    u = jnp.array([0.3])
    with pytest.raises(RuntimeError, match="du/dt"):
        nx.acceleration(nx.at_time(of_support, 0.0, u), REST, REST)
    with pytest.raises(RuntimeError, match="u jumps"):  # and velocities would jump with it
        nx.acceleration(nx.Driven(of_support, HELD), REST, REST, 0.3)

    def parametric(q, v, t, u):
        return jnp.sum(v**2) / 2 - u[0] * jnp.sum(q)

    assert np.allclose(nx.acceleration(nx.at_time(parametric, 0.0, u), REST, REST), -0.3)


@pytest.fixture(scope="module")
def held():
    """Positions at the samples of a spring under held inputs, piece by piece."""
    states = [np.array([1.0, 0.0])]
    for k in range(len(T) - 1):
        options = dict(rtol=1e-12, atol=1e-12, method="DOP853")
        piece = solve_ivp(
            lambda t, y, k=k: [y[1], U[k, 0] - y[0]], T[k : k + 2], states[-1], **options
        )
        states.append(piece.y[:, -1])
    return np.array(states)


HELD = nx.Inputs(T, U, "hold")
WHOLE = nx.Driven(nx.Forced(nx.LagrangianSum(free, spring), command), HELD)
PARTS = nx.LagrangianSum(nx.Driven(nx.Forced(free, command), HELD), spring)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(PARTS, id="sum"),
        pytest.param(nx.Forced(PARTS, lambda q, v: 0 * v), id="forced sum"),
        pytest.param(nx.at_time(WHOLE, 0.0), id="instant"),
    ],
)
def test_no_step_crosses_a_jump_wherever_inputs_are_bound(model, held):
    path = nx.rollout(model, REST + 1, REST, ts=T, solver=nx.RK4(), dt=0.1)
    assert np.allclose(path.q[:, 0, 0], held[:, 0], atol=1e-5)  # of first order: 4e-3


def test_steps_in_single_precision_end_at_jumps_of_inputs_in_double():
    single = [jnp.asarray(x, jnp.float32) for x in (REST + 1, REST)]
    double = REST + 1, REST
    ends = [
        nx.rollout(WHOLE, *state, ts=T, solver=nx.RK4(), dt=0.1).q for state in (single, double)
    ]
    assert np.allclose(*ends, atol=1e-6)  # of first order: 4e-3


@pytest.mark.parametrize("start", [-1.0, 0.0])
def test_a_jump_at_zero_is_a_jump(start):
    """Zero has no time before it that XLA would not take for zero."""
    inputs = nx.Inputs([-2.0, 0.0], [[0.0], [1.0]], "hold")
    model = nx.Driven(nx.Forced(free, command), inputs)
    path = nx.rollout(
        model, REST, REST, ts=np.array([start - 1, start + 1]), solver=nx.RK4(), dt=0.5
    )
    assert np.allclose(path.v[-1], max(start + 1, 0) if start else 1, atol=1e-12)


@pytest.mark.parametrize("options", [{"dt": 0.02}, {"solver": nx.RK4()}])
@pytest.mark.parametrize("bound", [False, True])
def test_evaluation_steps_to_the_jumps(options, bound, held):
    tracks = nx.Tracks(T, held[:, :1, None], held[:, 1:, None], inputs=U)
    model, kind = (WHOLE, "linear") if bound else (WHOLE.model, "hold")
    found = nx.evaluate(model, tracks, inputs=kind, **options)
    assert found["distance"].median < 1e-4  # else some per cents


def test_recordings_of_unlike_times_step_to_their_own_jumps(held):
    """Where times differ, they are not known before the program runs."""
    half = np.append(T[:6], T[5] + np.pi / 40)  # held on for a while
    since = half[-1] - T[5]
    on = U[5] + (held[5, 0] - U[5]) * np.cos(since) + held[5, 1] * np.sin(since)
    q = [held[:, :1, None], np.append(held[:6, 0], on)[:, None, None]]
    inputs = [U, np.append(U[:6], U[5:6], axis=0)]
    tracks = nx.Tracks([T, half], q, [held[:, 1:, None], 0 * q[1]], inputs=inputs)
    assert tracks.interval is None
    found = nx.evaluate(WHOLE.model, tracks, inputs="hold", charges={}, solver=nx.RK4())
    assert np.all(found["distance"].values < 1e-4)


def test_the_balance_of_a_motion_that_an_event_ended():
    damped = nx.Forced(nx.LagrangianSum(free, spring), lambda q, v: -0.1 * v)
    event = diffrax.Event(lambda t, y, args, **more: y[0][0, 0])
    ts = np.linspace(0, 6, 13)
    path = nx.rollout(damped, REST + 1, REST, ts=ts, solver=nx.RK4(), event=event)
    ended = int(np.sum(np.isfinite(path.ts)))
    assert ended < len(ts)
    left = nx.balance(nx.Energy(damped), path)
    assert np.max(np.abs(left)) < 1e-2  # of a step of 0.5
    assert np.all(left[ended:] == left[ended - 1])
    lost = nx.Trajectory(
        jnp.asarray(ts), path.q, path.v, None, {}, diffrax.RESULTS.max_steps_reached
    )
    assert np.all(np.isnan(nx.balance(nx.Energy(damped), lost)[ended:]))


def test_the_balance_of_held_inputs_back_in_time():
    path = nx.rollout(WHOLE, REST, REST, ts=T[::-1], solver=nx.RK4(), dt=0.02)
    left = nx.balance(nx.Energy(WHOLE), path)
    assert np.max(np.abs(left)) < 1e-7


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("solver", [nx.RK4(), nx.VariationalGauss4()])
def test_the_balance_counts_jumps_of_the_lagrangian(solver, backwards):
    """A spring whose stiffness is switched puts in Δk q²/2, also where times of jumps and of steps
    differ by rounding, and where several jumps lie between saved times."""
    t = np.append(0.1 * np.arange(21), [3.0, 3.001, 4.0]) + 0.1
    stiffness = np.random.default_rng(0).uniform(1, 4, len(t))

    def switched(q, v, t, u):
        return jnp.sum(v**2) / 2 - u[0] * jnp.sum(q**2) / 2

    model = nx.Driven(switched, nx.Inputs(t, stiffness[:, None], "hold"))
    ts = np.append(np.linspace(0, 2, 11), 5.0)
    path = nx.rollout(
        model, REST + 1, REST, ts=ts[::-1] if backwards else ts, solver=solver, dt=0.0125
    )
    charge = nx.Energy(model)
    left = nx.balance(charge, path)
    put_in = nx.impulses(charge, path)[-1, -1, 0]
    changed = charge(path.q[-1], path.v[-1], path.ts[-1]) - charge(path.q[0], path.v[0], path.ts[0])
    # Both are of order four, and what a jump puts in is of order one.
    assert np.max(np.abs(left)) < 1e-7 * np.max(np.abs(path.v)) ** 2
    assert abs(put_in) > 0.1
    assert np.allclose(put_in, changed, atol=1e-5)


def test_a_law_of_a_large_clock_is_followed_as_well_as_time_is_known():
    """Seconds since 1970 are known to 2.4e-7. Steps that ask for more would shrink for ever."""

    def swing(q, v, t):
        return jnp.sum(v**2) / 2 - 2 * jnp.sum(q**2) + jnp.cos(t) * jnp.sum(q)

    t = 1.7e9 + 0.05 * np.arange(101)
    q, v = (x[:, None, None] / 3 for x in (np.cos(t), -np.sin(t)))
    path = nx.rollout(swing, q[0], v[0], ts=t)
    assert np.max(np.abs(path.q - q)) < 1e-6
    found = nx.evaluate(swing, nx.Tracks(t, q, v, -q), charges={})
    assert found["distance"].worst < 1e-5


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_inputs_end_alike_beside_longer_recordings(kind):
    """Where a momentum takes inputs, accelerations hold du/dt, at the last sample as well."""

    def recording(count):
        t = np.arange(count) * 1.0
        rate = np.ones_like(t) if kind == "linear" else 2 * t
        place, speed = (t**2 / 2, t) if kind == "linear" else (t**3 / 3, t**2)
        return t, *(x[:, None, None] for x in (place, speed, rate)), speed[:, None]

    def of_carriage(q, v, t, u):
        return jnp.sum((v - u[0]) ** 2) / 2

    t, q, v, a, u = map(list, zip(recording(5), recording(9), strict=True))
    found = nx.evaluate(of_carriage, nx.Tracks(t, q, v, a, inputs=u), inputs=kind)
    assert np.allclose(found["explained"].values, 1)
    assert np.max(found["distance"].values) < 1e-8


def pulled(q, v, t, u):
    return jnp.sum(v**2) / 2 - u[0] * jnp.sum(q**2) / 2


PAIRS = {"attributes": 1, "key": jax.random.key(0)}
TAKE_INPUTS = {
    "pairs": lambda: nx.PairwiseLagrangian(nx.Euclidean(1), 4, **PAIRS),
    "pairs that see velocities": lambda: nx.GeneralPairwiseLagrangian(nx.Euclidean(1), 4, **PAIRS),
    "friction of pairs": lambda: nx.Forced(
        helpers.HarmonicOscillator(), nx.PairFriction(nx.Euclidean(1), width=4, **PAIRS)
    ),
    "a sum": lambda: nx.LagrangianSum(helpers.HarmonicOscillator(), pulled),
    "a sum of a model with a force": lambda: nx.LagrangianSum(
        nx.Forced(helpers.HarmonicOscillator(), lambda q, v, t, u: u[:, None]),
        helpers.HarmonicOscillator(),
    ),
    "an average": lambda: nx.AveragedLagrangian(
        nx.LagrangianSum(helpers.HarmonicOscillator(), pulled), [(0, 1), (1, 0)]
    ),
    "a sum with a force": lambda: nx.Forced(
        nx.LagrangianSum(helpers.HarmonicOscillator(), pulled), lambda q, v: -v
    ),
}


@pytest.mark.parametrize("name", TAKE_INPUTS)
def test_a_driven_model_has_the_value_of_its_lagrangian(name):
    """And no warning says that it takes no inputs."""
    driven = nx.Driven(TAKE_INPUTS[name](), lambda t: jnp.stack([1 + t, 2 * t]))
    (q, v), t = jax.random.normal(jax.random.key(1), (2, 2, 1)), jnp.asarray(2.0)
    assert np.allclose(driven(q, v, t), nx.at_time(driven, t)(q, v), rtol=1e-12)
    energy = nx.energy(driven, q, v, t)  # of the same Lagrangian, by p · v − L
    momentum = nx.momentum(nx.at_time(driven, t), q, v)
    assert np.allclose(jnp.sum(momentum * v) - energy, driven(q, v, t), rtol=1e-12)


def test_a_driven_model_has_a_value_in_the_precision_of_its_state():
    driven = nx.Driven(pulled, lambda t: jnp.stack([t, t]))
    q, v = jnp.ones((2, 2, 1), jnp.float32)
    for t in (2, 2.0, jnp.asarray(2.0)):
        value = driven(q, v, jnp.asarray(t))
        assert value.dtype == jnp.float32
        assert value == 1 - 2.0


def test_inputs_that_nothing_takes_are_said():
    fixed = nx.PairwiseLagrangian(nx.Euclidean(1), 4, attributes=np.ones((2, 1)), key=PAIRS["key"])
    for model in (helpers.HarmonicOscillator(), fixed, nx.Forced(fixed, lambda q, v: -v)):
        with pytest.warns(UserWarning, match="No part of this model takes inputs"):
            nx.Driven(model, lambda t: t[None])


MASSES = {
    "assumed kinetic energy": nx.PairwiseLagrangian(nx.Euclidean(2), 4, mass_attribute=0, **PAIRS),
    "pairs that see velocities": nx.GeneralPairwiseLagrangian(
        nx.Euclidean(2), 4, relative_velocities=True, mass_attribute=0, **PAIRS
    ),
}


def burning(t):
    """Masses of three points."""
    return jnp.stack([1 + 0.3 * t, 2 - 0.8 * t, 1.5 + 0.2 * jnp.sin(t)])


@pytest.mark.parametrize("name", MASSES)
def test_the_rate_of_attributes_is_in_the_equations_of_motion(name):
    """As in those of the same law as a function of (q, v, t), which is differentiated by itself."""
    law, (q, v) = MASSES[name], jax.random.normal(jax.random.key(1), (2, 3, 2))

    def referee(q, v, t):
        return nx.with_attributes(law, burning(t)[:, None])(q, v)

    driven, t = nx.Driven(law, burning), jnp.array([0.7, 0.2])
    both = nx.acceleration(driven, jnp.stack([q, q]), jnp.stack([v, v]), t)
    for a, when in zip(both, t, strict=True):
        expected = nx.acceleration(referee, q, v, when)
        assert np.allclose(a, expected, rtol=1e-11, atol=1e-12)
        assert np.allclose(nx.acceleration(driven, q, v, when), expected, rtol=1e-11, atol=1e-12)
        # What is missing where the masses are constants.
        held = nx.acceleration(nx.with_attributes(law, burning(when)[:, None]), q, v)
        assert np.abs(held - expected).max() > 1e-2


def test_a_motion_with_masses_that_change_keeps_its_momentum():
    law, (q, v) = MASSES["assumed kinetic energy"], jax.random.normal(jax.random.key(1), (2, 3, 2))
    driven, ts = nx.Driven(law, burning), jnp.linspace(0.0, 1.0, 3)
    orbit = nx.rollout(driven, q, v, ts=ts)
    assert np.abs(nx.drift(nx.Translations(2).noether_charge(driven), orbit)).max() < 1e-8
    stepped = nx.rollout(driven, q, v, ts=ts, solver=nx.VariationalGauss4(), dt=0.05)
    assert np.allclose(stepped.q, orbit.q, atol=1e-4)


def test_masses_that_are_held_and_jump_are_refused():
    law, (q, v) = MASSES["assumed kinetic energy"], jnp.ones((2, 3, 2))
    t = jnp.arange(3.0)
    steady = nx.Driven(law, nx.Inputs(t, jnp.ones((3, 3)), "hold"))
    assert np.all(np.isfinite(nx.acceleration(steady, q + jnp.eye(3, 2), v, 0.5)))
    jumping = nx.Driven(law, nx.Inputs(t, jax.vmap(burning)(t), "hold"))
    with pytest.raises(RuntimeError, match="kind 'hold' that jump"):
        nx.rollout(jumping, q + jnp.eye(3, 2), v, ts=t)
    # Charges may jump beside masses that do not.
    both = nx.PairwiseLagrangian(
        nx.Euclidean(2), 4, attributes=2, mass_attribute=0, key=jax.random.key(0)
    )
    columns = jnp.stack([jnp.ones((3, 3)), jax.vmap(burning)(t)], axis=2)
    charged = nx.Driven(both, nx.Inputs(t, columns.reshape(3, 6), "hold"))
    a = nx.acceleration(charged, q + jnp.eye(3, 2), v, 0.5)
    known = nx.with_attributes(both, columns[0])
    assert np.allclose(a, nx.acceleration(known, q + jnp.eye(3, 2), v), rtol=1e-12)


def test_training_on_accelerations_says_that_attributes_change():
    t = np.linspace(0.0, 1.0, 8)
    q, v, a = np.random.default_rng(0).normal(size=(3, 8, 3, 2))
    law = MASSES["assumed kinetic energy"]
    changing = nx.Tracks(t, q, v, a, inputs=np.asarray(jax.vmap(burning)(t)), names=["rocket"])
    with pytest.warns(UserWarning, match=r"input 1 of recording .rocket. goes from 1.2 to 2"):
        nx.prepare(law, changing)
    with pytest.raises(ValueError, match="takes inputs, but the data have none"):
        nx.prepare(law, nx.Tracks(t, q, v, a))
    constant = nx.Tracks(t, q, v, a, inputs=np.ones((8, 3)))
    nx.prepare(law, constant)
    # Charges alone change, of which no momentum knows.
    nx.prepare(nx.PairwiseLagrangian(nx.Euclidean(2), 4, **PAIRS), changing)


STEPS = {
    "chosen": {"max_steps": 99},
    "fixed": {"solver": nx.RK4(), "dt": 0.1},
    "variational": {"solver": nx.VariationalMidpoint(), "ts": np.arange(4.0)},
}


@pytest.mark.parametrize("name", STEPS)
def test_a_motion_has_its_derivative_by_the_times_of_jumps(name):
    """q'' = u(t): q(3) moves by (u₋ − u₊)(3 − t) as the time t of a jump does."""

    def end(times, ts=(0.0, 3.0), **options):
        u = jnp.array([[1.0], [-2.0], [0.5]])
        free = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, lambda q, v, t, u: u[None])
        driven, rest = nx.Driven(free, nx.Inputs(times, u, "hold")), jnp.zeros((1, 1))
        return nx.rollout(driven, rest, rest, ts=np.array(ts), **options).q[-1, 0, 0]

    slope = jax.grad(lambda times: end(times, **STEPS[name]))(jnp.arange(3.0))
    assert np.allclose(slope, [0, 6, -2.5], atol=1e-8)
