"""The variational solvers: what they claim, measured, with solvers that break it beside them."""

import diffrax
import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import noetherax as nx
from noetherax.solvers import formulate, keeps_charges, velocity
from noetherax.solvers._collocation import CollocationInterpolation, gauss

SOLVERS = {
    solver.order(None): solver
    for solver in (make() for make in helpers.SOLVERS.values())
    if keeps_charges(solver)
}
KEPLER = nx.systems.Kepler(eccentricity=0.3)

STEP_ROUNDING = 3e-14
"""Change of a charge in one step, over Σ|p||ξ|: some hundred roundings of 1e-16, since a network adds
up many terms larger than its momenta."""

LONG_RUN = 1e-12
"""Drift over 100,000 steps: 1e-16 in each, did they all go one way, times the 0.1 of a step."""


class Scaled(nx.Lagrangian):
    """A small multiple of another Lagrangian."""

    lagrangian: nx.Lagrangian
    factor: float

    def __call__(self, q, v):
        return self.factor * self.lagrangian(q, v)


class Well(nx.Lagrangian):
    """½ v² − q²/2 − strength q⁴/4 for every point: bound motion, not linear."""

    strength: float | jax.Array = 1.0

    def __call__(self, q, v):
        r2 = jnp.sum(q**2, axis=-1)
        return 0.5 * jnp.sum(v**2) - jnp.sum(0.5 * r2 + 0.25 * self.strength * r2**2)


def relativistic(q, v):
    """A particle that cannot reach the speed of light, in a linear force: not separable, and not
    defined for all velocities."""
    return -jnp.sqrt(1 - jnp.sum(v**2)) * (1 + 0.1 * jnp.sum(q**2))


def singular(q, v):
    """No curvature along the first velocity."""
    return 0.5 * v[0, 1] ** 2 + q[0, 0] * v[0, 1] - 0.5 * jnp.sum(q**2)


@eqx.filter_jit
def march(solver, lagrangian, q, v, h, steps, charge=None):
    """Takes steps of size h without Diffrax' loop. Returns (q, p), whether every step was solved, and
    the largest change of the charge in a step, over Σ|p||ξ|."""
    term = nx.LagrangianTerm(lagrangian)
    y = (q, nx.momentum(lagrangian, q, v), v)
    zero = jnp.zeros((), h.dtype)

    def values(y):
        if charge is None:
            return jnp.zeros(1), jnp.ones(1)
        generators = charge.generators(y[0], 0.0)
        sizes = jnp.linalg.norm(generators, axis=-1) * jnp.linalg.norm(y[1], axis=-1)
        return jnp.sum(generators * y[1], (1, 2)), jnp.sum(sizes, axis=1) + 1e-3

    def body(carry):
        count, y, memory, okay, worst = carry
        new, _, _, memory, result = solver.step(term, zero, h, y, None, memory, False)
        solved = result == diffrax.RESULTS.successful
        before, size = values(y)
        after, new_size = values(new)
        change = jnp.max(jnp.abs(after - before) / jnp.maximum(size, new_size))
        worst = jnp.where(solved, jnp.maximum(worst, change), worst)
        return count + 1, new, memory, okay & solved, worst

    start = (0, y, solver.init(term, zero, h, y, None), jnp.array(True), zero)
    count, y, _, okay, worst = jax.lax.while_loop(lambda c: (c[0] < steps) & c[3], body, start)
    return y[:2], okay, worst, jnp.where(okay, count, count - 1)


IN_MOMENTUM = {"StormerVerlet", "VariationalMidpoint", "VariationalGauss4", "VariationalGauss6"}


class Spring(nx.Lagrangian):
    """½ m v² − ½ k q² in the plane."""

    mass: float
    stiffness: float | jax.Array

    def __call__(self, q, v):
        return 0.5 * self.mass * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


