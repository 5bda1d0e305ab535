"""Time and inputs in data, losses, training and evaluation: a spring that known inputs drive."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax.losses import check_kind, samples_of
from noetherax.training._scale import scale_of

STIFFNESS, FRICTION = 2.0, 0.3
NUMBERS = np.random.default_rng(0)
IRREGULAR = np.cumsum(NUMBERS.uniform(0.05, 0.15, size=60))
EVEN = 0.1 * np.arange(60)
U = np.stack([np.sin(3 * EVEN), NUMBERS.normal(size=60)], axis=1)


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return jnp.sum(v**2) / 2 - self.stiffness * jnp.sum(q**2) / 2


class Drag(nx.Force):
    coefficient: jax.Array

    def __call__(self, q, v):
        return -self.coefficient * v


def drive(q, v, t, u):
    """Two motors on one coordinate."""
    return (u[0] - 0.5 * u[1]).reshape(1, 1)


def machine(stiffness=STIFFNESS, friction=FRICTION, driven=True):
    forces = [Drag(jnp.asarray(friction)), *([drive] if driven else [])]
    return nx.Forced(Spring(jnp.asarray(stiffness)), *forces)


@functools.cache
def motion(kind="linear", even=False):
    """The true motion under inputs, with t, q, v, a; of `hold` in pieces, since u jumps."""
    t = EVEN if even else IRREGULAR
    model, q, v = machine(), jnp.ones((1, 1)), jnp.zeros((1, 1))

    def piece(state, samples):
        q, v = state
        ends, held = samples
        inputs = (lambda t: held) if kind == "hold" else nx.Inputs(t, U, kind)
        ts = jnp.linspace(ends[0], ends[1], 9)
        path = nx.rollout(nx.Driven(model, inputs), q, v, ts=ts, solver=nx.RK4())
        state = path.q[-1], path.v[-1]
        return state, state

    ends = np.stack([t[:-1], t[1:]], axis=1)
    _, (qs, vs) = jax.jit(functools.partial(jax.lax.scan, piece))(
        (q, v), (jnp.asarray(ends), jnp.asarray(U[:-1]))
    )
    q, v = np.concatenate([q[None], qs]), np.concatenate([v[None], vs])
    a = compiled(nx.acceleration, model, q, v, t, U)
    return t, *(np.asarray(x) for x in (q, v, a))


def recorded(kind="linear", even=False, offset=0.0, members="qva"):
    t, q, v, a = motion(kind, even)
    v, a = (x if name in members else None for name, x in (("v", v), ("a", a)))
    # Two recordings, so that windows and times of one are not those of the other.
    parts = slice(0, 30), slice(30, 60)
    cut = [[x[part] for part in parts] if x is not None else None for x in (q, v, a, U)]
    return nx.Tracks([t[part] + offset for part in parts], *cut)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_true_law_has_no_loss_and_that_without_its_drive_has(offset):
    tracks = recorded(offset=offset)
    batch = tracks.observations()
    assert batch._fields == ("q", "v", "a", "t", "u")
    loss = nx.AccelerationLoss()
    assert compiled(loss, machine(), batch) < 1e-20
    assert compiled(loss, machine(driven=False), batch) > 0.1
    # The same of windows, whose loss is measured by the noise.
    windows = tracks.windows(9)
    assert windows.start[0] == IRREGULAR[0] + offset
    loss = nx.TrajectoryLoss(noise=1e-3)
    assert compiled(loss, machine(), windows) < 1e-3
    assert compiled(loss, machine(driven=False), windows) > 1e2


@pytest.mark.parametrize("kind", ["hold", "cubic"])
def test_inputs_go_on_between_samples_as_told(kind):
    windows = recorded(kind, members="q").windows(9)
    right, wrong = (
        compiled(nx.TrajectoryLoss(noise=1e-3, inputs=x), machine(), windows)
        for x in (kind, "hold" if kind == "cubic" else "linear")
    )
    # Slopes of cubics at the ends of windows are not those along the recording.
    assert right < (1e-3 if kind == "hold" else 0.1)
    assert wrong > 10


def test_discrete_loss_takes_inputs_in_the_middle():
    windows = recorded(even=True, members="q").windows(9)
    loss = nx.DiscreteLoss(0.1)
    value = eqx.filter_jit(loss)
    assert value(machine(), windows) < 0.05 * value(machine(driven=False), windows)
    with pytest.raises(
        ValueError, match="given the interval 0.2, but samples of these windows are 0.1"
    ):
        nx.DiscreteLoss(0.2).states(windows)


def test_nothing_changes_where_nothing_depends_on_time():
    """Users' losses unpack three arrays, and batches of time and inputs give the same program."""
    tracks, model = recorded(), machine(driven=False)

    def loss(model, batch):
        q, v, a = batch
        return jnp.mean((nx.acceleration(model, q, v) - a) ** 2)

    _, history = nx.fit(
        model, tracks, steps=1, loss=loss, key=jax.random.key(0), preparation=False, progress=False
    )
    assert len(history.loss) == 1
    assert isinstance(samples_of(nx.TrajectoryLoss(), tracks), nx.TimedWindows)

    def program(loss, make, members):
        return str(jax.make_jaxpr(lambda *members: loss(model, make(*members)))(*members))

    for loss, plain, timed in (
        (nx.AccelerationLoss(), tracks.observations(timed=False), tracks.observations()),
        (nx.TrajectoryLoss(), tracks.windows(9, timed=False), tracks.windows(9)),
    ):
        count, kind = len(plain), type(timed)
        with_times = functools.partial(lambda kind, rest, *x: kind(*x, *rest), kind, timed[count:])
        assert program(loss, type(plain), plain) == program(loss, with_times, timed[:count])


