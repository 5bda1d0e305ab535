"""Forces beside a Lagrangian: motion, friction, time, inputs, and the balance of charges."""

import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax.dynamics import closure_converted, lagrangian_gradient, solve_motion, solve_terms
from noetherax.forces import Motions, arguments_of, scaled_force

PLANE = nx.Euclidean(2)
Q = jnp.array([[1.0, 0.2], [-0.5, 0.3]])
V = jnp.array([[0.1, 0.8], [0.3, -0.4]])
GAUSS4 = nx.VariationalGauss4()


def bound(q, v):
    """Two bodies on a spring that stiffens."""
    square = jnp.sum((q[0] - q[1]) ** 2)
    return jnp.sum(jnp.array([[1.0], [2.0]]) * v**2) / 2 - square - square**2 / 4


def spring(q, v):
    return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


def growing(q, v, t):
    """A mass that grows with time."""
    return jnp.exp(0.3 * t) * jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


def friction(form="linear", seed=0):
    features = PLANE.configuration_features(2)
    return nx.Friction(features, form, width=8, depth=1, key=jax.random.key(seed))


def drive(q, v, t):
    return jnp.array([[1.0, 0.0], [0.0, 0.0]]) * jnp.cos(2 * t)


def command(q, v, t, u):
    return u[:, None] * jnp.array([0.0, 0.3])


def steering(t):
    return jnp.stack([jnp.sin(t), jnp.cos(3 * t)])


def machine(form="linear"):
    return nx.Driven(nx.Forced(bound, friction(form), drive, command), steering)


# The equations of motion.


def test_forces_enter_the_equations_of_motion():
    forced = nx.Forced(spring, lambda q, v: -0.1 * v)
    a = compiled(nx.acceleration, forced, Q, V)
    np.testing.assert_allclose(a, -Q - 0.1 * V, rtol=1e-13)
    more = nx.Forced(forced, drive)
    assert len(more.forces) == 2
    assert more.lagrangian is forced.lagrangian
    expected = -Q - 0.1 * V + drive(Q, V, 0.7)
    a = compiled(nx.acceleration, more, Q, V, 0.7)
    np.testing.assert_allclose(a, expected, rtol=1e-13)
    np.testing.assert_allclose(compiled(nx.momentum, forced, Q, V), V)


def test_a_lagrangian_with_time_changes_its_momentum_in_time():
    a = compiled(nx.acceleration, growing, Q, V, 0.5)
    np.testing.assert_allclose(a, -Q * np.exp(-0.15) - 0.3 * V, rtol=1e-13)
    now = nx.at_time(growing, 0.5)
    residual = compiled(nx.euler_lagrange_residual, now, Q, V, a)
    np.testing.assert_allclose(residual, 0, atol=1e-14)
    force, momentum = compiled(lagrangian_gradient, now, Q, V)
    np.testing.assert_allclose(force, -Q)
    np.testing.assert_allclose(momentum, np.exp(0.15) * V)


def test_each_state_of_a_batch_has_its_own_instant():
    q, v, t = jnp.stack([Q, Q]), jnp.stack([V, V]), jnp.array([0.2, 0.9])
    model = nx.LagrangianSum(growing, spring)
    together = compiled(nx.acceleration, model, q, v, t)
    alone = [compiled(nx.acceleration, model, Q, V, time) for time in np.asarray(t)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-14)
    u = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    forced = nx.Forced(spring, command)
    a = compiled(nx.acceleration, forced, q, v, t, u)
    expected = np.asarray(u)[..., None] * np.array([0.0, 0.3])
    np.testing.assert_allclose(a + np.asarray(q), expected, atol=1e-15)