@pytest.mark.parametrize("name", helpers.SOLVERS)
def test_every_solver_enters_rollouts_and_the_loss(name):
    solver, law = helpers.SOLVERS[name](), Spring(2.0, 2.0)  # of frequency one
    q, v, ts = np.array([[1.0, 0.0]]), np.array([[0.0, 0.5]]), np.linspace(0, 1, 6)
    circle = np.stack([np.cos(ts), 0.5 * np.sin(ts)], axis=-1)[:, None]
    orbit = nx.rollout(law, q, v, ts=ts, dt=0.02, solver=solver)
    # A second-order method is off by the square of the step at most.
    assert np.abs(orbit.q - circle).max() < 0.02**2
    assert (orbit.p is not None) == (name in IN_MOMENTUM)
    if orbit.p is not None:
        assert np.allclose(orbit.p, 2 * orbit.v, rtol=1e-13, atol=1e-15)
        spin = orbit.q[..., 0] * orbit.p[..., 1] - orbit.q[..., 1] * orbit.p[..., 0]
        assert np.abs(spin - spin[0]).max() < STEP_ROUNDING

    # The noise is above the error of every solver, and below what another law does in a window.
    loss = eqx.filter_jit(nx.TrajectoryLoss(0.2, noise=1e-2, solver=solver, substeps=2))
    right, other = (loss(Spring(2.0, jnp.array(x)), nx.Windows(circle[None])) for x in (2.0, 4.0))
    assert right < 0.1 < 1 < other


def test_gradients_pass_through_a_solver_of_a_users():
    q, v = np.array([[1.0, 0.0]]), np.array([[0.0, 0.5]])

    def end(stiffness):
        ts, solver = np.linspace(0, 1, 3), helpers.StormerVerlet()
        return nx.rollout(Spring(2.0, stiffness), q, v, ts=ts, dt=0.1, solver=solver).q[-1, 0, 0]

    value_and_slope = jax.jit(jax.value_and_grad(end))
    _, slope = value_and_slope(2.0)
    (above, _), (below, _) = value_and_slope(2.0 + 1e-5), value_and_slope(2.0 - 1e-5)
    assert np.isclose(slope, (above - below) / 2e-5, rtol=1e-7)


class Unready(diffrax.SemiImplicitEuler):
    """A solver of several terms that nobody has said how to fill."""


def test_a_solver_without_a_formulation_is_refused_before_any_work():
    law, q = Spring(1.0, 1.0), np.ones((1, 2))
    for call in (
        lambda: nx.rollout(law, q, q, ts=np.linspace(0, 1, 3), solver=Unready()),
        lambda: nx.TrajectoryLoss(0.1, solver=Unready()),
        lambda: formulate(Unready(), law, q, q, nx.acceleration),
    ):
        with pytest.raises(ValueError, match=r"Unready integrates several .*formulate\.register"):
            call()


REGULAR_STEPS, STARTS = 100, 32


def charge_changes(solver, name, points, steps):
    """Largest change of a charge in a step, over Σ|p||ξ|, from random states and with random weights,
    and how many steps that was. A start ends where the motion does: random weights lead sooner or
    later into a singular mass matrix, groups that are not compact into infinity."""
    group = helpers.GROUPS[name]()
    lagrangian = helpers.neural(group, points)
    charge = group.noether_charge(lagrangian)
    q, v = np.random.default_rng(1).normal(size=(2, STARTS, points, group.space))
    _, _, worst, count = eqx.filter_vmap(
        lambda q, v: march(solver, lagrangian, q, v, jnp.asarray(0.01), steps, charge)
    )(jnp.asarray(q), jnp.asarray(v))
    return float(np.max(worst)), int(np.sum(count))


AFFINE = [name for name in helpers.GROUPS if name != "Trivial(2)"]
A_FEW = ["Rotations(3)", "Cylindrical", "Lorentz()"]


@pytest.mark.parametrize("name", A_FEW)
def test_charges_are_kept_in_every_step(name):
    worst, count = charge_changes(SOLVERS[2], name, points=1, steps=REGULAR_STEPS)
    assert count > 10 * REGULAR_STEPS
    assert worst < STEP_ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize(("order", "points"), [(2, 1), (4, 2), (6, 1)])
