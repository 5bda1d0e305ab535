import os
import subprocess
import sys
from pathlib import Path

import diffrax
import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest
from helpers import compiled

import noetherax as nx
from noetherax._drift import charge_along
from noetherax.solvers import check_options, plan_times

KEPLER = nx.systems.Kepler(eccentricity=0.3)


def test_error_estimating_solvers_follow_the_exact_orbit():
    ts = np.linspace(0, 20, 11)
    q0, v0 = KEPLER.initial_state()
    trajectory = nx.rollout(KEPLER.lagrangian, q0, v0, ts=ts, solver=diffrax.Dopri8())
    q, v = KEPLER.reference(ts)
    # Global error of an adaptive solver at local tolerance 1e-8 over three periods.
    assert np.allclose(trajectory.q, q, atol=1e-5)
    assert np.allclose(trajectory.v, v, atol=1e-5)
    assert trajectory.p is None
    assert np.array_equal(trajectory.ts, ts)


def test_rk4_has_order_four():
    ts = np.linspace(0, 5, 6)
    exact, _ = KEPLER.reference(ts)
    errors = []
    for dt in (0.02, 0.01):
        trajectory = nx.rollout(
            KEPLER.lagrangian, *KEPLER.initial_state(), ts=ts, dt=dt, solver=nx.RK4()
        )
        errors.append(np.abs(np.asarray(trajectory.q) - np.asarray(exact)).max())
    assert 3.7 < np.log2(errors[0] / errors[1]) < 4.5


def test_drift_of_a_charge_falls_with_the_order_of_the_integrator():
    """Exact in continuous time: what is left is the integrator's error."""
    q0, v0 = np.random.default_rng(0).normal(size=(2, 1, 3))

    def order(group):
        """By which fifty steps of half the size drift less: one more than that of a given time."""
        perturbation = Scaled(helpers.neural(group, 1, width=4, depth=1), 1e-4)
        lagrangian = nx.LagrangianSum(helpers.HarmonicOscillator(), perturbation)
        charge = nx.Rotations(3).noether_charge(lagrangian)
        drifts = []
        for dt in (0.1, 0.05):
            ts = 50 * dt * np.linspace(0, 1, 6)
            trajectory = nx.rollout(lagrangian, q0, v0, ts=ts, dt=dt, solver=nx.RK4())
            drifts.append(float(nx.drift(charge, trajectory).max()))
        return np.log2(drifts[0] / drifts[1])

    assert order(nx.Rotations(3)) > 4.7
    # Negative control: without the symmetry the drift is that of the time, however small the steps.
    assert order(nx.Trivial(3)) < 1.5


class Scaled(nx.Lagrangian):
    """A small multiple of another Lagrangian: a perturbation that keeps the mass matrix regular."""

    lagrangian: nx.Lagrangian
    factor: float

    def __call__(self, q, v):
        return self.factor * self.lagrangian(q, v)


def test_fixed_steps_land_on_the_times():
    ts = np.array([0.0, 0.1, 0.35, 1.0])
    q0, v0 = KEPLER.initial_state()
    coarse = nx.rollout(KEPLER.lagrangian, q0, v0, ts=ts, solver=nx.RK4())
    assert int(coarse.stats["num_accepted_steps"]) == 3
    fine = nx.rollout(KEPLER.lagrangian, q0, v0, ts=ts, dt=0.05, solver=nx.RK4())
    assert int(fine.stats["num_accepted_steps"]) == 2 + 5 + 13


def test_reverse_and_forward_gradients_agree_with_differences():
    ts = np.linspace(0, 1, 5)
    q0, v0 = KEPLER.initial_state()

    @jax.jit
    @jax.value_and_grad
    def final_radius(strength):
        lagrangian = Attraction(strength)
        return jnp.sum(nx.rollout(lagrangian, q0, v0, ts=ts, dt=0.02, solver=nx.RK4()).q[-1] ** 2)

    _, reverse = final_radius(1.0)
    step = 1e-5
    difference = (final_radius(1.0 + step)[0] - final_radius(1.0 - step)[0]) / (2 * step)
    assert np.isclose(reverse, difference, rtol=1e-7)


class Attraction(nx.Lagrangian):
    strength: jax.Array | float

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) + self.strength / jnp.linalg.norm(q)