def test_derivatives_of_the_acceleration_see_the_force():
    @jax.jit
    @jax.value_and_grad
    def of_strength(strength, sign=1.0):
        model = nx.Forced(bound, lambda q, v: -strength * v)
        return jnp.sum(solve_motion(model, Q, V, solve_terms)[0])

    h = 1e-5
    expected = (of_strength(0.1 + h)[0] - of_strength(0.1 - h)[0]) / (2 * h)
    np.testing.assert_allclose(of_strength(0.1)[1], expected, rtol=1e-8)

    @jax.jit
    @jax.value_and_grad
    def of_time(t):
        return jnp.sum(nx.acceleration(nx.Forced(growing, drive), Q, V, t))

    expected = (of_time(0.4 + h)[0] - of_time(0.4 - h)[0]) / (2 * h)
    np.testing.assert_allclose(of_time(0.4)[1], expected, rtol=1e-8)


def test_what_a_function_takes():
    assert arguments_of(lambda q, v: 0) == 2
    assert arguments_of(lambda q, v, k=1.0: 0) == 2  # made in a loop
    assert arguments_of(lambda q, v, t=0.0: 0) == 3
    assert arguments_of(lambda q, v, time: 0) == 3
    assert arguments_of(eqx.Partial(lambda k, q, v, t=0.0: 0, 1.0)) == 3
    assert arguments_of(eqx.Partial(lambda q, v, k: 0, k=1.0)) == 2
    assert arguments_of(command) == 4
    assert arguments_of(nx.Forced(growing, command)) == 3
    for wrong, given in ((lambda q, v, u: u, "time"), (lambda q, v, time, t: t, "inputs")):
        with pytest.raises(TypeError, match=f"'[ut]' of .* would be given the {given}"):
            arguments_of(wrong)


def test_inputs_that_no_force_takes_are_told():
    with pytest.warns(UserWarning, match="No part of this model takes inputs"):
        nx.Driven(nx.Forced(bound, drive), steering)
    nx.Driven(nx.Forced(nx.Forced(bound, command), drive), steering)


def test_features_of_another_kind_are_no_features_of_a_force():
    features = PLANE.configuration_features(2)
    for make in (nx.NeuralForce, lambda x, **given: nx.NeuralControl(x, 1, **given)):
        with pytest.raises(TypeError):  # by its own check, or that of the annotations
            make(features, width=8, key=jax.random.key(0))


def test_time_and_inputs_that_are_missing_are_asked_for():
    with pytest.raises(ValueError, match="depends on time or on inputs, and no time"):
        nx.acceleration(growing, Q, V)
    with pytest.raises(ValueError, match="takes inputs"):
        nx.acceleration(nx.Forced(bound, command), Q, V, 0.0)
    with pytest.raises(ValueError, match=r"u must have shape \(inputs,\)"):
        nx.acceleration(nx.Forced(bound, command), Q, V, 0.0, jnp.ones(()))
    assert nx.at_time(bound, None) is bound
    assert nx.at_time(bound, 1.0) is bound


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((bound,), ValueError, "at least one force"),
        ((bound, 3.0), TypeError, "got 3.0"),
        ((None, drive), TypeError, "got None"),
    ],
)
def test_forced_of_what_is_none(arguments, error, message):
    with pytest.raises(error, match=message):
        nx.Forced(*arguments)


def test_a_force_of_another_shape_is_named():
    def turned(q, v):
        return v.T[:1]

    with pytest.raises(
        ValueError, match=r"shape of the state, \(2, 2\), but turned gives \(1, 2\)"
    ):
        compiled(nx.acceleration, nx.Forced(bound, turned), Q, V)


def test_forces_under_closures_are_differentiated():
    @jax.jit
    @jax.value_and_grad
    def end(strength):
        model = nx.Forced(spring, lambda q, v: -strength * v)
        return jnp.sum(nx.rollout(model, Q, V, ts=jnp.linspace(0, 1, 5), solver=nx.RK4()).q[-1])

    h = 1e-5
    expected = (end(0.2 + h)[0] - end(0.2 - h)[0]) / (2 * h)
    np.testing.assert_allclose(end(0.2)[1], expected, rtol=1e-7)
    assert closure_converted(nx.Forced(bound, drive), Q, V, 0.0).lagrangian is bound


