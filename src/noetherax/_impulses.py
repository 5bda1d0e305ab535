"""What forces and explicit time put into a charge, integrated between the saved times of a motion."""

from functools import partial
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

from ._rates import rates
from ._trajectory import Trajectory
from .dynamics import acceleration, at_time, clock_of
from .forces import held_until, jumps_of
from .solvers import LagrangianTerm, RelativeController, first_memory, quadrature

FINE = 1e-2
"""Tolerance of integrals between saved times, in units of that of a rollout."""

AT_A_TIME = 1024
"""Intervals that are integrated together."""


def impulses_along(charge: Any, trajectory: Trajectory):
    """The impulses of a charge since the start, shape `(times, parts, charges)`."""
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
    jump, jumps = partial(_jump, charge, model), jumps_of(model)

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
            start, memory, total = carry
            before, after = end(index), end(index + 1)
            state, _, dense, memory, _ = solver.step(
                term, before, after, start, None, memory, False
            )
            total += _integral(charge, solver, dense, before, after)
            if jumps is not None:
                total += _jumps_at_ends(jump, jumps, (before, start), (after, state))
            return state, memory, total

        total = jnp.zeros_like(rates(charge, state[0], state[2], t0))
        return jax.lax.fori_loop(jnp.zeros_like(count), count, step, (state, memory, total))[2]

    starts = jax.tree.map(lambda x: x[:-1], states)
    intervals = starts, jnp.cumsum(steps)[:-1], steps[1:], ts[:-1], ts[1:]
    return jax.lax.map(of_interval, intervals, batch_size=AT_A_TIME)


def _jumps_at_ends(jump, jumps, start, end):
    """What jumps put in during a step. Those near an end happen at its state: steps end at jumps, but
    for the rounding of times."""
    jumps = jnp.asarray(jumps, start[0].dtype)
    forwards = start[0] < end[0]
    (low, early), (high, late) = (
        jax.tree.map(partial(jnp.where, forwards), *pair) for pair in ((start, end), (end, start))
    )
    first = jnp.searchsorted(jumps, low, side="right")
    last = jnp.searchsorted(jumps, high, side="right") - 1
    total = 0.0
    for index, (q, _, v), at_start in ((first, early, True), (last, late, False)):
        when = jumps[jnp.clip(index, 0, len(jumps) - 1)]
        here = (first <= last) & ((when - low < high - when) == at_start)
        total += jnp.where(here, jump(q, v, when), 0)
    return jnp.where(forwards, total, -total)


def _integral(charge, solver, dense, t0, t1):
    nodes = quadrature(solver, dense, t0, t1)
    assert nodes is not None  # else the trajectory would not have kept its solver
    values = jax.vmap(lambda t, q, v: rates(charge, q, v, t))(nodes.t, nodes.q, nodes.v)
    return jnp.tensordot(nodes.weights, values, 1)


def _fine(charge, model, q, v, ts):
    """The same by a fine integration of the motion from each saved state; NaN where one is lost."""
    epsilon = float(jnp.finfo(q.dtype).eps)
    tolerance = max(FINE * 1e-8, 10 * epsilon)
    jumps = jumps_of(model)

    def slope(t, state, later):
        q, v, _ = state
        t = t.astype(q.dtype)
        held, own = _held(charge, model, later)
        a = acceleration(at_time(held, t), q, v, throw=False)
        return v, a, rates(own, q, v, t)

    def moved(state, t0, t1):
        """The state after a motion in which nothing jumps."""
        controller = RelativeController(
            tolerance,
            jnp.abs(t1 - t0),
            jnp.asarray(epsilon, q.dtype),
            clock=clock_of(model),
        )
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(slope),
            diffrax.Dopri8(),
            t0,
            t1,
            None,
            state,
            args=jnp.maximum(t0, t1),
            stepsize_controller=controller,
            max_steps=None,
            throw=False,
        )
        assert solution.ys is not None
        return jax.tree.map(lambda x: x[-1], solution.ys)

    def jumped(state, t, sign):
        q, v, total = state
        return q, v, total + sign * _jump(charge, model, q, v, t)

    def over_one(carry):
        """On to the next jump, or to the end. Saved states are those after a jump at their time."""
        t, t1, state = carry
        end, forwards = _next(jumps, t, t1), t < t1
        state = jumped(state, t, jnp.where(forwards, 0, -1))
        state = jumped(moved(state, t, end), end, jnp.where(forwards, 1, 0))
        return end, t1, state

    def before_end(carry):
        return carry[0] != carry[1]

    def of_interval(interval):
        q, v, t0, t1 = interval
        nothing = jnp.zeros_like(rates(charge, q, v, t0))
        lost = ~(jnp.all(jnp.isfinite(q)) & jnp.all(jnp.isfinite(v)) & jnp.isfinite(t1 - t0))
        t0, t1 = (jnp.where(lost, 0, t) for t in (t0, t1))
        state = (q, v, nothing)
        if jumps is None:
            total = moved(state, t0, t1)[2]
        else:
            total = jax.lax.while_loop(before_end, over_one, (t0, t1, state))[2][2]
        return jnp.where(lost, jnp.nan, total)

    return jax.lax.map(of_interval, (q[:-1], v[:-1], ts[:-1], ts[1:]), batch_size=AT_A_TIME)


def _next(jumps, t, t1):
    """The next jump on the way from t to t1, or t1 where there is none."""
    jumps = jnp.asarray(jumps, t.dtype)
    low, high = jnp.minimum(t, t1), jnp.maximum(t, t1)
    between = jnp.where((low < jumps) & (jumps < high), jumps, t1)
    return jnp.where(t < t1, jnp.min(between), jnp.max(between))


def _jump(charge, model, q, v, t):
    """What a jump of inputs at a time puts into a charge there, as a change that is explicit."""
    t = jnp.asarray(t, q.dtype)
    before = _held(charge, model, t)[1]
    nothing = jnp.zeros_like(rates(charge, q, v, t))
    return nothing.at[-1].set(charge(q, v, t) - before(q, v, t))


def _held(charge, model, later):
    """Model and charge with inputs that do not jump at the later end of an interval."""
    if jumps_of(model) is None:
        return model, charge
    model = held_until(model, later)
    return model, eqx.tree_at(lambda charge: charge.lagrangian, charge, model)