def test_rollouts_vmap_over_initial_states():
    q0, v0 = KEPLER.initial_state()
    v0 = jnp.stack([v0, 1.01 * v0])
    ts = np.linspace(0, 1, 3)
    both = compiled(
        eqx.filter_vmap(
            lambda v: nx.rollout(KEPLER.lagrangian, q0, v, ts=ts, dt=0.1, solver=nx.RK4())
        ),
        v0,
    )
    assert both.q.shape == (2, 3, 1, 3)
    one = nx.rollout(KEPLER.lagrangian, q0, v0[1], ts=ts, dt=0.1, solver=nx.RK4())
    assert np.allclose(both.q[1], one.q, rtol=1e-13)


def falls_off(q, v):
    """A Lagrangian whose motion leaves the finite numbers in finite time."""
    return 0.5 * jnp.sum(v**2) + jnp.sum(q**4)


def test_divergence_is_reported():
    state = np.ones((1, 1)), np.ones((1, 1))
    ts = np.linspace(0, 10, 11)
    with pytest.raises(RuntimeError, match="[Nn]onfinite"):
        nx.rollout(falls_off, *state, ts=ts, solver=nx.RK4())
    quiet = nx.rollout(falls_off, *state, ts=ts, solver=nx.RK4(), throw=False)
    assert quiet.result == diffrax.RESULTS.nonfinite
    assert quiet.result != diffrax.RESULTS.successful


def test_options_of_diffrax_pass_through():
    q0, v0 = KEPLER.initial_state()
    trajectory = nx.rollout(
        KEPLER.lagrangian,
        q0,
        v0,
        ts=np.array([0.0, 1.0]),
        stepsize_controller=diffrax.ConstantStepSize(),
        dt0=0.1,
        max_steps=100,
        saveat=diffrax.SaveAt(steps=True),
    )
    assert trajectory.q.shape == (100, 1, 3)
    assert int(trajectory.stats["num_accepted_steps"]) == 10