# Rollouts.


def test_a_damped_oscillator_moves_as_its_formula_says():
    model = nx.Forced(spring, lambda q, v: -0.2 * v)
    ts = np.linspace(0, 5, 26)
    rate = np.sqrt(1 - 0.01)
    q, v = jnp.ones((1, 1)), jnp.zeros((1, 1))
    exact = np.exp(-0.1 * ts) * (np.cos(rate * ts) + 0.1 / rate * np.sin(rate * ts))
    for solver, tolerance in ((nx.RK4(), 1e-4), (nx.VariationalGauss6(), 1e-7)):
        found = nx.rollout(model, q, v, ts=ts, solver=solver).q[:, 0, 0]
        np.testing.assert_allclose(found, exact, atol=tolerance)


def test_solvers_follow_time_as_it_is_given():
    """A drive shifted by an epoch moves nothing but the times."""
    model = nx.Forced(spring, drive)
    later = nx.Forced(spring, lambda q, v, t: drive(q, v, t - 100.0))
    ts = np.linspace(0, 2, 9)
    for solver in (nx.RK4(), nx.VariationalMidpoint()):
        first = nx.rollout(model, Q, V, ts=ts, solver=solver)
        second = nx.rollout(later, Q, V, ts=ts + 100, solver=solver)
        np.testing.assert_allclose(second.q, first.q, atol=1e-12)
        np.testing.assert_allclose(second.ts, ts + 100)


# Inputs.


@pytest.mark.parametrize(("kind", "order"), [("hold", 0), ("linear", 1), ("cubic", 2)])
def test_inputs_between_their_samples(kind, order):
    t = np.array([0.0, 0.5, 1.5, 2.0, 3.5])
    u = np.stack([np.ones(5), t**order], axis=1)
    inputs = nx.Inputs(t, u, kind)
    at = jax.jit(lambda t: inputs(t))
    for time in (0.0, 0.3, 1.0, 1.5, 3.4, 3.5):
        expected = 1.0 if order == 0 else time**order
        np.testing.assert_allclose(at(time), [1.0, expected], rtol=1e-14)
    np.testing.assert_allclose(at(-1.0), u[0])
    np.testing.assert_allclose(at(9.0), u[-1])


def test_held_inputs_keep_the_last_sample():
    inputs = nx.Inputs([0.0, 1.0], [[1.0], [2.0]], "hold")
    at = jax.jit(lambda t: inputs(t))
    assert [float(at(t)[0]) for t in (0.0, 0.99, 1.0, 5.0)] == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("t", "u", "kind", "message"),
    [
        ([0.0, 1.0], [1.0, 2.0], "linear", r"One input is u\[:, None\]"),
        ([0.0, 0.0], [[1.0], [2.0]], "linear", r"increase, but t\[0:2\]"),
        ([0.0, 1.0], [[1.0], [np.nan]], "linear", r"u\[1, 0\] is nan"),
        ([0.0, 1.0], [[1.0], [2.0]], "spline", "kind must be one of"),
        ([], np.zeros((0, 1)), "linear", "samples of shape"),
    ],
)
def test_inputs_that_are_none(t, u, kind, message):
    with pytest.raises(ValueError, match=message):
        nx.Inputs(t, u, kind)


# Friction and balance.


@pytest.mark.parametrize("form", ["linear", "convex"])
def test_friction_takes_energy_and_keeps_every_charge(form):
    model = nx.Forced(bound, friction(form))
    trajectory = nx.rollout(model, Q, 0.2 * V, ts=0.2 * np.arange(401), solver=GAUSS4)
    energies = jax.vmap(lambda q, v: nx.energy(model, q, v))
    energy = compiled(energies, trajectory.q, trajectory.v)
    assert energy[-1] < 0.6 * energy[0]
    work = nx.impulses(nx.Energy(model), trajectory)[:, 0, 0]
    assert np.max(np.diff(work)) <= 1e-14 * energy[0]  # in every step, to rounding
    assert work[-1] < -0.3 * energy[0]
    assert nx.drift(PLANE.noether_charge(model), trajectory).max() < 1e-12


