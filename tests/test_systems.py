import functools
import math

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx

ELLIPSES = nx.systems.Orbits(nx.systems.Kepler(), math.inf)


@pytest.mark.parametrize("eccentricity", [0.0, 0.3, 0.8, 0.99])
@pytest.mark.parametrize("angular_momentum", [1.0, -0.7])
def test_the_reference_solves_keplers_problem(eccentricity, angular_momentum):
    """Against laws it was not computed from: the equation of motion, by finite differences."""
    kepler = nx.systems.Kepler(2.0, 3.0, eccentricity, angular_momentum)
    ts = np.linspace(0.1, 3 * kepler.period, 40)
    step = 1e-6 * kepler.period
    motions = (kepler.reference(x) for x in (ts, ts + step, ts - step))
    (q, v), later, earlier = ([np.asarray(x) for x in states] for states in motions)
    acceleration = -1.5 * q / np.linalg.norm(q, axis=-1, keepdims=True) ** 3
    size = np.abs(v).max(), np.abs(acceleration).max()
    assert np.allclose((later[0] - earlier[0]) / (2 * step), v, atol=1e-5 * size[0])
    assert np.allclose((later[1] - earlier[1]) / (2 * step), acceleration, atol=1e-4 * size[1])


def test_the_reference_starts_at_perihelion_and_returns():
    kepler = nx.systems.Kepler()
    q0, v0 = kepler.initial_state()
    assert np.allclose(q0, [[1 / 1.8, 0, 0]])
    assert np.allclose(v0, [[0, 1.8, 0]])
    q, v = kepler.reference(np.array([0.0, kepler.period]))
    assert np.allclose(q, q0, atol=1e-13)
    assert np.allclose(v, v0, atol=1e-12)


def test_true_charges_are_constant_along_the_reference():
    kepler = nx.systems.Kepler()
    q, v = kepler.reference(np.linspace(0, 128, 50))
    for charge in (kepler.group.noether_charge(kepler.lagrangian), nx.Energy(kepler.lagrangian)):
        values = np.asarray(compiled(jax.vmap(charge), q, v))
        assert np.allclose(values, values[0], atol=1e-12)


@pytest.mark.parametrize("system", [nx.systems.Kepler(), ELLIPSES], ids=["orbit", "family"])
def test_samplers_observe_the_law_with_the_noise_asked_for(system):
    exact, noisy = (
        [np.asarray(x) for x in compiled(system.sampler(4096, noise=noise), jax.random.key(0))]
        for noise in (0.0, 1e-3)
    )
    q, _, a = exact
    assert np.allclose(a, -q / np.linalg.norm(q, axis=-1, keepdims=True) ** 3, rtol=1e-12)
    for clean, dirty in zip(exact, noisy, strict=True):
        assert np.isclose(np.std(dirty - clean), 1e-3, rtol=0.05)
    assert not np.any(q[..., 2])


def test_the_family_has_the_orbits_it_names():
    draw = ELLIPSES.sampler(4096, noise=0.0)
    q, v, _ = (np.asarray(x) for x in compiled(draw, jax.random.key(0)))
    momentum = np.cross(q, v)[:, 0, 2]
    energy = 0.5 * np.sum(v**2, axis=(1, 2)) - 1 / np.linalg.norm(q, axis=(1, 2))
    eccentricity = np.sqrt(1 + 2 * energy * momentum**2)
    assert momentum.min() > 0.8 - 1e-9
    assert momentum.max() < 1.2 + 1e-9
    assert eccentricity.min() > 0.5 - 1e-9
    assert eccentricity.max() < 0.9 + 1e-9