@pytest.mark.parametrize("name", AFFINE)
def test_charges_of_every_affine_group_are_kept_in_every_step(name, order, points):
    if name in helpers.SINGULAR_ON_ONE_POINT:
        points = 2  # on one point there is no motion
    worst, count = charge_changes(SOLVERS[order], name, points, steps=REGULAR_STEPS)
    assert count >= REGULAR_STEPS
    assert worst < STEP_ROUNDING


def confined(points):
    """½ v² in a well, and a small network invariant under rotations of all points."""
    network = helpers.neural(nx.Rotations(3), points, depth=1)
    return nx.LagrangianSum(Well(), Scaled(network, 1e-3))


def long_run(order, dt, steps):
    """Drift of the charge, and the energy error over the first and the last tenth of a rollout."""
    lagrangian = confined(points=1)
    charge = nx.Rotations(3).noether_charge(lagrangian)
    q0, v0 = np.random.default_rng(0).normal(size=(2, 1, 3))
    ts = np.linspace(0, steps * dt, 1001)
    trajectory = nx.rollout(lagrangian, q0, v0, ts=ts, dt=dt, solver=SOLVERS[order])
    energy = jax.jit(jax.vmap(nx.Energy(lagrangian)))(trajectory.q, trajectory.v)[:, 0]
    error = np.abs(energy - energy[0])
    rough = dict(ts=ts[:51], throw=False)
    others = [
        nx.rollout(lagrangian, q0, v0, dt=dt, solver=nx.RK4(), **rough),
        nx.rollout(lagrangian, q0, v0, solver=diffrax.Tsit5(), **rough),
    ]
    drifts = [float(eqx.filter_jit(nx.drift)(charge, x).max()) for x in (trajectory, *others)]
    return drifts, error[1:101].max(), error[-100:].max()


def check_long_run(order, dt, steps):
    (drift, *others), early, late = long_run(order, dt, steps)
    assert drift < LONG_RUN
    # Negative control: over a twentieth of the time, the others lose the charge.
    assert all(other > 100 * LONG_RUN for other in others), others
    # Bounded: an energy error that grew with time would be ten times larger. At high order and small
    # steps it is rounding, which may.
    assert late < 3 * early + 1e-11
    assert early < 0.1


def test_charges_and_energy_over_a_long_run():
    check_long_run(order=2, dt=0.1, steps=2_000)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("order", SOLVERS)
def test_charges_and_energy_over_a_very_long_run(order, dt):
    check_long_run(order, dt, steps=100_000)


def test_diffrax_takes_the_term_and_time_reverses():
    """Straight in Diffrax, with a Lagrangian that is not separable, at rest where the search starts."""
    q0 = jnp.array([[0.3, 0.2, -0.1]])
    p0 = jnp.array([[2.0, -1.0, 0.5]])

    @jax.jit
    def solve(t0, t1, y0):
        return diffrax.diffeqsolve(
            nx.LagrangianTerm(relativistic), SOLVERS[4], t0, t1, 0.1 * jnp.sign(t1 - t0), y0
        ).ys

    q1, p1 = jax.tree.map(lambda x: x[0], solve(0.0, 10.0, (q0, p0)))
    assert np.allclose(np.cross(q1, p1), np.cross(q0, p0), rtol=1e-14, atol=1e-14)
    assert np.abs(q1 - q0).max() > 1
    q2, p2 = jax.tree.map(lambda x: x[0], solve(10.0, 0.0, (q1, p1)))
    # A hundred steps there and back, of some roundings each.
    assert np.allclose(q2, q0, atol=1e-12)
    assert np.allclose(p2, p0, atol=1e-12)