def test_a_drag_takes_charges_as_well():
    drag = nx.Drag(PLANE.invariant_features(2), 2, width=8, key=jax.random.key(1))
    dragged = nx.Forced(bound, drag)
    lost = nx.rollout(dragged, Q, 0.2 * V, ts=0.2 * np.arange(51), solver=GAUSS4)
    assert nx.drift(PLANE.noether_charge(dragged), lost).max() > 0.1


def test_the_balance_is_at_rounding_at_any_step():
    """With friction, a drive and control together; a wrong account is seen."""
    model = machine("convex")
    charge = PLANE.noether_charge(model)
    undriven = nx.Driven(nx.Forced(bound, friction("convex"), command), steering)

    @jax.jit
    @jax.vmap  # one program for all steps
    def largest(h):
        trajectory = nx.rollout(model, Q, V, ts=h * jnp.arange(301.0), solver=GAUSS4)
        values = jax.vmap(charge)(trajectory.q, trajectory.v, trajectory.ts)
        wrong = nx.balance(PLANE.noether_charge(undriven), trajectory)
        found = values - values[0], nx.balance(charge, trajectory), wrong
        return [jnp.max(jnp.abs(x)) for x in found]

    size, left, wrong = largest(jnp.array([0.01, 0.1, 0.3]))
    assert np.all(left < 1e-12 * np.maximum(size, 1))
    assert np.all(wrong > 1e-3)


def test_the_balance_with_many_steps_between_saved_times():
    model = machine()
    ts = np.array([0.0, 0.5, 1.7, 2.0])
    trajectory = nx.rollout(model, Q, V, ts=ts, dt=0.1, solver=nx.VariationalMidpoint())
    assert trajectory.steps is not None
    assert trajectory.steps.tolist() == [0, 5, 12, 3]
    charge = PLANE.noether_charge(model)
    assert np.max(np.abs(nx.balance(charge, trajectory))) < 1e-13
    parts = nx.impulses(charge, trajectory)
    assert parts.shape == (4, 4, 3)
    np.testing.assert_allclose(parts[:, 0], 0, atol=1e-14)  # of friction
    np.testing.assert_allclose(parts[:, 3], 0, atol=1e-15)  # of explicit time


def test_the_balance_of_a_motion_back_in_time():
    model = nx.Forced(spring, lambda q, v: -0.1 * v)
    charge = nx.Rotations(2).noether_charge(
        model
    )  # of which the friction takes a tenth in unit time
    for dt in (None, 0.05):
        path = nx.rollout(
            model, Q[:1], V[:1], ts=np.linspace(5, 0, 26), dt=dt, solver=nx.VariationalGauss6()
        )
        values = jax.vmap(charge)(path.q, path.v, path.ts)
        gained = values[0] * (np.exp(0.5) - 1)
        np.testing.assert_allclose(values[-1] - values[0], gained, rtol=1e-6)
        np.testing.assert_allclose(nx.impulses(charge, path)[-1, 0], gained, rtol=1e-6)
        for each in (charge, nx.Energy(model)):
            assert np.max(np.abs(nx.balance(each, path))) < 1e-14


