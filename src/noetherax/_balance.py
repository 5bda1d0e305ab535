"""The account of a charge: what forces and explicit time have put into it along a trajectory."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._drift import charge_along, without_padding
from ._precision import PRECISION
from ._programs import run
from ._trajectory import Trajectory
from .charges import Energy, MomentumMap
from .dynamics import acceleration, at_time, covector, depends_on_time, forces_of, has_rule
from .forces import held_until, jumps_of
from .solvers import LagrangianTerm, RelativeController, first_memory, quadrature

FINE = 1e-2
"""Tolerance of integrals between saved times, in units of that of a rollout."""

AT_A_TIME = 1024
"""Intervals that are integrated together."""


def balance(charge: Callable, trajectory: Trajectory) -> Float[Array, "times charges"]:
    """What is left of the change of a charge when the part of all forces is taken off,

        I_a(t) − I_a(0) − ∫ Q · ξ_a dt,    and for the energy    E(t) − E(0) − ∫ (Q · v − ∂L/∂t) dt.

    It vanishes for the charges of a symmetry of L, whatever forces act, friction, a drive and control
    together. Along a trajectory of a variational solver with fixed steps the integral is the sum
    h Σ_i b_i Q_i · ξ_a(q_i) that the solver itself takes, and for an affine group the balance is at
    rounding in float64 at any step. The energy's is as good as the solver's energy.

    Elsewhere the motion from each saved time to the next is integrated anew, finer than by a rollout:
    what is left then is the error of the trajectory. Jumps of L itself are not part of ∂L/∂t: where a
    Lagrangian takes inputs of the kind `"hold"`, the balance of the energy holds what they put in.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def central(q, v):
            return jnp.sum(v**2) / 2 + 1 / jnp.linalg.norm(q)


        damped = nx.Forced(central, lambda q, v: -0.01 * v)
        q, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
        ts = jnp.linspace(0, 5, 6)
        trajectory = nx.rollout(damped, q, v, ts=ts, dt=0.05, solver=nx.RK4())
        charge = nx.Rotations(2).noether_charge(damped)
        left = nx.balance(charge, trajectory)
        assert charge(trajectory.q[-1], trajectory.v[-1]) < 0.96  # 1 at the start
        assert jnp.max(jnp.abs(left)) < 1e-4  # and all of it went to the force
        ```

    **Arguments:**

    - `charge`: `group.noether_charge(model)` or [`noetherax.Energy`][] of the model whose motion it is,
        forces included.
    - `trajectory`: from [`noetherax.rollout`][].

    **Returns:**

    The balance at each time, in units of the charge, shape `(times, charges)`.

    **Raises:**

    `TypeError` for a charge of which it is not known how forces change it.
    """
    _check(charge)
    return run(_account, charge, trajectory)[0]


def impulses(charge: Callable, trajectory: Trajectory) -> Float[Array, "times parts charges"]:
    """What each force has put into a charge since the start, ∫ Q_k · ξ_a dt: its impulse or, for the
    energy, its work.

    !!! example

        A body in free fall: what gravity put in, and what the air took, make its momentum.

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def free(q, v):
            return jnp.sum(v**2) / 2


        falling = nx.Forced(free, lambda q, v: -9.81 + 0 * q, lambda q, v: -0.5 * v)
        rest = jnp.zeros((1, 1))
        ts = jnp.linspace(0.0, 2.0, 5)
        trajectory = nx.rollout(falling, rest, rest, ts=ts, dt=0.05, solver=nx.RK4())
        charge = nx.Translations(1).noether_charge(falling)
        parts = nx.impulses(charge, trajectory)
        assert parts.shape == (5, 2, 1)  # times, forces, charges
        assert jnp.allclose(parts[:, 0, 0], -9.81 * ts)
        assert jnp.allclose(jnp.sum(parts, axis=1), trajectory.v[:, 0], rtol=1e-4)
        ```

    **Arguments:** as [`noetherax.balance`][].

    **Returns:**

    One part for each force, in the order of [`noetherax.Forced`][]; of a model that depends on time one
    more, for the explicit change of L. Shape `(times, parts, charges)`.

    **Raises:** as there.
    """
    _check(charge)
    return run(_account, charge, trajectory)[1]


@singledispatch
def rates(charge: Any, q, v, t) -> Float[Array, "parts charges"]:
    """How fast each force and, last, explicit time change a charge at a state. A charge of your own
    registers a rule, `noetherax.rates.register`; [`noetherax.balance`][] then takes it, too.

    !!! example

        Friction takes 0.1 v² from the energy of a free particle:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def free(q, v):
            return jnp.sum(v**2) / 2


        damped = nx.Forced(free, lambda q, v: -0.1 * v)
        q, v = jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]])
        power = nx.rates(nx.Energy(damped), q, v, 0.0)
        assert power.shape == (1, 1)  # of one force and one charge
        assert jnp.allclose(power, -2.5)
        ```

    **Arguments:**

    - `charge`: as for [`noetherax.balance`][].
    - `q`, `v`: configuration and velocity, shape `(points, space)`.
    - `t`: time, a scalar.

    **Returns:**

    The rates, in units of the charge by those of time, shape `(parts, charges)`. Parts are as in
    [`noetherax.impulses`][].

    **Raises:**

    `TypeError` for a type of charge that has registered no rule.
    """
    raise TypeError(
        f"How forces change a {type(charge).__name__} is not known. Pass group.noether_charge(model) "
        "or noetherax.Energy(model), or register it: noetherax.rates.register."
    )


def _check(charge: Any) -> None:
    if not has_rule(rates, type(charge)):
        rates(charge, None, None, None)  # which says so


@rates.register
def _(charge: MomentumMap, q, v, t):
    generators = charge.generators(q, t)
    parts = [
        jnp.einsum("aij,ij->a", generators, force, precision=PRECISION)
        for force in _forces(charge.lagrangian, q, v, t)
    ]
    explicit = [jnp.zeros(len(generators), q.dtype)] * depends_on_time(charge.lagrangian)
    return _stacked(parts + explicit, len(generators), q.dtype)


@rates.register
def _(charge: Energy, q, v, t):
    model = charge.lagrangian
    parts = [jnp.sum(force * v)[None] for force in _forces(model, q, v, t)]
    if depends_on_time(model):
        change = jax.grad(lambda t: at_time(model, t)(q, v))(jnp.asarray(t, q.dtype))
        parts.append(-change[None])
    return _stacked(parts, 1, q.dtype)


def _forces(model, q, v, t) -> list:
    return [covector(force, q, v) for force in forces_of(at_time(model, t))]


def _stacked(parts: list, charges: int, dtype):
    return jnp.stack(parts) if parts else jnp.zeros((0, charges), dtype)


def _account(charge, trajectory: Trajectory):
    """The balance and the impulses: one program for both, since who asks for one asks for the other."""
    if trajectory.solver is None:  # an event, or times of Diffrax' own, may leave entries unused
        trajectory = without_padding(trajectory)
    values, parts = charge_along(charge, trajectory), _impulses(charge, trajectory)
    return values - values[0] - jnp.sum(parts, axis=1), parts


def _impulses(charge: Any, trajectory: Trajectory):
    model, solver = charge.lagrangian, trajectory.solver
    ts, q, v, p = trajectory.ts, trajectory.q, trajectory.v, trajectory.p
    grid, steps = trajectory.grid, trajectory.steps
    rate = jax.eval_shape(lambda q, v, t: rates(charge, q, v, t), q[0], v[0], ts[0])
    if not rate.size:  # nothing acts, or nothing is conserved
        return jnp.zeros((len(ts), *rate.shape), rate.dtype)
    if p is None or solver is None or steps is None:
        between = _fine(charge, model, q, v, ts)
    else:
        between = _stepped(charge, model, solver, grid, steps, (q, p, v), ts)
    start = jnp.zeros_like(between[:1])
    return jnp.cumsum(jnp.concatenate([start, between]), axis=0)


def _stepped(charge, model, solver, grid, steps, states, ts):
    """Integrals over all intervals by the steps of a solver, taken again from the saved states."""
    term = LagrangianTerm(model)

    def of_interval(interval):
        state, first, count, t0, t1 = interval

        def end(k):
            """The time after k steps."""
            if grid is not None:
                return grid[first + k]
            # As `rollout` divides an interval: a drive sees times that differ by their rounding.
            inside = t0 + k.astype(ts.dtype) * ((t1 - t0) / count.astype(ts.dtype))
            return jnp.where(k == count, t1, inside)

        memory = first_memory(solver, term, t0, end(jnp.ones_like(count)), state, None)

        def step(index, carry):
            state, memory, total = carry
            before, after = end(index), end(index + 1)
            state, _, dense, memory, _ = solver.step(
                term, before, after, state, None, memory, False
            )
            return state, memory, total + _integral(charge, solver, dense, before, after)

        total = jnp.zeros_like(rates(charge, state[0], state[2], t0))
        return jax.lax.fori_loop(jnp.zeros_like(count), count, step, (state, memory, total))[2]

    starts = jax.tree.map(lambda x: x[:-1], states)
    intervals = starts, jnp.cumsum(steps)[:-1], steps[1:], ts[:-1], ts[1:]
    return jax.lax.map(of_interval, intervals, batch_size=AT_A_TIME)


def _integral(charge, solver, dense, t0, t1):
    nodes = quadrature(solver, dense, t0, t1)
    assert nodes is not None  # else the trajectory would not have kept its solver
    values = jax.vmap(lambda t, q, v: rates(charge, q, v, t))(nodes.t, nodes.q, nodes.v)
    return jnp.tensordot(nodes.weights, values, 1)


def _fine(charge, model, q, v, ts):
    """The same by a fine integration of the motion from each saved state; NaN where one is lost."""
    epsilon = float(jnp.finfo(q.dtype).eps)
    tolerance = max(FINE * 1e-8, 10 * epsilon)

    def slope(t, state, later):
        q, v, _ = state
        t = t.astype(q.dtype)
        held, own = _held(charge, model, later)
        a = acceleration(at_time(held, t), q, v, throw=False)
        return v, a, rates(own, q, v, t)

    def of_interval(interval):
        q, v, t0, t1 = interval
        nothing = jnp.zeros_like(rates(charge, q, v, t0))
        lost = ~(jnp.all(jnp.isfinite(q)) & jnp.all(jnp.isfinite(v)) & jnp.isfinite(t1 - t0))
        t0, t1 = (jnp.where(lost, 0, t) for t in (t0, t1))
        controller = RelativeController(tolerance, jnp.abs(t1 - t0), jnp.asarray(epsilon, q.dtype))
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(slope),
            diffrax.Dopri8(),
            t0,
            t1,
            None,
            (q, v, nothing),
            args=jnp.maximum(t0, t1),
            stepsize_controller=controller,
            max_steps=None,
            throw=False,
        )
        assert solution.ys is not None
        return jnp.where(lost, jnp.nan, solution.ys[2][-1])

    return jax.lax.map(of_interval, (q[:-1], v[:-1], ts[:-1], ts[1:]), batch_size=AT_A_TIME)


def _held(charge, model, later):
    """Model and charge with inputs that do not jump at the later end of an interval."""
    if jumps_of(model) is None:
        return model, charge
    model = held_until(model, later)
    return model, eqx.tree_at(lambda charge: charge.lagrangian, charge, model)


__all__ = ["balance", "impulses", "rates"]