def test_the_velocity_of_a_momentum():
    q = jnp.zeros((1, 3))
    p = jnp.array([[3.0, 0.0, -4.0]])
    find = jax.jit(lambda p, v: velocity(nx.LagrangianTerm(relativistic), 0.0, q, p, v))
    v = find(p, jnp.zeros_like(p))
    assert np.allclose(v, p / np.sqrt(26), rtol=1e-15)
    assert np.allclose(jax.jacfwd(find)(p, v)[0, 1, 0, 1], 1 / np.sqrt(26), rtol=1e-14)


def test_runge_kutta_methods_refuse_the_term():
    y0 = (jnp.ones((1, 3)), jnp.ones((1, 3)))
    with pytest.raises(ValueError, match="structure|Custom node|Expected tuple"):
        diffrax.diffeqsolve(nx.LagrangianTerm(relativistic), nx.RK4(), 0.0, 1.0, 0.1, y0)


def test_reverse_and_forward_gradients_agree_with_differences():
    ts = np.linspace(0, 1, 3)
    q0, v0 = np.random.default_rng(0).normal(size=(2, 1, 3))

    def final(strength, **options):
        lagrangian = Well(strength)
        trajectory = nx.rollout(lagrangian, q0, v0, ts=ts, dt=0.1, solver=SOLVERS[2], **options)
        return jnp.sum(trajectory.q[-1] ** 2 + trajectory.v[-1])

    value_and_grad = jax.jit(jax.value_and_grad(final))
    one, step = jnp.array(1.0), 1e-5
    _, reverse = value_and_grad(one)
    above, below = value_and_grad(one + step)[0], value_and_grad(one - step)[0]
    assert np.isclose(reverse, (above - below) / (2 * step), rtol=1e-7)
    forward = jax.jit(jax.jacfwd(lambda x: final(x, adjoint=diffrax.ForwardMode())))(one)
    assert np.isclose(forward, reverse, rtol=1e-12)


@pytest.mark.slow
def test_gradients_of_weights_agree_with_differences():
    ts = np.linspace(0, 1, 3)
    q0, v0 = np.random.default_rng(0).normal(size=(2, 1, 3))
    network = Scaled(helpers.neural(nx.Rotations(3), 1), 1e-3)

    def final(strength, network, **options):
        lagrangian = nx.LagrangianSum(Well(strength), network)
        trajectory = nx.rollout(lagrangian, q0, v0, ts=ts, dt=0.1, solver=SOLVERS[4], **options)
        return jnp.sum(trajectory.q[-1] ** 2 + trajectory.v[-1])

    value_and_grad = eqx.filter_jit(eqx.filter_value_and_grad(lambda x: final(*x)))
    one = jnp.array(1.0)
    _, (reverse, weights) = value_and_grad((one, network))
    step = 1e-5
    above, _ = value_and_grad((one + step, network))
    below, _ = value_and_grad((one - step, network))
    assert np.isclose(reverse, (above - below) / (2 * step), rtol=1e-7)

    # One weight of the network, through the closed-form rule for its derivatives.
    def where(tree):
        return tree.lagrangian.network.layers[1].weight

    entry = where(network).at[2, 3]
    above, _ = value_and_grad((one, eqx.tree_at(where, network, entry.add(1e-3))))
    below, _ = value_and_grad((one, eqx.tree_at(where, network, entry.add(-1e-3))))
    assert np.isclose(where(weights)[2, 3], (above - below) / 2e-3, rtol=1e-4)


def test_rollouts_vmap_over_initial_states():
    q0 = np.random.default_rng(0).normal(size=(3, 2, 3))
    v0 = np.random.default_rng(1).normal(size=(3, 2, 3))
    roll = eqx.filter_jit(
        lambda q, v: nx.rollout(Well(), q, v, ts=np.linspace(0, 1, 3), dt=0.1, solver=SOLVERS[6])
    )
    together = eqx.filter_vmap(roll)(q0, v0)
    alone = roll(q0[1], v0[1])
    assert np.allclose(together.q[1], alone.q, rtol=1e-13)
    assert np.allclose(together.p[1], alone.p, rtol=1e-13)
    assert np.allclose(alone.v, alone.p, rtol=1e-13)  # here p = v
    assert alone.p.shape == (3, 2, 3)
    assert np.array_equal(together.q[:, 0], q0)