@pytest.mark.parametrize("solver", [nx.RK4(), nx.VariationalMidpoint()])
def test_the_balance_where_nothing_acts_is_the_drift(solver):
    def spring(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2

    start = jnp.array([[1.0, 0.2]]), jnp.array([[0.1, 0.4]])
    path = nx.rollout(spring, *start, ts=jnp.linspace(0, 1, 3), solver=solver, dt=0.1)
    energy = nx.Energy(spring)
    values = jax.vmap(energy)(path.q, path.v)
    assert nx.impulses(energy, path).shape == (3, 0, 1)
    if path.p is None:
        assert np.allclose(nx.balance(energy, path), values - values[0], rtol=0, atol=1e-15)
    nothing = nx.Trivial(2).noether_charge(nx.Forced(spring, lambda q, v: -v))
    assert nx.balance(nothing, path).shape == (3, 0)


def test_boosts_keep_their_balance():
    """Generators that depend on time, and a boundary term."""
    masses = jnp.array([[1.0], [2.0]])

    def boosts(q, t=0.0):
        return t * jnp.stack([jnp.ones_like(q) * axis for axis in jnp.eye(2)])

    charge = nx.MomentumMap(machine(), boosts, lambda q, t: jnp.sum(masses * q, axis=0))
    trajectory = nx.rollout(machine(), Q, V, ts=0.3 * np.arange(101), solver=GAUSS4)
    size = np.max(np.abs(nx.impulses(charge, trajectory)))
    assert np.max(np.abs(nx.balance(charge, trajectory))) < 1e-12 * size


def test_the_energy_is_balanced_to_the_order_of_the_method():
    model = nx.Forced(growing, drive, lambda q, v: -0.1 * v)
    errors = []
    for count in (41, 81):
        ts = np.linspace(0, 4, count)
        trajectory = nx.rollout(model, Q, V, ts=ts, solver=GAUSS4)
        errors.append(np.max(np.abs(nx.balance(nx.Energy(model), trajectory))))
    assert errors[0] < 1e-4
    assert 12 < errors[0] / errors[1] < 20  # of order four
    explicit = nx.impulses(nx.Energy(model), trajectory)[:, 2]
    assert np.max(np.abs(explicit)) > 0.1


def test_the_balance_of_a_runge_kutta_trajectory_is_its_error():
    model = machine()
    charge = PLANE.noether_charge(model)
    ts = np.linspace(0, 2, 9)
    true = nx.rollout(model, Q, V, ts=ts)
    assert np.max(np.abs(nx.balance(charge, true))) < 1e-6
    coarse = nx.rollout(model, Q, V, ts=ts, solver=nx.RK4())
    left = nx.balance(charge, coarse)
    values = jax.jit(jax.vmap(charge))
    off = values(coarse.q, coarse.v, ts) - values(true.q, true.v, ts)
    assert np.max(np.abs(left)) < 10 * np.max(np.abs(off))


def test_a_charge_of_unknown_rates_is_refused():
    trajectory = nx.rollout(bound, Q, V, ts=np.linspace(0, 1, 3))
    with pytest.raises(TypeError, match=r"rates\.register"):
        nx.balance(lambda q, v, t: q.sum()[None], trajectory)


def test_friction_where_no_friction_keeps_the_charges():
    nothing = nx.Translations(2).configuration_features(1)
    for make in (nx.LinearFriction, lambda x: nx.Friction(x, key=jax.random.key(0))):
        with pytest.raises(ValueError, match="nothing to act on"):
            make(nothing)


@pytest.mark.parametrize("constants", [0.0, -1.0, [1.0, 2.0], "x", np.nan])
def test_constants_of_friction_that_are_none(constants):
    with pytest.raises(ValueError, match="constants of LinearFriction must be positive"):
        nx.LinearFriction(PLANE.configuration_features(2), constants)


# Data.


@pytest.mark.parametrize(
    "make",
    [
        lambda: nx.LinearFriction(PLANE.configuration_features(2)),
        lambda: nx.DryFriction(PLANE.configuration_features(2), width=0.1),
        friction,
        lambda: friction("convex"),
        lambda: nx.Drag(PLANE.invariant_features(2), 2, width=8, key=jax.random.key(1)),
        lambda: nx.NeuralForce(PLANE.invariant_features(2), width=8, key=jax.random.key(1)),
    ],
)
def test_a_force_takes_its_units_from_the_data(make):
    """In units of length and time of 1e-10 and 1e5 it is the same force; without motion it vanishes."""
    q, v = np.random.default_rng(0).normal(size=(2, 64, 2, 2))
    length, time = 2.0**-33, 2.0**17
    force = make()
    if hasattr(force, "width"):
        other = nx.DryFriction(force.features, width=0.1 * length**2 / time)
    else:
        other = force

    def prepared(force, unit, rate):
        q_, v_ = q * unit, v * unit / rate
        force = nx.standardise(force, q_, v_)
        energy = unit**2 / rate**2
        found = scaled_force(force, Motions(q_, v_, None, energy, energy / rate))
        silent = scaled_force(force, Motions(q_, v_, None, 0.0, 0.0))
        np.testing.assert_array_equal(compiled(silent, q_[0], v_[0]), 0)
        return compiled(found, q_[0], v_[0]) * rate**2 / unit

    np.testing.assert_allclose(
        prepared(other, length, time), prepared(force, 1.0, 1.0), rtol=1e-6, atol=1e-12
    )


def test_fit_finds_the_constant_of_friction():
    truth = nx.Forced(spring, lambda q, v: -0.3 * v)
    q, v = np.random.default_rng(0).normal(size=(2, 256, 1, 1))
    line = nx.Trivial(1).configuration_features(1)
    lagrangian = nx.NeuralSeparableLagrangian(line, width=8, depth=1, key=jax.random.key(0))
    model = nx.Forced(lagrangian, nx.LinearFriction(line))
    data = q, v, compiled(nx.acceleration, truth, q, v)
    model, history = nx.fit(model, data, steps=300, key=jax.random.key(1), progress=False)
    assert "1 new force(s) in units of the data" in history.preparation
    np.testing.assert_allclose(model.forces[0].constants, 0.3, rtol=0.02)
    again, note = nx.prepare(model, data)
    assert note == ""
    assert again is model


def test_held_inputs_are_not_smeared_over_their_jumps():
    """A free point: each value moves it as a constant force does, forwards and back."""
    t, u = np.arange(21) * 0.1, np.random.default_rng(0).normal(size=(21, 1))
    q, v = 0.0, 0.0
    for value in u[:-1, 0]:
        q, v = q + v * 0.1 + value * 0.005, v + value * 0.1
    forced = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, lambda q, v, t, u: u[None])
    model, rest = nx.Driven(forced, nx.Inputs(t, u, "hold")), jnp.zeros((1, 1))
    for options in ({}, {"solver": nx.RK4()}, {"solver": nx.VariationalMidpoint(), "dt": 0.05}):
        there = nx.rollout(model, rest, rest, ts=t, **options)
        np.testing.assert_allclose([there.q[-1, 0, 0], there.v[-1, 0, 0]], [q, v], atol=1e-12)
        back = nx.rollout(model, there.q[-1], there.v[-1], ts=t[::-1].copy(), **options)
        np.testing.assert_allclose([back.q[-1], back.v[-1]], 0, atol=1e-12)