def test_what_lacks_times_or_inputs_is_named():
    q, v, a = recorded().observations(timed=False)
    loss = nx.AccelerationLoss()
    with pytest.raises(
        ValueError, match=r"takes inputs, but the batch has none.*TimedObservations"
    ):
        loss(machine(), (q, v, a))
    t = jnp.zeros(len(q))
    with pytest.raises(
        ValueError, match=r"A force of this model takes inputs, but the data have none"
    ):
        loss(machine(), (q, v, a, t))
    with pytest.raises(ValueError, match=r"u must have shape .*One input is u\[:, None\]"):
        loss.states((q, v, a, t, t))
    with pytest.raises(ValueError, match="inputs must be one of"):
        check_kind("spline")
    with pytest.raises(
        ValueError, match="one for each of the 1 coordinates, but these tracks have 2"
    ):
        samples_of(nx.ForceLoss(), recorded())


def test_a_forced_model_is_learned_saved_and_polished(tmp_path):
    """Drag and stiffness from tracks: by all that trains, to the true numbers."""
    tracks, start = recorded(), machine(1.0, 0.0)
    two = eqx.filter_vmap(machine)(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0]))
    keys = jax.random.split(jax.random.key(0), 2)
    models, history = nx.fit_ensemble(
        two, tracks, steps=2, batch_size=8, keys=keys, validation=tracks, progress=False
    )
    assert history.loss.shape == (2, 2)
    model = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, models)
    model, history = nx.polish(model, tracks, progress=False)
    assert history.loss[-1] < 1e-20
    nx.save(tmp_path / "model", model)
    loaded = nx.load(tmp_path / "model", start)
    assert np.isclose(loaded.lagrangian.stiffness, STIFFNESS)
    assert np.isclose(loaded.forces[0].coefficient, FRICTION)


def test_a_force_that_no_state_changes_has_a_derivative():
    model = nx.Forced(Spring(jnp.asarray(2.0)), lambda q, v: jnp.ones((1, 1)))
    one = jnp.ones((1, 1))
    _, slope = compiled(
        lambda q: jax.jvp(lambda q: nx.acceleration(model, q, one), (q,), (q,)), one
    )
    assert np.allclose(slope, -2)


def test_inputs_do_not_train():
    driven = nx.Driven(machine(), nx.Inputs(EVEN, U))
    chosen = nx.trainable(driven)
    assert chosen.model.lagrangian.stiffness
    assert not any(jax.tree.leaves(chosen.inputs))


def test_a_new_network_starts_by_the_forces_that_act():
    """Least squares of the last layer with the drive on the other side: the scale of L is known."""
    q, v, a, _, u = recorded().observations()
    shifted = nx.TimedObservations(q, v, a, jnp.arange(60.0), u)
    features = nx.Trivial(1).invariant_features(1)
    network = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
    model = nx.Forced(network, Drag(jnp.asarray(FRICTION)), drive)
    model, note = nx.prepare(model, shifted)
    assert "by least squares" in note
    errors = compiled(nx.AccelerationLoss(), model, shifted)
    assert errors < 0.1 * np.mean(np.square(a))
    mass = nx.euler_lagrange_terms(model.lagrangian, q, v).mass_matrix
    assert 0.7 < np.mean(mass) < 1.3


def arm(q, v):
    """Two joints, with a field that gives the velocity a part of its own."""
    mass = jnp.array([[2.0, 0.5], [0.5, 1.0]]) * (1.5 + jnp.cos(q[1, 0]))
    x = v[:, 0]
    return x @ mass @ x / 2 + jnp.sum(jnp.cos(q)) + q[0, 0] * v[1, 0]


def test_forces_of_a_motion_and_their_parts():
    q, v, a = np.asarray(jax.random.normal(jax.random.key(1), (3, 5, 2, 1)))
    model = nx.Forced(arm, lambda q, v: -0.3 * v)
    force = compiled(nx.generalised_force, model, q, v, a)
    parts = jax.tree.map(np.asarray, compiled(nx.force_parts, model, q, v, a))
    assert np.allclose(sum(parts), force, atol=1e-13)
    assert np.allclose(parts.forces, 0.3 * v)
    mass = compiled(nx.euler_lagrange_terms, arm, q, v).mass_matrix
    assert np.allclose(parts.inertial[..., 0], np.einsum("sij,sj->si", mass, a[..., 0]))
    assert np.allclose(parts.potential, np.sin(q))
    assert np.allclose(compiled(nx.force_parts, model, q, 0 * v, a).coriolis, 0)
    assert np.max(np.abs(parts.coriolis)) > 0.1
    # Beside what a motion takes, its own acceleration follows.
    moved = nx.Forced(model, lambda q, v, t, u: u.reshape(2, 1))
    u = np.reshape(force, (5, 2))
    assert np.allclose(compiled(nx.acceleration, moved, q, v, np.zeros(5), u), a)