@functools.cache
def motion(name: str):
    """The reference of a system at times t − h, t, t + h, three pairs `(q, v)`, and h."""
    system, end, _ = SYSTEMS[name]
    centres = np.linspace(0.05, 1, TIMES // 3) * end
    step = 4e-6 * end
    ts = (centres[:, None] + step * np.array([-1, 0, 1])).ravel()
    q, v = system.reference(ts)
    q, v = (np.asarray(x).reshape(TIMES // 3, 3, *x.shape[1:]) for x in (q, v))
    samples(name)  # with the same number of times, so that nothing compiles twice
    return step, [(q[:, k], v[:, k]) for k in range(3)]


@functools.cache
def samples(name: str):
    """Batches of a system: without noise, with noise, and with noise by another key."""
    options = {"batch_size": 2000, "samples": TIMES + 1, "interval": 0.1}
    exact = jax.jit(SYSTEMS[name][0].sampler(noise=0.0, **options))
    noisy = jax.jit(SYSTEMS[name][0].sampler(noise=1e-2, **options))
    states = np.asarray(SYSTEMS[name][0].reference(0.1 * np.arange(TIMES + 1))[0])
    keys = jax.random.split(jax.random.key(0))
    batches = (
        jax.tree.map(np.asarray, x) for x in (exact(keys[0]), noisy(keys[0]), noisy(keys[1]))
    )
    return *batches, states


TIMES = 75

SYSTEMS = {
    "Schwarzschild": (
        nx.systems.Schwarzschild(),
        100.0,
        nx.systems.Schwarzschild(radius=0.11),
    ),
    "two particles": (
        nx.systems.TwoParticles(),
        30.0,
        nx.systems.TwoParticles(masses=(1.0, 0.9)),
    ),
    "coupled oscillators": (
        helpers.coupled_oscillators(),
        10.0,
        nx.systems.HarmonicOscillator(points=2, space=2),
    ),
    "spin chain": (nx.systems.SpinChain(5), 30.0, nx.systems.SpinChain(5, spacing=0.3)),
    "double pendulum": (
        nx.systems.DoublePendulum((1.0, 0.5), (0.7, 1.2)),
        10.0,
        nx.systems.DoublePendulum((1.0, 0.6), (0.7, 1.2)),
    ),
    "double well": (nx.systems.DoubleWell(1.2, 0.9, 1.1), 30.0, nx.systems.DoubleWell(1.2, 1.0)),
    "charge, uniform field": (
        nx.systems.RelativisticCharge(1.2, 0.9),
        5.0,
        nx.systems.RelativisticCharge(1.2, 1.0),
    ),
    "charge, growing field": (
        nx.systems.RelativisticCharge(uniform=False),
        30.0,
        nx.systems.RelativisticCharge(charge=1.1, uniform=False),
    ),
}
"""By name: a system, a time span, and the same system with another parameter, whose law is wrong."""


def newtons_pair(system, q, v):
    """Equal and opposite forces (μ − κ r²)(q₁ − q₂)."""
    separation = q[0] - q[1]
    force = (system.mu - system.kappa * np.dot(separation, separation)) * separation
    return np.stack([force / system.masses[0], -force / system.masses[1]])


def geodesic(system, q, v):
    """−Γ(v, v), with Christoffel symbols from finite differences of the metric in polar coordinates
    carried to Cartesian ones."""

    def metric(x):
        r, rho = np.linalg.norm(x[:3]), np.linalg.norm(x[:2])
        to_polar = np.zeros((4, 4))  # ∂(r, θ, φ, τ)/∂(x₁, x₂, x₃, τ)
        to_polar[0, :3] = x[:3] / r
        to_polar[1, :3] = np.array([x[0] * x[2], x[1] * x[2], -(rho**2)]) / (r**2 * rho)
        to_polar[2, :2] = np.array([-x[1], x[0]]) / rho**2
        to_polar[3, 3] = 1
        factor = 1 - system.radius / r
        polar = np.diag([1 / factor, r**2, rho**2, -factor])  # r² sin²θ = ρ²
        return to_polar.T @ polar @ to_polar

    step = 1e-4
    slope = np.stack(
        [(metric(q[0] + step * e) - metric(q[0] - step * e)) / (2 * step) for e in np.eye(4)]
    )
    lowered = np.einsum("cab,b,c->a", slope, v[0], v[0])
    lowered -= np.einsum("abc,b,c->a", slope, v[0], v[0]) / 2
    return -np.linalg.solve(metric(q[0]), lowered)[None, :]


def hooke(system, q, v):
    mass, stiffness = np.array(system.mass), np.array(system.stiffness)
    return -np.linalg.solve(mass, stiffness @ q.ravel()).reshape(q.shape)


def torques_of_neighbours(system, q, v):
    left, right = np.roll(q, 1, axis=0), np.roll(q, -1, axis=0)
    return -(np.sin(q - left) + np.sin(q - right)) / system.spacing**2


def textbook_pendulum(system, q, v):
    """The solved equations, as in any collection of mechanics problems."""
    (m1, m2), (l1, l2), g = system.masses, system.lengths, system.gravity
    (a, b), (da, db) = q[:, 0], v[:, 0]
    below = 2 * m1 + m2 - m2 * np.cos(2 * a - 2 * b)
    upper = -g * (2 * m1 + m2) * np.sin(a) - m2 * g * np.sin(a - 2 * b)
    upper -= 2 * np.sin(a - b) * m2 * (db**2 * l2 + da**2 * l1 * np.cos(a - b))
    lower = da**2 * l1 * (m1 + m2) + g * (m1 + m2) * np.cos(a) + db**2 * l2 * m2 * np.cos(a - b)
    return np.array([[upper / (l1 * below)], [2 * np.sin(a - b) * lower / (l2 * below)]])


def well(system, q, v):
    return (system.mu - system.kappa * np.sum(q**2)) / system.mass * q


def lorentz(system, q, v):
    """Du/dt = (e/m)(τ̇ E + ẋ × B) and d²τ/dt² = (e/m) E·ẋ."""
    field = np.array(system.electric)
    if not system.uniform:
        field = -field * np.dot(field, q[0, :3]) / np.linalg.norm(field)
    force = v[0, 3] * field + np.cross(v[0, :3], system.magnetic)
    power = np.dot(field, v[0, :3])
    return system.charge / system.mass * np.array([[*force, power]])


TEXTBOOK = {
    "Schwarzschild": geodesic,
    "two particles": newtons_pair,
    "coupled oscillators": hooke,
    "spin chain": torques_of_neighbours,
    "double pendulum": textbook_pendulum,
    "double well": well,
    "charge, uniform field": lorentz,
    "charge, growing field": lorentz,
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_accelerations_are_the_textbooks(name):
    """At random states, not only on the trajectory; and the wrong law is told from the right one."""
    system, _, wrong = SYSTEMS[name]
    q, v = np.random.default_rng(1).normal(size=(2, *np.shape(system.initial_state()[0])))
    q[:, 0] += 2  # outside the horizon
    actual = nx.acceleration(system.lagrangian, q, v)
    # Rounding; of finite differences with a step of 1e-4 for the metric.
    tolerance = 1e-7 if name == "Schwarzschild" else 1e-12
    assert np.allclose(actual, TEXTBOOK[name](system, q, v), rtol=tolerance, atol=tolerance)
    assert not np.allclose(actual, TEXTBOOK[name](wrong, q, v), rtol=1e-2, atol=0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_reference_solves_the_textbook_equations(name):
    """The motion is differentiated in time, and knows nothing of how it was computed."""
    system, _, wrong = SYSTEMS[name]
    step, ((early, slow), (q, v), (late, fast)) = motion(name)
    rate, change = (late - early) / (2 * step), (fast - slow) / (2 * step)
    expected, other = (
        np.stack([TEXTBOOK[name](s, *state) for state in zip(q, v, strict=True)])
        for s in (system, wrong)
    )
    size = np.abs(expected).max()
    assert np.allclose(rate, v, atol=1e-6 * np.abs(v).max())
    assert np.allclose(change, expected, atol=1e-6 * size)
    assert not np.allclose(change, other, atol=1e-3 * size)


@pytest.mark.parametrize("name", SYSTEMS)
def test_true_energy_and_charges_are_kept_and_those_of_another_law_are_not(name):
    system, _, wrong = SYSTEMS[name]
    _, (_, (q, v), _) = motion(name)

    def drift(law):
        charges = [nx.Energy(law.lagrangian)]
        if law.group.dimension:
            charges.append(law.group.noether_charge(law.lagrangian))
        values = [np.asarray(compiled(jax.vmap(charge), q, v)) for charge in charges]
        return [float(np.abs(x - x[0]).max() / (1 + np.abs(x).max())) for x in values]

    assert max(drift(system)) < 1e-10  # integrated with a tolerance of 1e-13 a step
    assert max(drift(wrong)) > 1e-3


@pytest.mark.parametrize("name", SYSTEMS)
def test_references_start_where_they_say(name):
    system, _, _ = SYSTEMS[name]
    q, v = system.reference(np.array([0.0]))
    assert np.allclose(q[0], system.initial_state()[0], rtol=1e-14)
    assert np.allclose(v[0], system.initial_state()[1], rtol=1e-14)


@pytest.mark.parametrize("name", SYSTEMS)
def test_samplers_draw_from_the_trajectory_with_the_noise_asked_for(name):
    system, _, _ = SYSTEMS[name]
    exact, noisy, again, on_trajectory = samples(name)
    shape = (2000, *np.shape(system.initial_state()[0]))
    for clean, dirty, other in zip(exact, noisy, again, strict=True):
        assert dirty.shape == shape
        assert dirty.dtype == jnp.float64
        assert np.isclose(np.std(dirty - clean), 1e-2, rtol=0.05)
        assert not np.allclose(dirty, other, atol=1e-3)
    q, v, a = exact
    for k in range(5):
        law = TEXTBOOK[name](system, q[k], v[k])
        assert np.allclose(a[k], law, rtol=1e-6, atol=1e-7)
    distance = np.abs(q[:, None] - on_trajectory).max(axis=(2, 3)).min(axis=1)
    assert distance.max() < 1e-12
    assert len(np.unique(np.round(q.reshape(2000, -1), 9), axis=0)) == TIMES + 1


def test_schwarzschild_is_the_papers():
    """Its start, the norm of the four-velocity, and an orbit that stays outside the horizon."""
    system = nx.systems.Schwarzschild()
    q, v = system.initial_state()
    assert np.allclose(q, [[1, 0, 0, 0]])
    assert np.allclose(v, [[0, 0.29698485, 0, 1.09959589]], atol=1e-8)
    _, (_, (q, v), _) = motion("Schwarzschild")

    def norm(radius):
        return compiled(jax.vmap(nx.systems.SchwarzschildLagrangian(radius)), q, v)

    assert np.allclose(norm(0.1), -1, atol=1e-12)
    assert not np.allclose(norm(0.101), -1, atol=1e-4)
    r = np.linalg.norm(q[:, 0, :3], axis=1)
    assert r.min() > 0.99
    assert 2 < r.max() < 6


def test_two_particles_are_the_papers():
    system = nx.systems.TwoParticles()
    q, v = system.initial_state()
    assert np.allclose(q[0], [-0.21140446, -0.71716917, 0.47501928, 1.5214312])
    assert np.allclose(q[1], [0.14773327, -0.03144972, 1.0839803, -1.3460099])
    assert np.allclose(v[0], [-1.0902805, -0.12405161, -0.7085263, -0.10214504])
    assert np.allclose(v[1], -v[0] / 0.8)


@pytest.mark.parametrize("space", [2, 3, 6])
def test_two_particles_in_any_dimension_start_without_momentum(space):
    system = nx.systems.TwoParticles((2.0, 0.5), space=space)
    for q, v in (system.initial_state(), system.random_state(jax.random.key(0))):
        assert q.shape == v.shape == (2, space)
        v = np.asarray(v)
        assert np.allclose(2.0 * v[0] + 0.5 * v[1], 0, atol=1e-14)
        assert np.all(np.isfinite(nx.acceleration(system.lagrangian, q, v)))
    # Where they meet there is no force, and no derivative is missing.
    meeting = np.ones((2, space))
    assert np.allclose(nx.acceleration(system.lagrangian, meeting, v), 0)


def test_a_charge_in_uniform_fields_moves_by_a_matrix_exponential():
    system, _, _ = SYSTEMS["charge, uniform field"]
    e, b = np.array(system.electric), np.array(system.magnetic)
    field = np.zeros((4, 4))
    field[:3, 3] = field[3, :3] = e
    field[:3, :3] = np.cross(np.eye(3), b).T  # ẋ × B
    assert np.allclose(field[:3, :3] @ [1, 2, 3], np.cross([1, 2, 3], b))
    q, v = system.reference(np.array([3.0]))
    _, v0 = system.initial_state()
    flow = jax.scipy.linalg.expm(3.0 * system.charge / system.mass * field)
    assert np.allclose(v[0, 0], flow @ v0[0], rtol=1e-11)
    assert np.isclose(v[0, 0, 3] ** 2 - np.sum(v[0, 0, :3] ** 2), 1, rtol=1e-10)
    assert not np.allclose(q, 0)


def test_one_oscillator_is_a_cosine():
    system = nx.systems.HarmonicOscillator(2.0, 8.0)
    q0, v0 = system.initial_state()
    ts = np.linspace(0, 50, 7)
    q, v = system.reference(ts)
    assert np.allclose(q[:, 0, 0], q0[0, 0] * np.cos(2 * ts) + v0[0, 0] * np.sin(2 * ts) / 2)
    assert np.allclose(v[:, 0, 0], v0[0, 0] * np.cos(2 * ts) - 2 * q0[0, 0] * np.sin(2 * ts))


def test_references_and_samplers_follow_the_precision_in_use():
    """Computed in float64 all the same: late states of a float32 session are those of float64."""
    system = nx.systems.TwoParticles()
    ts = np.linspace(0, 20, 5)
    exact, _ = system.reference(ts)
    assert exact.dtype == jnp.float64
    with jax.enable_x64(False):
        assert system.initial_state()[0].dtype == jnp.float32
        single, _ = system.reference(ts)
        sample = system.sampler(8, samples=5)(jax.random.key(0))
        family = nx.systems.Orbits(system, 3, key=jax.random.key(0)).initial_states()[0]
    assert single.dtype == family.dtype == jnp.float32
    assert all(x.dtype == jnp.float32 for x in sample)
    assert np.allclose(single, exact, rtol=1e-6, atol=1e-6)
    double = nx.systems.Orbits(system, 3, key=jax.random.key(0)).initial_states()[0]
    assert np.allclose(family, double, atol=1e-6)


RANDOM = [
    nx.systems.Schwarzschild(),
    nx.systems.TwoParticles(),
    nx.systems.HarmonicOscillator(points=2),
    nx.systems.DoubleWell(),
    nx.systems.SpinChain(),
    nx.systems.DoublePendulum(),
    nx.systems.RelativisticCharge(),
]


@pytest.mark.parametrize("system", RANDOM, ids=lambda system: type(system).__name__)
def test_random_states_are_of_the_kind_of_the_initial_one(system):
    keys = jax.random.split(jax.random.key(0), 64)
    q, v = compiled(jax.vmap(system.random_state), keys)
    for state, start in zip((q, v), system.initial_state(), strict=True):
        assert state.shape == (64, *start.shape)
        assert state.dtype == start.dtype
    energies = compiled(jax.vmap(lambda q, v: nx.energy(system.lagrangian, q, v)), q, v)
    q, v = np.asarray(q), np.asarray(v)
    assert len(np.unique((q + v).reshape(64, -1), axis=0)) == 64
    if isinstance(system, nx.systems.Schwarzschild):
        assert np.allclose(energies, -1)  # the norm of the four-velocity
        assert np.all((np.linalg.norm(q[:, 0, :3], axis=1) - 0.8) * 10 < 4.0001)
        assert not np.any(q[:, 0, 2:])
    if isinstance(system, nx.systems.RelativisticCharge):
        assert np.allclose(energies, 0.5)  # half the mass


@pytest.mark.parametrize(
    "system", [nx.systems.Schwarzschild(), nx.systems.TwoParticles()], ids=["Schwarzschild", "pair"]
)
def test_a_family_has_true_motions_and_so_have_its_turned_and_shifted_copies(system):
    family = nx.systems.Orbits(system, 3, key=jax.random.key(0))
    other = nx.systems.Orbits(system, 3, key=jax.random.key(1))
    q0, v0 = family.initial_states()
    assert not np.allclose(q0, other.initial_states()[0], atol=1e-2)
    step = 1e-4
    ts = np.array([0.0, 1.0, 2.0, 5.0, 5.0 + step, 5.0 + 2 * step])
    q, v = (np.asarray(x) for x in family.reference(ts))
    assert q.shape == (3, 6, *q0.shape[1:])
    assert np.allclose(q[:, 0], q0)
    assert np.allclose(v[:, 0], v0)
    charge = system.group.noether_charge(system.lagrangian)
    values = np.asarray(compiled(jax.vmap(jax.vmap(charge)), q, v))
    assert np.allclose(values, values[:, :1], atol=1e-9)
    coefficients = np.random.default_rng(0).normal(size=system.group.dimension)
    act = jax.jit(jax.vmap(jax.vmap(lambda q, v: system.group.act(coefficients, q, v))))
    moved, rates = (np.asarray(x) for x in act(q[:, 3:], v[:, 3:]))
    a = nx.acceleration(system.lagrangian, moved[:, 1], rates[:, 1])
    change = (rates[:, 2] - rates[:, 0]) / (2 * step)
    assert np.allclose(change, a, atol=1e-5 * np.abs(np.asarray(a)).max())
    draw = family.sampler(64, noise=0.0, samples=6, interval=1.0)
    sample = compiled(draw, jax.random.key(0))
    assert all(x.shape == (64, *q0.shape[1:]) for x in sample)
    assert np.allclose(sample[2], nx.acceleration(system.lagrangian, *sample[:2]))


@pytest.mark.parametrize(
    "system",
    [
        nx.systems.Schwarzschild(),
        nx.systems.Orbits(nx.systems.DoubleWell(), 3, key=jax.random.key(0)),
    ],
    ids=["trajectory", "family"],
)
def test_windows_follow_one_motion_each(system):
    options = dict(interval=0.05, times=4, batch_size=8, samples=20)
    everything = dict(velocities=True, accelerations=True)
    draw = jax.jit(system.windows(noise=0.0, **options, **everything))
    q, v, a = (np.asarray(x) for x in draw(jax.random.key(1)))
    law = getattr(system, "system", system).lagrangian
    accelerate = functools.partial(nx.acceleration, law)
    assert np.allclose(a, compiled(jax.vmap(jax.vmap(accelerate)), q, v))
    ts = 0.05 * np.arange(4)
    for window in range(8):
        path = nx.rollout(law, q[window, 0], v[window, 0], ts=ts, dt=0.01, solver=nx.RK4())
        assert np.allclose(path.q, q[window], atol=1e-6)
    assert len(np.unique(q[:, 0, 0, 0])) > 3  # windows differ
    positions = compiled(system.windows(noise=1e-2, **options), jax.random.key(1))
    assert positions.v is None
    assert positions.a is None
    assert np.isclose(np.std(positions.q - q), 1e-2, rtol=0.3)
    with pytest.raises(ValueError, match="window of 21 times does not fit into 20 samples"):
        system.windows(times=21, samples=20)


def test_parameters_are_validated():
    systems = nx.systems
    for build, message in [
        (lambda: systems.Kepler(eccentricity=1.2), "eccentricity"),
        (lambda: systems.Kepler(angular_momentum=0.0), "angular_momentum"),
        (lambda: systems.Kepler(mass=-1.0), "positive"),
        (lambda: systems.Kepler().sampler(0), "batch_size.* 0"),
        (lambda: ELLIPSES.sampler(noise=-1.0), "noise.* -1.0"),
        (lambda: ELLIPSES.sampler(samples=10), "fresh orbit"),
        (lambda: ELLIPSES.initial_states(), "fresh orbit"),
        (lambda: systems.Schwarzschild(radius=-0.1), "radius.*-0.1"),
        (lambda: systems.Schwarzschild(radius=float("nan")), "radius.*nan"),
        (lambda: systems.Schwarzschild(distance=0.9), "distance.*0.9"),
        (lambda: systems.Schwarzschild(speed=1.5), "speed 1.5 .*escapes"),
        (lambda: systems.Schwarzschild(speed=0.5), "speed 0.5 .*falls in"),
        (lambda: systems.Schwarzschild(distance=1.9), "falls in"),
        (lambda: systems.TwoParticles(masses=(1.0, 0.0)), r"masses\[1\].* 0.0"),
        (lambda: systems.TwoParticles(kappa=-1.0), "kappa.*-1.0"),
        (lambda: systems.TwoParticles(space=1), "space.* 1"),
        (lambda: systems.HarmonicOscillator(-1.0), "positive definite.*-1"),
        (lambda: systems.HarmonicOscillator(np.eye(3)), r"shape \(1, 1\)"),
        (
            lambda: systems.HarmonicOscillator(1.0, np.array([[1.0, 2], [0, 1]]), points=2),
            "symmetric.* 2",
        ),
        (lambda: systems.DoubleWell(mu=0.0), "mu.* 0.0"),
        (lambda: systems.SpinChain(1), "spins.* 1"),
        (lambda: systems.SpinChain(4, spacing=-0.5), "spacing.* -0.5"),
        (lambda: systems.DoublePendulum(lengths=(-1.0, 1.0)), r"lengths\[0\].* -1.0"),
        (lambda: systems.RelativisticCharge(charge=0.0), "charge"),
        (lambda: systems.RelativisticCharge(velocity=(0.8, 0.8, 0.0)), "light.*1.13"),
        (
            lambda: systems.RelativisticCharge(electric=(0.0, 0.0, 0.0), uniform=False),
            "electric",
        ),
        (lambda: systems.DoubleWell().sampler(samples=0), "samples.* 0"),
        (lambda: systems.DoubleWell().sampler(interval=0.0), "interval.* 0.0"),
        (lambda: systems.DoubleWell().sampler(noise=float("nan")), "noise.* nan"),
        (lambda: systems.DoubleWell().reference(np.array([1.0, 0.5])), "increasing"),
        (lambda: systems.DoubleWell().reference(np.array([-1.0, 0.5])), "from 0 on"),
        (lambda: systems.Kepler(angular_momentum=float("nan")), "angular_momentum.*nan"),
        (lambda: systems.Kepler(strength=float("inf")), "strength.*inf"),
        (lambda: systems.Kepler(eccentricities=(0.5, 1.2)), "eccentricity.* 1.2"),
        (lambda: systems.Kepler(eccentricities=(0.9, 0.5)), "smallest, largest"),
        (lambda: systems.Kepler(angular_momenta=(-1.0, 1.0)), "without zero"),
        (lambda: systems.Kepler(mass=float("nan")), "mass.*nan"),
        (lambda: ELLIPSES.windows(1e-300), "orbits move.* 1e-300"),
        (lambda: ELLIPSES.windows(1e300), "orbits move.* 1e[+]300"),
        (lambda: systems.HarmonicOscillator().sampler(interval=1e-300), "1e-300 it moves by"),
        (lambda: systems.HarmonicOscillator().reference(np.array([0.0, np.nan])), "finite times"),
        (lambda: systems.HarmonicOscillator(np.ones((2, 2)), points=2), "positive definite"),
        (lambda: systems.Orbits(systems.DoubleWell(), 0, key=jax.random.key(0)), "trajectories"),
        (lambda: systems.Orbits(systems.DoubleWell(), 3), "need a key"),
        (lambda: systems.Orbits(systems.DoubleWell(), key=jax.random.key(0)), "key is for"),
    ]:
        with pytest.raises(ValueError, match=message):
            build()
    for build, message in [
        (lambda: systems.Kepler().sampler(noise=np.ones(2)), "noise"),
        (lambda: systems.Kepler(mass="heavy"), "mass"),
        (lambda: systems.DoubleWell().sampler(interval=np.ones(2)), "interval"),
        (lambda: systems.Orbits(systems.DoubleWell, 3, key=jax.random.key(0)), "DoubleWell"),
    ]:
        with pytest.raises(Exception, match=message):  # beartype is first in the tests
            build()


def test_a_bound_orbit_may_start_at_either_end():
    """Far from the centre and slow, or near it and fast: the same orbit, and both are accepted."""
    near = nx.systems.Schwarzschild()
    q, v = near.reference(np.linspace(0, 60, 6001))
    r = np.linalg.norm(np.asarray(q)[:, 0, :3], axis=1)
    k = int(np.argmax(r))
    speed = np.linalg.norm(np.asarray(v)[k, 0, :3])
    distance = float(r[k] / near.radius)
    unit = np.sqrt(0.5 / (distance - 1))
    far = nx.systems.Schwarzschild(distance=distance, speed=float(speed / unit))
    energies = [
        system.group.noether_charge(system.lagrangian)(*system.initial_state())
        for system in (near, far)
    ]
    assert np.allclose(*energies, rtol=1e-6)


def test_a_free_mode_is_free_and_a_slow_one_is_not():
    """The centre of mass of a chain: its force is zero but for rounding."""
    count = 16
    chain = 2 * np.eye(count) - np.eye(count, k=1) - np.eye(count, k=-1)
    chain[0, 0] = chain[-1, -1] = 1
    masses = 0.3 * np.arange(1.0, count + 1)
    system = nx.systems.HarmonicOscillator(np.diag(masses), 3.7 * chain, points=count)
    q0, v0 = system.initial_state()
    q, v = system.reference(np.array([0.0, 1e6]))
    moved = masses @ (q[1] - q0)[:, 0]
    assert np.isclose(moved, 1e6 * masses @ v0[:, 0], rtol=1e-11)
    assert np.isclose(masses @ v[1, :, 0], masses @ v0[:, 0], rtol=1e-12)
    # A force of 1e-18 of another is small, but it is a force.
    slow = nx.systems.HarmonicOscillator(1.0, np.diag([1.0, 1e-18]), points=2)
    second, other = (x[1, 0] for x in slow.initial_state())
    q, _ = slow.reference(np.array([1e9]))
    assert np.isclose(q[0, 1, 0], second * np.cos(1.0) + 1e9 * other * np.sin(1.0), rtol=1e-12)


WHOLE = [*RANDOM[2:4], nx.systems.Kepler()]


@pytest.mark.parametrize("system", WHOLE, ids=lambda system: type(system).__name__)
def test_whole_times_have_the_states_of_the_same_real_ones(system):
    whole, real = (system.reference(np.arange(3, dtype=dtype)) for dtype in (int, float))
    for of_whole, of_real in zip(whole, real, strict=True):
        assert of_whole.dtype == jnp.float64
        assert np.array_equal(of_whole, of_real)


@pytest.mark.parametrize(
    "system",
    [nx.systems.Kepler(1.2, 0.9, angular_momentum=-1.1), helpers.coupled_oscillators()],
    ids=["Kepler", "oscillators"],
)
def test_motions_in_closed_form_solve_the_law_from_any_state(system):
    """Also in other planes, and in the single precision of a program."""
    q0, v0 = nx.systems.Orbits(system, 3, key=jax.random.key(0)).initial_states()
    if system.group.dimension:
        coefficients = np.array([0.5, -1.0, 2.0])
        act = jax.vmap(functools.partial(system.group.act, coefficients))
        q0, v0 = compiled(act, q0, v0)
    step = 1e-4
    ts = np.array([0.0, 1 - step, 1.0, 1 + step, 2.0])
    q, v = (np.asarray(x) for x in nx.systems.motion(system, q0, v0, ts))
    assert np.allclose(q[:, 0], q0)
    assert np.allclose(v[:, 0], v0)
    a = nx.acceleration(system.lagrangian, q[:, 2], v[:, 2])
    assert np.allclose((q[:, 3] - q[:, 1]) / (2 * step), v[:, 2], atol=1e-6)
    assert np.allclose((v[:, 3] - v[:, 1]) / (2 * step), a, rtol=1e-5, atol=1e-5)
    again, _ = nx.systems.motion(
        system, jnp.asarray(q[:, 2]), jnp.asarray(v[:, 2]), np.array([-1.0, 0.0, 1.0])
    )
    assert np.allclose(again, q[:, ::2], atol=1e-12)
    single = nx.systems.motion(system, q0.astype(jnp.float32), v0.astype(jnp.float32), np.ones(1))
    assert single[0].dtype == single[1].dtype == jnp.float32
    assert np.allclose(single[0][:, 0], q[:, 2], atol=1e-4)


class Fall(nx.systems.System):
    """A stone in the field g = 2, as a user writes it."""

    lagrangian = staticmethod(lambda q, v: jnp.sum(v**2 / 2 - 2 * q))
    group = nx.Trivial(1)

    def initial_state(self):
        return jnp.zeros((1, 1)), jnp.ones((1, 1))

    def random_state(self, key):
        q, v = jax.random.normal(key, (2, 1, 1))
        return q, v


def test_a_users_system_has_all_that_ours_have():
    ts = 0.1 * np.arange(5)
    orbits = nx.systems.Orbits(Fall(), 3, key=jax.random.key(0))
    q0, v0 = (np.asarray(x)[:, None] for x in orbits.initial_states())
    q, v = orbits.reference(ts)
    t = ts[:, None, None]
    assert np.allclose(q, q0 + v0 * t - t**2, atol=1e-12)
    assert np.allclose(v, v0 - 2 * t, atol=1e-12)
    q, v, a = orbits.sampler(64, noise=0.0, samples=5)(jax.random.key(1))
    assert len(np.unique(q)) > 5
    assert np.allclose(a, -2)
    options = dict(times=3, batch_size=7, samples=5, accelerations=True)
    q, _, a = jax.jit(orbits.windows(noise=0.0, **options))(jax.random.key(1))
    q = np.asarray(q)
    assert np.allclose(q[:, 2] - 2 * q[:, 1] + q[:, 0], -0.02)
    assert np.allclose(a, -2)


class Cubic(nx.systems.System):
    """L = v³ moves freely, except from rest, where ∂²L/∂v² = 0."""

    speed: float = 1.0
    group = nx.Translations(1)

    @property
    def lagrangian(self):
        return lambda q, v: jnp.sum(v**3)

    def initial_state(self):
        return self.random_state(jax.random.key(0))

    def random_state(self, key):
        return jax.random.normal(key, (1, 1)), jnp.full((1, 1), self.speed)


@nx.systems.motion.register
def _(system: Cubic, q0, v0, ts):
    t = jnp.asarray(ts, q0.dtype)[:, None, None]
    return q0[..., None, :, :] + v0[..., None, :, :] * t, v0[..., None, :, :] + 0 * t


def test_a_motion_in_closed_form_is_used_where_it_is_registered():
    q, _ = Cubic(3.0).reference(np.array([1.0, -1.0]))  # an integrator would refuse
    assert np.allclose(q[0] - q[1], 6)
    fresh = nx.systems.Orbits(Cubic(3.0), math.inf).windows(0.5, times=4, noise=0.0)
    q = jax.jit(fresh)(jax.random.key(0)).q
    assert np.allclose(np.diff(q, axis=1), 1.5)
    assert len(np.unique(q[:, 0])) == len(q)  # each from a random state of its own


def test_a_state_without_acceleration_is_an_error_that_shows_it():
    for orbits in (Cubic(0.0), nx.systems.Orbits(Cubic(0.0), math.inf)):
        with pytest.raises(ValueError, match=r"at \d+ of \d+ states.* v = \[\[0\.0\]\]"):
            orbits.sampler()
    q, _, a = Cubic(1.0).sampler(8, noise=0.0, samples=5)(jax.random.key(0))
    assert not np.any(a)
    assert len(np.unique(q)) > 1


class Flat(nx.systems.System):
    """States of shape `(space,)`."""

    lagrangian = staticmethod(lambda q, v: jnp.sum(v**2))
    group = nx.Trivial(1)

    def initial_state(self):
        return jnp.zeros(1), jnp.ones(1)

    def random_state(self, key):
        return jnp.zeros(1), jnp.ones(1)


@pytest.mark.parametrize("trajectories", [None, 3, math.inf])
def test_states_of_a_wrong_shape_are_named(trajectories):
    key = jax.random.key(0) if trajectories == 3 else None
    flat = nx.systems.Orbits(Flat(), trajectories, key=key)
    with pytest.raises(Exception, match=r"points, ?space|points space"):  # beartype may be first
        flat.sampler()