def held(times, values, span):
    """A spring that held inputs push: q and v at the end, by its formula between their jumps."""
    q, v = Q[:1], V[:1]
    ends = np.unique(np.concatenate([[0.0, span], times[times < span]]))
    for start, end in itertools.pairwise(ends):
        value = values[np.searchsorted(times, (start + end) / 2) - 1]
        # Around the place where the push holds the spring, it turns.
        angle = end - start
        off = q - value
        q, v = (
            value + off * np.cos(angle) + v * np.sin(angle),
            v * np.cos(angle) - off * np.sin(angle),
        )
    return q, v


def between_jumps():
    """A spring that is pushed by inputs, which jump at no multiple of a step; where it is at t = 3."""
    times = 0.37 * np.arange(9)
    values = np.random.default_rng(0).normal(size=(9, 2))
    forced = nx.Forced(spring, lambda q, v, t, u: u[None])
    return nx.Driven(forced, nx.Inputs(times, values, "hold")), times, held(times, values, 3.0)


@pytest.mark.parametrize("forward", [True, False])
def test_no_fixed_step_crosses_a_jump_of_the_inputs(forward):
    model, _, end = between_jumps()
    begin = Q[:1], V[:1]
    start, wanted = (begin, end) if forward else (end, begin)
    ts = np.linspace(0, 3, 4) if forward else np.linspace(3, 0, 4)
    path = nx.rollout(model, *start, ts=ts, dt=0.1, solver=GAUSS4)
    np.testing.assert_allclose(path.q[-1], wanted[0], atol=1e-6)  # h⁴; else it is off by 0.1
    assert np.max(np.abs(nx.balance(nx.Rotations(2).noether_charge(model), path))) < 1e-14