def test_force_loss_finds_the_scale_of_a_network():
    q, v, a = np.asarray(jax.random.uniform(jax.random.key(2), (3, 200, 1, 1), minval=-1.0))
    states = (q, v, a, 3 * a + 5 * np.sin(q) + 0.2 * v)
    batch = nx.ForceObservations(*map(jnp.asarray, states))
    size = np.mean(np.square(batch.tau))
    truth = nx.Forced(lambda q, v: jnp.sum(1.5 * v**2 + 5 * jnp.cos(q)), lambda q, v: -0.2 * v)
    loss = nx.ForceLoss()
    assert compiled(loss, truth, batch) < 1e-25
    assert np.isclose(compiled(loss, lambda q, v: 0.0 * jnp.sum(q * v), batch), size)
    features = nx.Trivial(1).invariant_features(1)
    network = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
    model = nx.Forced(network, Drag(jnp.asarray(0.2)))
    model, note = nx.prepare(model, batch, loss=loss)
    assert "by least squares" in note
    assert compiled(loss, model, batch) < 0.05 * size
    # In another unit of mass weights are as large, so that steps of training are.
    mass = 2.0**-80
    light = nx.Forced(network, Drag(jnp.asarray(0.2 * mass)))
    light, _ = nx.prepare(light, batch._replace(tau=mass * batch.tau), loss=loss)
    sizes = [jnp.linalg.norm(x.lagrangian.network.layers[-1].weight) for x in (light, model)]
    assert 0.5 < sizes[0] / sizes[1] < 2
    assert 0.25 < light.lagrangian.unit.value / (mass * model.lagrangian.unit.value) < 4
    tiny = batch._replace(tau=1e-25 * batch.tau)
    tiny = jax.tree.map(lambda x: x.astype(jnp.float32)[None], tiny)
    with pytest.raises(ValueError, match="Measured forces are up to"):
        scale_of(loss, network, tiny)
    # Of tracks, the inputs are what was measured.
    tracks = nx.Tracks(np.arange(200.0), q, v, a, inputs=batch.tau[:, 0])
    assert np.array_equal(samples_of(loss, tracks).tau, batch.tau)


def test_evaluation_follows_a_driven_model_under_what_was_recorded():
    tracks = recorded(offset=1e3)
    options = dict(solver=nx.RK4(), dt=None)
    for times, charges in ((None, {"energy": nx.Energy}), (10, {})):
        found = nx.evaluate(machine(), tracks, times=times, charges=charges, **options)
        assert found["distance"].worst < 1e-3
        assert found["explained"].worst > 1 - 1e-9
        assert any("balance" in note for note in found.notes) == bool(charges)
    found = nx.evaluate(machine(driven=False), tracks, charges={}, **options)
    assert found["distance"].worst > 0.1
    assert any("inputs were not used" in note for note in found.notes)


class Swing(nx.systems.System):
    """A spring with friction whose stiffness goes up and down."""

    @property
    def lagrangian(self):
        def swing(q, v, t):
            return jnp.sum(v**2) / 2 - (1 + 0.5 * jnp.sin(2 * t)) * jnp.sum(q**2) / 2

        return nx.Forced(swing, lambda q, v: -0.1 * v)

    @property
    def group(self):
        return nx.Trivial(1)

    def initial_state(self):
        return jnp.ones((1, 1)), jnp.zeros((1, 1))

    def random_state(self, key):
        return self.initial_state()


def test_a_system_with_friction_and_time():
    system = Swing()
    law = system.lagrangian
    draw = system.sampler(batch_size=64, noise=0.0, samples=50)
    batch = compiled(draw, jax.random.key(0))
    assert compiled(nx.AccelerationLoss(), law, batch) < 1e-20
    options = dict(velocities=True, accelerations=True, batch_size=4, noise=0.0, samples=50)
    windows = compiled(system.windows(0.1, **options), jax.random.key(0))
    inside = nx.TrajectoryLoss(0.1).states(windows)
    assert len(inside) == 5
    assert compiled(nx.AccelerationLoss(), law, inside) < 1e-20
    with pytest.raises(ValueError, match="depends on time, and a fresh orbit"):
        nx.systems.Orbits(system, np.inf).sampler()
    options = dict(orbits=0, charges={}, solver=nx.RK4(), dt=0.05)
    found = nx.evaluate(law, system, ts=np.linspace(0, 5, 51), **options)
    assert found["distance"].worst < 1e-4 > found["error of da/dq"].worst