def test_a_step_too_large_fails_and_a_controller_recovers():
    state = KEPLER.initial_state()
    ts = np.array([0.0, 3.0, 20.0])
    with pytest.raises(RuntimeError, match="too large"):
        nx.rollout(KEPLER.lagrangian, *state, ts=ts, solver=SOLVERS[6])
    failed = nx.rollout(KEPLER.lagrangian, *state, ts=ts, solver=SOLVERS[6], throw=False)
    assert failed.result == diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence)
    assert not np.any(np.isfinite(failed.q[1:]))

    chosen = nx.rollout(
        KEPLER.lagrangian,
        *state,
        ts=ts,
        solver=SOLVERS[6],
        stepsize_controller=diffrax.PIDController(rtol=1e-9, atol=1e-9),
        dt0=3.0,
    )
    assert int(chosen.stats["num_rejected_steps"]) > 0
    q, v = KEPLER.reference(ts)
    # Global error of steps that are each good to 1e-9.
    assert np.allclose(chosen.q, q, atol=1e-6)
    assert np.allclose(chosen.v, v, atol=1e-6)
    assert nx.drift(KEPLER.group.noether_charge(KEPLER.lagrangian), chosen).max() < LONG_RUN


def test_a_singular_mass_matrix_is_reported():
    q = jnp.array([[0.5, 1.0]])
    for y0 in ((q, jnp.ones((1, 2))), (q, jnp.ones((1, 2)), jnp.ones((1, 2)))):
        solution = diffrax.diffeqsolve(
            nx.LagrangianTerm(singular), SOLVERS[2], 0.0, 1.0, 0.1, y0, throw=False
        )
        assert solution.result != diffrax.RESULTS.successful
        assert not np.any(np.isfinite(solution.ys[0]))


def test_single_precision_warns_and_still_works():
    q0, v0 = (jnp.asarray(x, jnp.float32) for x in KEPLER.initial_state())
    with pytest.warns(UserWarning, match="float32"):
        trajectory = nx.rollout(
            KEPLER.lagrangian, q0, v0, ts=np.linspace(0, 10, 3), dt=0.1, solver=SOLVERS[4]
        )
    assert trajectory.q.dtype == jnp.float32
    charge = KEPLER.group.noether_charge(KEPLER.lagrangian)
    assert nx.drift(charge, trajectory).max() < 1e-5  # a hundred roundings of 1e-7


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_gauss_methods_conserve_quadratic_invariants(stages):
    c, b, a = gauss(stages)
    # The two conditions of the method, to rounding: symplecticity, and order through quadrature.
    condition = b[:, None] * a + (b[:, None] * a).T - np.outer(b, b)
    assert np.abs(condition).max() < 1e-16
    for power in range(2 * stages):
        assert np.isclose(b @ c**power, 1 / (power + 1), rtol=1e-14)
    assert np.allclose(a @ np.ones(stages), c, rtol=1e-14)


def test_between_steps_the_polynomial_is_followed():
    c, *_ = gauss(3)
    slopes = jnp.asarray(3 * (1 + c) ** 2)  # of (1 + t)³
    start, end = jnp.array(1.0), jnp.array(8.0)
    inside = CollocationInterpolation(
        t0=jnp.array(0.0), t1=jnp.array(1.0), y0=(start,), y1=(end,), increments=(slopes,)
    )
    assert np.allclose(inside.evaluate(0.3)[0], 1.3**3, rtol=1e-14)
    assert np.allclose(inside.evaluate(0.3, 0.5)[0], 1.5**3 - 1.3**3, rtol=1e-13)
    assert inside.evaluate(1.0)[0] == end
    # Its slope as well, at both ends: root finders of events divide by it.
    for part in (0.0, 0.3, 1.0):
        rate = jax.jvp(lambda t: inside.evaluate(t)[0], (part,), (1.0,))[1]
        assert np.isclose(rate, 3 * (1 + part) ** 2, rtol=1e-13)
    assert inside.evaluate(0.0)[0] == start