class Adaptive(diffrax.Tsit5):
    """With an error estimate, by which it chooses its steps, and a rule of integration."""


@nx.solvers.quadrature.register
def _(solver: Adaptive, dense, t0, t1):
    raise NotImplementedError


def test_steps_that_were_chosen_are_not_taken_again():
    path = nx.rollout(spring, Q[:1], V[:1], ts=np.linspace(0, 3, 4), solver=Adaptive())
    assert path.solver is path.steps is path.grid is None
    even = nx.rollout(spring, Q[:1], V[:1], ts=np.linspace(0, 3, 4), dt=0.1, solver=GAUSS4)
    assert even.grid is None  # without jumps the number of steps says all
    assert even.steps.tolist() == [0, 10, 10, 10]


def test_no_chosen_step_crosses_a_jump_of_the_inputs():
    model, _, (wanted, _) = between_jumps()
    options = {"stepsize_controller": diffrax.PIDController(rtol=1e-8, atol=1e-8)}
    path = nx.rollout(model, Q[:1], V[:1], ts=np.linspace(0, 3, 4), solver=GAUSS4, **options)
    np.testing.assert_allclose(path.q[-1], wanted, atol=1e-6)


def test_steps_that_cross_a_jump_are_refused():
    model, times, (wanted, _) = between_jumps()
    coarse = jnp.linspace(0.0, 3.0, 31)
    controller = diffrax.StepTo(coarse)
    with pytest.raises(ValueError, match="jump at t = .*, within a step of the StepTo"):
        nx.rollout(model, Q[:1], V[:1], ts=coarse, solver=GAUSS4, stepsize_controller=controller)

    @eqx.filter_jit
    def of(ts):
        return nx.rollout(model, Q[:1], V[:1], ts=ts, solver=GAUSS4).q[-1]

    fine = np.sort(np.append(np.linspace(0, 3, 32), times[1:]))
    np.testing.assert_allclose(of(jnp.asarray(fine)), wanted, atol=1e-6)
    with pytest.raises(RuntimeError, match="jump within a step"):
        jax.block_until_ready(of(jnp.linspace(0.0, 3.0, len(fine))))


def test_a_balance_starts_from_nearly_nothing():
    """A velocity that rounding has left, by which the first step would be too short to count."""

    def free(q, v):
        return jnp.sum(v**2) / 2

    falling = nx.Forced(free, lambda q, v: -jnp.ones_like(q))
    start = jnp.ones((1, 1)), jnp.full((1, 1), 1e-307)
    path = nx.rollout(falling, *start, ts=np.array([1.0, 1.5, 2.0]))
    assert np.allclose(nx.balance(nx.Energy(falling), path), 0, atol=1e-10)
    assert np.allclose(nx.impulses(nx.Energy(falling), path)[:, 0, 0], [0, 0.125, 0.5])