MISTAKES = {
    "one time": (dict(ts=np.array([0.0])), "at least two times"),
    "to and fro": (dict(ts=np.array([0.0, 1.0, 0.5])), "strictly increasing or"),
    "negative step": (dict(ts=np.array([0.0, 1.0]), dt=-0.1), "dt must be positive"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    arguments, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        nx.rollout(KEPLER.lagrangian, *KEPLER.initial_state(), **arguments)


OPTIONS = {
    "a name": (dict(solver="RK4"), r"solver must be .* nx.RK4\(\)"),
    "a class": (dict(solver=nx.RK4), r"That is the class; an instance is RK4\("),
    "several terms": (dict(solver=diffrax.SemiImplicitEuler()), "integrates several terms"),
    "imex": (dict(solver=diffrax.KenCarp4()), "integrates several terms"),
    "linear solver": (dict(linear_solver=lx.LU), "an instance is LU"),
    "tolerance": (dict(rtol=1e-3), "no option rtol=. Pass stepsize_controller="),
    "unknown": (dict(stepsize=1e-3), "no option stepsize="),
    "controller": (dict(stepsize_controller=diffrax.PIDController), "an instance is PIDController"),
    "event": (dict(event=lambda t, y, args, **kwargs: t), "event must be"),
    "meter": (dict(progress_meter=True), "progress_meter must be"),
    "no steps": (dict(max_steps=0), "max_steps must be a positive integer"),
    "truth": (dict(max_steps=True), "max_steps must be a positive integer"),
    "nan": (dict(dt0=np.nan), "dt0 must be a finite number"),
    "first step": (dict(solver=nx.RK4(), dt0=0.1), "pass dt, their"),
    "two masters": (
        dict(dt=0.1, stepsize_controller=diffrax.PIDController(rtol=1e-3, atol=1e-3)),
        "pass one of the two",
    ),
    "dense": (dict(saveat=diffrax.SaveAt(dense=True)), r"SaveAt\(dense=True\) is not for rollout"),
    "nothing": (dict(saveat=diffrax.SaveAt()), "saves nothing"),
    "function": (dict(saveat=diffrax.SaveAt(t1=True, fn=lambda t, y, args: t)), "jax.vmap"),
    "parts": (dict(saveat=diffrax.SaveAt(subs=[diffrax.SubSaveAt(t1=True)])), "several parts"),
    "solver state": (dict(saveat=diffrax.SaveAt(t1=True, solver_state=True)), "solver_state"),
    "steps": (dict(saveat=diffrax.SaveAt(steps=True)), "needs max_steps"),
    "implicit": (dict(adjoint=diffrax.ImplicitAdjoint()), "steady states"),
    "backsolve": (dict(adjoint=diffrax.BacksolveAdjoint(), dt=0.1), "fixed in advance"),
    "variational": (
        dict(adjoint=diffrax.BacksolveAdjoint(), solver=nx.VariationalMidpoint()),
        "a variational solver cannot",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_cannot_go_on_to_diffrax_are_named(name):
    options, message = OPTIONS[name]
    options = dict(solver=diffrax.Tsit5(), linear_solver=lx.LU(), dt=None) | options
    with pytest.raises((TypeError, ValueError), match=message):
        check_options(**{name: options.pop(name) for name in ("solver", "linear_solver", "dt")},
                      options=options)  # fmt: skip


TIMES = {
    "none": (([],), "at least two times"),
    "bytes": ((b"ab",), "vector of real numbers"),
    "truth": ((np.array([True, False]),), "vector of real numbers"),
    "complex": ((np.array([0j, 1]),), "vector of real numbers"),
    "nan": (([0.0, np.nan],), "finite and strictly increasing"),
    "truth as a step": (([0.0, 1.0], True), "dt must be a number"),
    "steps": (([0.0, 1.0], np.array([0.1])), "dt must be a number"),
    "nan as a step": (([0.0, 1.0], np.nan), "dt must be positive"),
    "tiny step": (([0.0, 1.0], 1e-300), r"1e\+300 steps"),
    "long time": (([0.0, 1e300], 0.1), r"1e\+301 steps"),
    "Julian dates in float32": (
        (np.float32(2451545 + 0.3 * np.arange(4)),),
        "known to 0.29 only in float32.*subtract the first time",
    ),
}


@pytest.mark.parametrize("name", TIMES)
def test_wrong_times_are_named(name):
    (ts, *dt), message = TIMES[name]
    with pytest.raises((TypeError, ValueError), match=message):
        plan_times(ts, dt[0] if dt else None, jnp.float64, absolute=False)


def test_fixed_steps_are_exact_relative_to_the_first_time():
    days = 2451545 + 0.3 * np.arange(5)
    for ts in (days, days[::-1]):
        with pytest.warns(UserWarning, match="trajectory.ts shows them rounded"):
            times = plan_times(ts, 0.1, jnp.float32, absolute=False)
        assert times.grid.dtype == times.save.dtype == jnp.float32
        assert np.allclose(times.save, ts - ts[0], rtol=1e-6)
        assert np.allclose(np.abs(np.diff(times.grid)), 0.1, rtol=1e-5)
    # What sees absolute times cannot have them.
    with pytest.raises(ValueError, match="known to 0.29 only in float32"):
        plan_times(days, None, jnp.float32, absolute=True)
    whole = plan_times(np.float32(days.round()[::3]), None, jnp.float32, absolute=True)
    assert np.array_equal(whole.save, days.round()[::3])


class Spring(nx.Lagrangian):
    """A mass of 1 at the origin, pulled back."""

    stiffness: jax.Array | float

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_tolerance_follows_the_motion_and_not_its_units(dtype):
    """The same oscillation in other units of length and of time, forth and back, from its turning point
    and from the middle, with a coordinate that never moves."""
    phase = np.linspace(0, 6, 4)
    error, counts = 1e-4 if dtype == "float32" else 1e-7, set()
    for length, time in ((1.0, 1.0), (1e-10, 1e10), (1e10, -1e-10)):
        for q, v in ((1.0, 0.0), (0.0, 1.0)):
            q0 = np.array([[q * length, 0.0]], dtype)
            v0 = np.array([[v * length / time, 0.0]], dtype)
            path = nx.rollout(Spring(jnp.asarray(time**-2, dtype)), q0, v0, ts=phase * time)
            expected = q * np.cos(phase) + v * np.sin(phase)
            assert np.abs(np.asarray(path.q)[:, 0, 0] / length - expected).max() < error
            counts.add(int(path.stats["num_steps"]))
    # As many in all units, up to rounding, which differs between releases of JAX: 45 to 49 steps.
    assert max(counts) - min(counts) <= 4
    still = nx.rollout(Spring(jnp.asarray(1.0, dtype)), 0 * q0, 0 * q0, ts=phase)
    assert np.all(np.asarray(still.q) == 0)
    assert int(still.stats["num_steps"]) < 10


def test_positions_that_the_precision_cannot_tell_apart_are_named():
    q0, v0 = np.array([[1e7]], np.float32), np.array([[1.0]], np.float32)
    with pytest.warns(UserWarning, match="Positions near 1e.07 on axis 0 are known to 1.2 only"):
        nx.rollout(
            lambda q, v: jnp.sum(v**2), q0, v0, ts=np.array([0.0, 1.0]), dt=0.5, solver=nx.RK4()
        )


def thinning(q, v):
    """A mass that vanishes where q does."""
    return 0.5 * jnp.sum(q * v**2)


def test_a_motion_that_becomes_singular_ends_and_says_why():
    ts = np.linspace(0, 5, 6)
    fall = nx.systems.Kepler().lagrangian
    q0, v0 = jnp.array([[1.0, 0, 0]]), jnp.zeros((1, 3))
    # From rest at a distance of one, after π/√8.
    with pytest.raises(RuntimeError, match=r"t = 1.1107207.*Forces diverge there"):
        nx.rollout(fall, q0, v0, ts=ts)
    quiet = nx.rollout(fall, q0, v0, ts=ts, throw=False)
    assert quiet.result == diffrax.RESULTS.dt_min_reached
    assert np.all(np.isfinite(quiet.q[:2]))
    assert not np.any(np.isfinite(quiet.q[2:]))
    # Inside the singularity, or as good as inside.
    with pytest.raises(RuntimeError, match="At the initial state: The derivatives"):
        nx.rollout(fall, 0 * q0, v0, ts=ts)
    for start in (0 * q0, 1e-100 * q0):
        inside = nx.rollout(fall, start, v0, ts=ts, throw=False, max_steps=1000)
        assert inside.result != diffrax.RESULTS.successful
        assert int(inside.stats["num_steps"]) < 100

    one = jnp.ones((1, 1))
    with pytest.raises(RuntimeError, match="The mass matrix ∂²L/∂v² becomes singular there"):
        nx.rollout(thinning, one, -one, ts=ts)  # q³ᐟ² falls by 3/2 per time
    # A step over it is seen, too: there the mass matrix is negative.
    over = nx.rollout(thinning, one, -one, ts=ts, dt=0.05, solver=nx.RK4(), throw=False)
    assert over.result == diffrax.RESULTS.nonfinite


def test_time_runs_backwards():
    ts = np.linspace(1, -2, 4)
    q0, v0 = np.array([[1.0, 0.0]]), np.array([[0.0, 0.5]])
    paths = [
        nx.rollout(Spring(1.0), q0, v0, ts=ts, dt=0.1, solver=solver)
        for solver in (nx.RK4(), nx.VariationalGauss4())
    ]
    for path in paths:
        expected = np.stack([np.cos(ts - 1), 0.5 * np.sin(ts - 1)], axis=-1)
        assert np.array_equal(path.ts, ts)
        assert np.allclose(path.q[:, 0], expected, atol=1e-5)
    event = diffrax.Event(lambda t, y, args, **kwargs: t < -0.5)
    stopped = nx.rollout(Spring(1.0), q0, v0, ts=ts, event=event)
    assert np.array_equal(np.isfinite(stopped.ts), [True, True, False, False])


def test_drift_is_relative_to_the_start_or_to_a_scale():
    q = np.array([[[1.0, 0, 0]], [[2.0, 0, 0]]])
    trajectory = nx.Trajectory(
        jnp.array([0.0, 1.0]), jnp.asarray(q), jnp.zeros((2, 1, 3)), None, {},
        diffrax.RESULTS.successful,
    )  # fmt: skip
    assert np.allclose(nx.drift(lambda q, v, t: q.ravel(), trajectory), [0, 1])
    assert np.allclose(nx.drift(lambda q, v, t: q.ravel(), trajectory, scale=4.0), [0, 0.25])
    with pytest.raises(RuntimeError, match="zero at the start"):
        nx.drift(lambda q, v, t: v.ravel(), trajectory)


def drifting(ts, q, p, result=diffrax.RESULTS.successful):
    """A trajectory with q̇ = v = p, as of a particle of mass one."""
    ts, q, p = (jnp.asarray(x, float) for x in (ts, q, p))
    return nx.Trajectory(ts, q, p, p, {}, result)


def test_momenta_are_used_where_they_are_those_of_the_charge():
    q, v = np.random.default_rng(0).normal(size=(2, 4, 1, 3))
    # Momenta of mass one, with one rounding that only they show.
    p = v * (1 + 2e-16 * np.arange(4)[:, None, None])
    trajectory = eqx.tree_at(lambda x: x.p, drifting(np.arange(4.0), q, v), jnp.asarray(p))
    charge = nx.Rotations(3).noether_charge(helpers.HarmonicOscillator())
    carried = np.cross(q, p)[:, 0]
    found = compiled(charge_along, charge, trajectory)
    assert np.array_equal(found, charge_along_of(charge, q, p))
    assert not np.array_equal(found, charge_along_of(charge, q, v))
    # Of another Lagrangian the charge has other momenta: m₀ = 1 + q² here.
    other = nx.Rotations(3).noether_charge(lambda q, v: jnp.sum(v**2) * (1 + jnp.sum(q**2)) / 2)
    mass = 1 + np.sum(q**2, axis=(1, 2))[:, None]
    assert np.allclose(compiled(charge_along, other, trajectory), mass * carried, rtol=1e-14)


def charge_along_of(charge, q, p):
    return compiled(jax.vmap(charge.at_momentum), q, p)


def test_the_true_charge_of_a_models_motion_has_the_true_momenta():
    """A model heavier along one axis keeps no angular momentum of the true law, in which m = 1."""
    group, times = nx.Rotations(2), np.linspace(0, 3, 31)
    true = helpers.HarmonicOscillator()
    model = Heavier(jnp.array([1.0, 1.5]))
    state = jnp.array([[1.0, 0.2]]), jnp.array([[0.1, 0.5]])
    orbit = nx.rollout(model, *state, ts=times, solver=nx.VariationalMidpoint())
    found = eqx.filter_jit(nx.drift)(group.noether_charge(true), orbit)
    (x, y), (u, w) = (np.asarray(a)[:, 0].T for a in (orbit.q, orbit.v))
    spin = x * w - y * u
    assert np.allclose(found, abs(spin / spin[0] - 1), atol=1e-14)
    assert found.max() > 0.1


class Heavier(nx.Lagrangian):
    mass: jax.Array

    def __call__(self, q, v):
        return jnp.sum(self.mass * v**2) / 2 - jnp.sum(q**2) / 2


def test_drift_of_each_charge_shows_what_the_norm_hides():
    """An angular momentum that falls by a tenth, seen from a frame that moves with γ = 10⁴."""
    metric = np.diag([-1.0, 1, 1, 1])
    charge = nx.Poincare().noether_charge(lambda q, v: jnp.sum((v @ metric) * v) / 2)
    q = np.array([[[0, 0, 1.0, 0]], [[0, 0, 1.0, 0]]])
    v = np.array([[[1.2, 0, 0, 0.5]], [[1.2, 0, 0, 0.45]]])
    boost, gamma = np.eye(4), 1e4
    boost[:2, :2] = [[gamma, np.sqrt(gamma**2 - 1)], [np.sqrt(gamma**2 - 1), gamma]]
    momenta = np.asarray(v @ boost.T @ metric)
    boosted = eqx.tree_at(
        lambda x: x.p, drifting([0.0, 1.0], q @ boost.T, v @ boost.T), jnp.asarray(momenta)
    )
    with pytest.warns(UserWarning, match="per_charge"):
        whole = nx.drift(charge, boosted)
    assert whole[1] < 1e-5
    each = nx.drift(charge, boosted, per_charge=True)
    assert each.shape == (2, 10)
    # One momentum and one angular momentum change, and no other charge.
    assert np.allclose(np.sort(each[1]), [0] * 8 + [0.1, 0.1])
    given = nx.drift(charge, boosted, per_charge=True, scale=np.full(10, 0.5))
    assert np.isclose(np.max(given), 0.1)  # 0.05 of 0.5
    with pytest.raises(ValueError, match="one per charge"):
        nx.drift(charge, boosted, per_charge=True, scale=np.ones(2))
    with pytest.raises(ValueError, match="per_charge=True"):
        nx.drift(charge, boosted, scale=np.ones(10))


def test_a_charge_that_starts_at_zero_has_the_scale_of_its_parts():
    charge = nx.Rotations(3).noether_charge(helpers.HarmonicOscillator())
    q = np.array([[[2.0, 0, 0]], [[0, 2.0, 0]], [[0, 2.0, 0.1]]])
    p = np.array([[[0, 3.0, 0]], [[3.0, 0, 0]], [[3.0, 0, 0]]])
    each = nx.drift(charge, drifting([0.0, 1, 2], q, p), per_charge=True)
    # L = (0, 0, 6), (0, 0, −6), (0, 0.3, −6); L_y is made of |p| √(x² + z²) = 6, 0, 0.3.
    assert np.allclose(each[1], [0, 0, 2])
    assert np.allclose(each[2], [0, 0.3 / 0.3, 2])
    # E = (v² − q²)/2 is 0 and then 1.125; v p + |L| is 2 and then 11.375.
    energy = nx.Energy(lambda q, v: jnp.sum(v**2 + q**2) / 2)
    apart = drifting([0.0, 1], [[[1.0]], [[2.0]]], [[[1.0]], [[2.5]]])
    found = nx.drift(energy, apart, per_charge=True)
    assert np.allclose(found, [[0], [1.125 / 6.6875]])
    with pytest.raises(RuntimeError, match="zero at the start"):
        nx.drift(lambda q, v, t: (q - 2)[0], drifting([0.0, 1, 2], q, p), per_charge=True)


def test_drift_ignores_what_diffrax_did_not_use():
    q = np.array([[[1.0]], [[2.0]], [[np.inf]], [[np.inf]]])
    ts = [0.0, 1.0, np.inf, np.inf]

    def of(result):
        return nx.drift(lambda q, v, t: q[0] + 0 * t, drifting(ts, q, q, result))

    for result in (diffrax.RESULTS.successful, diffrax.RESULTS.event_occurred):
        assert np.allclose(of(result), [0, 1, 1, 1])
    # What is missing after a failure was lost, and is not ignored.
    assert not np.any(np.isfinite(of(diffrax.RESULTS.max_steps_reached)[2:]))


def test_derivatives_forward_in_the_initial_state():
    q, v, ts = jnp.array([[1.0]]), jnp.array([[0.0]]), np.linspace(0, 1, 3)
    law = nx.systems.HarmonicOscillator().lagrangian

    def end(q):
        return nx.rollout(law, q, v, ts=ts, adjoint=diffrax.ForwardMode()).q[-1]

    _, slope = compiled(lambda q: jax.jvp(end, (q,), (jnp.ones_like(q),)), q)
    assert np.allclose(slope, np.cos(1.0), rtol=1e-6)


def test_a_coordinate_that_rests_has_no_precision_to_lack():
    """The radius of a circular orbit moves by rounding alone."""

    def polar(q, v):
        r, (rate, turn) = q[0, 0], v[0]
        return (rate**2 + (r * turn) ** 2) / 2 + 1 / r

    q, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
    orbit = nx.rollout(polar, q, v, ts=np.linspace(0, 1, 11), solver=nx.RK4())
    assert np.allclose(orbit.q[-1], [[1.0, 1.0]])


def test_drift_has_a_derivative():
    """At the first time the norm of the change is that of zero, whose derivative is not a number."""
    law = nx.systems.HarmonicOscillator().lagrangian
    orbit = nx.rollout(
        law, jnp.array([[1.0]]), jnp.array([[0.5]]), ts=np.linspace(0, 1, 3), solver=nx.RK4()
    )

    @jax.jit
    @jax.value_and_grad
    def last(stiffness):
        def other(q, v):
            return jnp.sum(v**2) / 2 - stiffness * jnp.sum(q**2) / 2

        return nx.drift(nx.Energy(other), orbit)[-1]

    step = 1e-5
    difference = (last(2.5 + step)[0] - last(2.5 - step)[0]) / (2 * step)
    assert np.allclose(last(2.5)[1], difference, rtol=1e-6)


def test_a_member_that_fails_leaves_the_derivatives_of_the_others():
    """Forward. Lineax raises in the derivative of a failed solve, whatever was asked of the solve."""
    starts = jnp.array([1.0, 0.0, 2.0])  # the second inside the singularity

    options = dict(ts=np.linspace(0, 1, 3), dt=0.05, solver=nx.RK4(), throw=False)
    options.update(adjoint=diffrax.ForwardMode())

    @jax.jit
    def ends(speed):
        def end(x):
            q, v = jnp.array([[x, 0.0, 0.0]]), jnp.array([[0.0, speed, 0.0]])
            return jnp.sum(nx.rollout(KEPLER.lagrangian, q, v, **options).q[-1])

        found = jax.vmap(end)(starts)
        return jnp.where(jnp.isfinite(found), found, 0)

    forward = jax.jit(jax.jacfwd(ends))(1.0)
    step = 1e-5
    differences = (ends(1.0 + step) - ends(1.0 - step)) / (2 * step)
    assert np.allclose(forward, differences, rtol=1e-6)
    assert forward[1] == 0
    assert forward[0] != 0


def test_the_default_keeps_a_charge_near_the_rounding_of_float32():
    kepler = nx.systems.Kepler(eccentricity=0.3)
    q0, v0 = (np.asarray(x, np.float32) for x in kepler.initial_state())
    ts = np.linspace(0, 100, 101, dtype=np.float32)
    path = nx.rollout(kepler.lagrangian, q0, v0, ts=ts)
    charges = np.cross(*(np.asarray(x[:, 0], float) for x in (path.q, path.v)))
    assert np.max(np.linalg.norm(charges - charges[0], axis=1)) < 40 * np.finfo(np.float32).eps


def test_a_motion_starts_from_rest_at_the_origin_in_float32():
    """There is nothing yet by which an error of a first step could be measured, but the step."""

    def pushed(q, v, t):
        return jnp.sum(v**2) / 2 + jnp.sin(t) * q[0, 0]

    rest = jnp.zeros((1, 1), jnp.float32)
    path = nx.rollout(pushed, rest, rest, ts=np.linspace(0, 10, 3, dtype=np.float32))
    ts = np.asarray(path.ts)
    assert np.allclose(path.q[:, 0, 0], ts - np.sin(ts), rtol=1e-6)
    assert path.stats["num_steps"] < 200


def test_the_default_solver_finds_the_root_of_an_event():
    """By Newton's method from the end of a step, where the interpolation needs its slope."""
    law = nx.systems.HarmonicOscillator().lagrangian
    root_finder = optx.Newton(1e-10, 1e-10)
    event = diffrax.Event(lambda t, y, args, **kwargs: y[0][0, 0], root_finder)
    options = dict(event=event, saveat=diffrax.SaveAt(t1=True))
    q, v = jnp.array([[1.0]]), jnp.array([[0.0]])
    path = nx.rollout(law, q, v, ts=np.linspace(0, 5, 3), **options)
    assert np.allclose(path.ts, np.pi / 2, rtol=1e-7)
    assert np.allclose(path.q, 0, atol=1e-9)


def test_the_gradient_by_the_adjoint_equations_is_that_of_a_plain_number_too():
    ts = np.linspace(0, 2, 5)

    def end(stiffness):
        def spring(q, v):
            return 0.5 * jnp.sum(v**2) - 0.5 * stiffness * jnp.sum(q**2)

        start = jnp.ones((1, 1)), jnp.zeros((1, 1))
        return nx.rollout(spring, *start, ts=ts, adjoint=diffrax.BacksolveAdjoint()).q[-1, 0, 0]

    expected = -ts[-1] / (2 * np.sqrt(2)) * np.sin(np.sqrt(2) * ts[-1])
    # JAX types a Python number weakly, and Diffrax would take its derivative to be zero.
    np.testing.assert_allclose(jax.grad(end)(2.0), expected, rtol=1e-7)


def anharmonic(constants):
    """A spring that stiffens, with friction."""

    def law(q, v):
        stiff = constants[0] * jnp.sum(q**2) / 2 + constants[1] * jnp.sum(q**4) / 4
        return jnp.sum(v**2) / 2 - stiff

    return nx.Forced(law, lambda q, v: -constants[2] * v)


def test_no_step_is_taken_again_on_the_way_back_where_steps_are_chosen():
    """In another program it might end elsewhere."""
    q, v, ts = 0.7 * jnp.ones((1, 1)), -0.3 * jnp.ones((1, 1)), np.array([0.05, 0.9, 2.1])

    def takes_again(**options):
        def end(constants):
            law, adjoint = anharmonic(constants), diffrax.DirectAdjoint()
            return nx.rollout(law, q, v, ts=ts, adjoint=adjoint, **options).q[-1, 0, 0]

        jaxpr = str(jax.make_jaxpr(end)(jnp.array([1.3, 0.4, 0.2])))
        return any(name in jaxpr for name in ("remat", "checkpoint["))  # by the version of JAX

    assert not takes_again(max_steps=32)
    assert takes_again(solver=nx.RK4(), dt=0.1)  # its steps are known


def test_steps_of_a_constant_size_do_not_go_across_a_jump():
    pushed = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, lambda q, v, t, u: u[None])
    model = nx.Driven(pushed, nx.Inputs(np.array([0.0, 0.5]), np.array([[1.0], [0.0]]), "hold"))
    steps = dict(stepsize_controller=diffrax.ConstantStepSize(), dt0=0.25, solver=diffrax.Tsit5())
    with pytest.raises(ValueError, match="Pass dt= instead: such steps end at jumps"):
        nx.rollout(model, jnp.zeros((1, 1)), jnp.zeros((1, 1)), ts=np.array([0.0, 1.0]), **steps)


def test_a_way_back_that_fails_is_no_derivative():
    q, v = jnp.ones((1, 1)), jnp.zeros((1, 1))

    def end(stiffness, **options):
        def spring(q, v):
            return jnp.sum(v**2 - stiffness * q**2) / 2

        adjoint = diffrax.BacksolveAdjoint(max_steps=3)
        path = nx.rollout(spring, q, v, ts=np.array([0.0, 2.0]), adjoint=adjoint, **options)
        return path.q[-1, 0, 0]

    with pytest.raises(Exception, match="maximum number of solver steps was reached"):
        jax.grad(lambda x: end(x, throw=False))(1.0)


def test_the_adjoint_equations_have_no_derivative_by_the_times_of_jumps():
    def end(times):
        pushed = nx.Forced(lambda q, v: jnp.sum(v**2 - q**2) / 2, lambda q, v, t, u: u[None])
        model = nx.Driven(pushed, nx.Inputs(times, jnp.ones((2, 1)), "hold"))
        start = jnp.ones((1, 1)), jnp.zeros((1, 1))
        return nx.rollout(
            model, *start, ts=np.array([0.0, 2.0]), adjoint=diffrax.BacksolveAdjoint()
        ).q.sum()

    with pytest.raises(RuntimeError, match="no derivative by the times at which inputs jump"):
        jax.grad(end)(jnp.array([0.0, 1.0]))


USERS = """
import jax, jax.numpy as jnp, diffrax, noetherax as nx, numpy as np
jax.config.update("jax_enable_x64", True)
from test_rollout import anharmonic

times, values = np.array([0.0, 0.6, 1.1, 1.7]), np.array([[0.5], [-1.0], [0.8], [0.3]])

def end(x, driven=False, **options):
    model = anharmonic(x[2:])
    if driven:
        law, friction = model.lagrangian, lambda q, v: -x[4] * v
        pushed = nx.Forced(law, friction, lambda q, v, t, u: u[None])
        model = nx.Driven(pushed, nx.Inputs(times, values, "cubic"))
    ts = np.array([0.05, 0.9, 2.1])
    return nx.rollout(model, x[:1][None], x[1:2][None], ts=ts, **options).q[-1, 0, 0]

def check(adjoint, tolerance, **options):
    found = jax.grad(lambda x: end(x, adjoint=adjoint, **options))(at)
    options = dict(driven=options.get("driven", False), adjoint=diffrax.ForwardMode())
    np.testing.assert_allclose(found, jax.jacfwd(lambda x: end(x, **options))(at), rtol=tolerance)

at = jnp.array([0.7, -0.3, 1.3, 0.4, 0.2])
check(diffrax.RecursiveCheckpointAdjoint(), 1e-8, max_steps=512)
check(diffrax.DirectAdjoint(), 1e-8, max_steps=512)
check(diffrax.BacksolveAdjoint(), 1e-7, driven=True)  # its way back stops at the end of the inputs
"""


def test_derivatives_agree_in_the_programs_of_users():
    """The tests compile quickly, without the fusions by which a step could end elsewhere."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    own = {"XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"}
    plain = {name: x for name, x in os.environ.items() if name not in own} | {"PYTHONPATH": path}
    command = [sys.executable, "-c", USERS]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-2000:]