UNITS, DECADES = 40, 10.0
"""Motions let go at rest, and the range of their units."""


@pytest.mark.parametrize("order", SOLVERS)
def test_motions_start_from_rest_in_any_units(order):
    """Two masses of 1e-10 to 1e10 on a spring that is not linear, in any unit of length."""
    random = np.random.default_rng(0)
    masses = 10 ** random.uniform(-DECADES, DECADES, (UNITS, 2))
    masses[:, 1] = np.where(np.arange(UNITS) < UNITS / 2, masses[:, 0], masses[:, 1])
    length = 10 ** random.uniform(-DECADES / 2, DECADES / 2, UNITS)
    steps = 10 ** random.uniform(-3, -0.3, UNITS)

    def roll(masses, length, h):
        def lagrangian(q, v):
            stretched = jnp.sum((q[0] - q[1]) ** 2)
            spring = stretched / 2 + stretched**2 / (4 * length**2)
            return jnp.sum(masses[:, None] * v**2) / 2 - spring / jnp.sum(1 / masses)

        q = length * jnp.array([[1.0, 0.2, 0.0], [0.0, 0.3, -0.5]])
        (q, p), okay, *_ = march(SOLVERS[order], lagrangian, q, jnp.zeros_like(q), h, 10)
        parts = jnp.sum(jnp.linalg.norm(q, axis=1) * jnp.linalg.norm(p, axis=1))
        spin = jnp.max(jnp.abs(jnp.sum(jnp.cross(q, p), axis=0))) / parts
        return okay, jnp.max(jnp.abs(jnp.sum(p, axis=0))) / jnp.max(jnp.abs(p)), spin

    okay, total, spin = jax.vmap(roll)(masses, length, steps)
    assert np.all(okay)
    assert np.max(total) < STEP_ROUNDING
    assert np.max(spin) < STEP_ROUNDING


def test_from_rest_a_step_without_solution_still_fails():
    """The equations p = h/2 (1 + q₁²/4), q₁ = h p of a force that grows have none for h²/2 > 1."""

    def escaping(q, v):
        return jnp.sum(v**2) / 2 + jnp.sum(q + q**3 / 3)

    def solved(h):
        q = jnp.zeros((1, 1))
        return march(SOLVERS[2], escaping, q, q, h, 1)[1]

    # q₁/2 = x solves x = h²/4 (1 + x²), which has real roots up to h² = 2.
    assert np.array_equal(jax.vmap(solved)(jnp.sqrt(jnp.array([1.9, 2.1]))), [True, False])


def test_velocities_predicted_beyond_their_domain_are_found():
    """Near the speed of light the polynomial of the last steps overshoots it."""

    def fast(q, v):
        return -jnp.sqrt(1 - jnp.sum(v**2)) - jnp.sum(q**2) / 2

    q = jnp.array([[30.0, 0.0, 0.0]])
    _, okay, *_ = march(SOLVERS[4], fast, q, jnp.zeros_like(q), jnp.asarray(0.1), 20)
    assert okay


def test_other_terms_and_states_are_refused():
    q = jnp.ones((1, 3))
    with pytest.raises(TypeError, match="LagrangianTerm.*ODETerm"):
        SOLVERS[2].init(diffrax.ODETerm(lambda t, y, args: y), 0.0, 0.1, (q, q), None)
    for state in ((q, q[0]), {"q": q, "p": q}):
        with pytest.raises(TypeError, match="one shape"):
            SOLVERS[2].init(nx.LagrangianTerm(relativistic), 0.0, 0.1, state, None)


def test_chosen_steps_follow_the_tolerance_also_in_linear_motion():
    """An estimate from the ends of a step would vanish there: its stages lie on one polynomial."""

    def oscillator(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2

    def error(tolerance):
        controller = diffrax.PIDController(rtol=jnp.array(tolerance), atol=jnp.array(tolerance))
        orbit = nx.rollout(
            oscillator, jnp.ones((1, 1)), jnp.zeros((1, 1)), ts=np.array([0.0, 10.0]),
            solver=SOLVERS[4], stepsize_controller=controller,
        )  # fmt: skip
        return abs(orbit.q[-1, 0, 0] - np.cos(10.0))

    # Some hundred steps of a method of order 4, judged by a difference of order 4 in the step.
    assert error(1e-9) < 1e-7
    assert 1e-7 < error(1e-5) < 1e-3


def test_between_steps_rk4_has_order_three():
    """Saved between its steps, and exact at their ends."""

    def oscillator(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2

    places = np.array([0.0, 0.03, 0.1, 0.17, 0.25, 0.4])
    options = dict(ts=np.linspace(0, 0.4, 3), solver=nx.RK4())
    start = jnp.ones((1, 1)), jnp.zeros((1, 1))
    orbit = nx.rollout(oscillator, *start, saveat=diffrax.SaveAt(ts=places), **options)
    # h⁴ = 1.6e-3 times a small constant; linear between steps it was 5e-3.
    assert np.allclose(orbit.q[:, 0, 0], np.cos(places), atol=1e-4)
    assert np.allclose(orbit.v[:, 0, 0], -np.sin(places), atol=1e-4)
    steps = nx.rollout(oscillator, *start, **options)
    assert orbit.q[-1] == steps.q[-1]


def test_compensated_steps_do_not_add_up_their_rounding():
    """A particle that moves freely, in steps that float32 cannot add without loss."""
    q0, v0 = np.float32([[1.0]]), np.float32([[0.1]])
    ts = np.float32([0.0, 100.0])

    def end(solver):
        return nx.rollout(Spring(1.0, 0.0), q0, v0, ts=ts, dt=0.01, solver=solver).q[-1, 0, 0]

    error = {
        x: abs(float(end(x)) - 11.0) for x in (diffrax.Tsit5(), nx.Compensated(diffrax.Tsit5()))
    }
    plain, compensated = error.values()
    assert compensated <= 1e-6
    assert plain > 10 * compensated


def test_compensated_steps_can_be_read_anywhere():
    law = Spring(1.0, 1.0)
    q0, v0 = np.ones((2, 1, 1))
    ts = np.linspace(0.0, 3.0, 32)
    ours, plain = (
        nx.rollout(law, q0, v0, ts=ts, solver=solver)
        for solver in (nx.Compensated(diffrax.Tsit5()), diffrax.Tsit5())
    )
    assert np.allclose(ours.q, plain.q, rtol=0, atol=1e-13)
    assert np.allclose(ours.v, plain.v, rtol=0, atol=1e-13)
    assert ours.stats["num_steps"] == plain.stats["num_steps"]


@pytest.mark.parametrize("solver", [diffrax.Kvaerno5(), nx.RK4()], ids=["implicit", "no estimate"])
def test_only_explicit_steps_with_an_estimate_are_compensated(solver):
    with pytest.raises(TypeError, match=f"but not those of {type(solver).__name__}|Type-check"):
        nx.Compensated(solver)


def test_where_steps_end_early_has_no_say_in_derivatives():
    """Steps end at saved times; those after it would grow with such a time."""
    times = jnp.array([0.0, 0.7, 1.6, 3.0, 3.001, 9.0])
    controller = diffrax.PIDController(rtol=1e-7, atol=1e-7)

    def end(times):
        orbit = nx.rollout(
            lambda q, v: jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q)),
            jnp.array([[2.0]]),
            jnp.zeros((1, 1)),
            ts=times,
            solver=nx.VariationalGauss4(),
            stepsize_controller=controller,
            max_steps=1024,
        )
        return orbit.q[-1, 0, 0], orbit.v[-1, 0, 0]

    slope, v = jax.grad(end, has_aux=True)(times)
    assert np.allclose(slope, [-v, 0, 0, 0, 0, v], atol=1e-3)
