"""One step of Gauss collocation on the Lagrangian side: what the variational solvers share."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, Float

from .._programs import run, traced_once
from ._collocation import (
    CollocationInterpolation,
    divided_difference,
    gauss,
    lagrange,
    spread_of_nodes,
)
from ._iteration import MANY, gmres, iterate, tangent_by_gmres
from ._newton import implicit, newton
from ._quadrature import Nodes, quadrature

FAR = 1e4
"""How many first steps, or motions, back the nodes of a history lie that does not exist: more than
`RECENT`, so that it is not seen, but powers of their distance have to stay finite."""

GROWTH = 2.0
"""Largest growth of a step over which velocities are still extrapolated."""

RECENT = 1e3
"""How many steps back a stage may lie whose slopes still tell of the error of this step."""


class StepMemory(NamedTuple):
    """What a variational solver carries from step to step beside its state.

    - `times`, `velocities`, `forces`: of the stages of the last two steps, times relative to now. A
        polynomial through the velocities predicts the next ones, and what differs from that of the
        step tells of its error.
    - `velocity`: at the end of the last step, to the order of its polynomial.
    - `lost`: what rounding has lost of (q, p) so far.
    """

    times: Float[Array, " nodes"]
    velocities: Float[Array, "nodes *shape"]
    forces: Float[Array, "nodes *shape"]
    velocity: Float[Array, "*shape"]
    lost: tuple[Float[Array, "*shape"], Float[Array, "*shape"]]


class VariationalSolver(diffrax.AbstractAdaptiveSolver):
    """The Gauss methods of Hamilton's principle: abstract base of the variational solvers."""

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., CollocationInterpolation]] = CollocationInterpolation

    @property
    @abc.abstractmethod
    def stages(self) -> int:
        """States per step at which the Lagrangian is evaluated; the order is twice their number."""

    def order(self, terms) -> int:
        return 2 * self.stages

    def error_order(self, terms) -> int:
        return self.stages + 2

    def init(self, terms, t0, t1, y0: Any, args) -> StepMemory:
        _check(terms, t0, y0, args)
        q, p, *guess = y0
        v = velocity(terms, t0, q, p, guess[0] if guess else jnp.zeros_like(q), args)
        return no_history(self.stages, terms, t0, t1, (q, p, v), args)

    def step(self, terms, t0, t1, y0: tuple, args, solver_state: StepMemory, made_jump):
        del made_jump
        # Diffrax traces a step several times, and `run` this but once.
        return run(_step, self.stages, terms, t0, t1, y0, args, solver_state)

    def func(self, terms, t0, y0: tuple, args):
        q, p, *guess = y0
        v = velocity(terms, t0, q, p, guess[0] if guess else jnp.zeros_like(q), args)
        force = terms.vf(t0, (q, v), args).force
        return v, force, *(jnp.zeros_like(x) for x in guess)


def no_history(stages: int, terms, t0, t1, state: tuple, args) -> StepMemory:
    """The memory of a solver that has taken no step yet, at a state (q, p, v) with p = ∂L/∂v(q, v)."""
    q, p, v = state
    force = terms.vf(t0, (q, v), args).force
    # The start itself is the last node; those before it do not exist.
    back = jnp.arange(2 * stages - 1, -1, -1, dtype=q.dtype)
    times = -FAR * jnp.asarray(terms.contr(t0, t1), q.dtype) * back
    velocities, forces = (jnp.broadcast_to(x, (len(back), *x.shape)) for x in (v, force))
    nothing = jnp.zeros_like(q), jnp.zeros_like(p)
    return StepMemory(times, velocities, forces, v, nothing)


def _step(stages: int, terms, t0, t1, y0: tuple, args, memory: StepMemory):
    """One step, as `diffrax.AbstractSolver.step` returns it."""
    q0, p0, *guess = y0
    h = jnp.asarray(terms.contr(t0, t1), q0.dtype)
    c, b, _ = (jnp.asarray(x, q0.dtype) for x in gauss(stages))
    predicted = _predict(memory, h, stages)
    # The last velocity that solved the equations, where they may be undefined for the prediction.
    known = jnp.broadcast_to(memory.velocities[-1], predicted.shape)
    (v, force), (converged, regular) = _stages(terms, t0, t1, h, q0, p0, predicted, known, args)

    # p moves by the very forces that hold at these velocities. What is left of the momentum
    # equations then reaches a charge only through h ∂ξ/∂q, and a linear momentum not at all.
    moves = h * v, h * force
    dq, dp = (lost + _along(b, move) for lost, move in zip(memory.lost, moves, strict=True))
    q1, p1 = q0 + dq, p0 + dp
    lost = dq - (q1 - q0), dp - (p1 - p0)
    end = _along(lagrange(c, jnp.ones(1, c.dtype))[0], v)

    error = _error(memory, c * h, (v, force), h)
    error = tuple(jnp.where(converged, e, jnp.inf) for e in error)
    q1, p1 = (jnp.where(converged, x, jnp.nan) for x in (q1, p1))
    times = jnp.concatenate([memory.times[stages:] - h, (c - 1) * h])
    velocities = jnp.concatenate([memory.velocities[stages:], v])
    forces = jnp.concatenate([memory.forces[stages:], force])
    result = diffrax.RESULTS.where(
        regular,
        diffrax.RESULTS.promote(optx.RESULTS.nonlinear_divergence),
        diffrax.RESULTS.promote(lx.RESULTS.singular),
    )
    result = diffrax.RESULTS.where(converged, diffrax.RESULTS.successful, result)

    y1 = (q1, p1)
    if guess:
        y1, error = (*y1, end), (*error, jnp.zeros_like(end))
        moves = (*moves, jnp.broadcast_to(end - guess[0], v.shape))
    dense = dict(y0=y0, y1=y1, increments=moves)
    return y1, error, dense, StepMemory(times, velocities, forces, end, lost), result


@quadrature.register
def _(solver: VariationalSolver, dense: dict, t0, t1) -> Nodes:
    # The very points at which the step evaluates forces: their sum is what the momentum changes by.
    c, b, a = (jnp.asarray(x, dense["y0"][0].dtype) for x in gauss(solver.stages))
    h = (t1 - t0).astype(c.dtype)
    moves, *_ = dense["increments"]
    return Nodes(t0 + c * h, dense["y0"][0] + _along(a, moves), moves / h, b * h)


def velocity(terms, t, q, p, guess, args=None) -> Float[Array, "*shape"]:
    """The velocity at which ∂L/∂v = p, nearest to `guess`; NaN if Newton's method finds none."""
    return traced_once(_velocity, terms, t, q, p, guess, args)


def _velocity(terms, t, q, p, guess, args):
    def equations(v):
        return terms.vf(t, (q, v), args)[1] - p

    def defect(flat):
        value = equations(flat.reshape(q.shape)).reshape(-1)
        return value, 2 * jnp.abs(p.reshape(-1)) + jnp.abs(value), ()

    slopes = terms.vf(t, (q, guess), args)
    if slopes.inertia is not None:
        return p / slopes.inertia
    if slopes.leading is not None and q.size > MANY:
        return _iterated_velocity(equations, slopes.leading, p, guess)

    def solve(guess):
        root = newton(defect, guess.reshape(-1), jnp.zeros(q.size, q.dtype))
        return root.x.reshape(q.shape), root.converged[None]

    v, converged = implicit(equations, solve, guess)
    return jnp.where(converged[0], v, jnp.nan)


def _stages(terms, t0, t1, h, q0, p0, guess, fallback, args):
    """Velocities and forces at the stages,

        ∂L/∂v(Q_i, v_i) = p + h Σ_j a_ij F_j,    F_i = ∂L/∂q(Q_i, v_i),    Q_i = q + h Σ_j a_ij v_j,

    whether they were found, and whether their equations were regular.
    """
    nodes, _, a = gauss(len(guess))
    times = t0 + jnp.asarray(nodes, jnp.result_type(t0)) * (t1 - t0)
    a = jnp.asarray(a, q0.dtype)

    def everything(v):
        positions = q0 + h * _along(a, v)
        return jax.vmap(lambda t, q, v: terms.vf(t, (q, v), args))(times, positions, v)

    def slopes(v):
        return everything(v)[:2]

    # Masses may change from stage to stage where the model depends on time.
    *_, inertia, leading = everything(guess)
    if leading is not None and guess.size > MANY:
        constant = inertia is not None
        return _iterated(slopes, leading, constant, h * a, p0, guess)

    def equations(unknowns):
        v, force = unknowns
        slope, momentum = slopes(v)
        return momentum - (p0 + h * _along(a, force)), force - slope

    def defect(flat):
        # The forces are eliminated: half the unknowns.
        force, momentum = slopes(flat.reshape(guess.shape))
        value = momentum - (p0 + h * _along(a, force))
        scale = jnp.abs(p0) + jnp.abs(momentum) + jnp.abs(value)
        return value.reshape(-1), scale.reshape(-1), force

    def solve(unknowns):
        root = newton(defect, unknowns[0].reshape(-1), jnp.ravel(fallback))
        return (root.x.reshape(guess.shape), root.aux), jnp.stack([root.converged, root.regular])

    return implicit(equations, solve, (guess, jnp.zeros_like(guess)))


def _iterated(slopes, masses, constant: bool, a, p0, guess):
    """The same by iteration, where the momentum is m v, or m v and what is small beside it: for many
    points. `a` counts the step in."""

    def momentum_of(v, found):
        return masses * v if constant else found

    def equations(unknowns):
        v, force = unknowns
        slope, momentum = slopes(v)
        return momentum_of(v, momentum) - (p0 + _along(a, force)), force - slope

    def again(v):
        force, momentum = slopes(v)
        size = jnp.abs(p0) + _along(jnp.abs(a), jnp.abs(force))
        if constant:
            return (p0 + _along(a, force)) / masses, size / jnp.abs(masses), force
        new = v + (p0 + _along(a, force) - momentum) / masses
        return new, (size + jnp.abs(momentum)) / jnp.abs(masses), force

    def solve(unknowns):
        root = iterate(again, unknowns[0])
        return (root.x, root.aux), jnp.stack([root.converged, jnp.all(masses != 0)])

    def tangent(linear, right):
        return tangent_by_gmres(linear, right, masses)

    return implicit(equations, solve, (guess, jnp.zeros_like(guess)), tangent)


def _iterated_velocity(equations, masses, p, guess):
    """The velocity of a momentum by iteration, where that is m v and what is small beside it."""

    def again(v):
        missing = equations(v)
        return v - missing / masses, (2 * jnp.abs(p) + jnp.abs(missing)) / jnp.abs(masses), ()

    def solve(guess):
        root = iterate(again, guess)
        return root.x, root.converged[None]

    def tangent(linear, right):
        return gmres(lambda v: linear(v) / masses, right / masses)

    v, converged = implicit(equations, solve, guess, tangent)
    return jnp.where(converged[0], v, jnp.nan)


def _check(terms, t0, y0, args) -> None:
    """Raises a `TypeError` unless a state and a term are those of a variational solver."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(y0)]
    flat = isinstance(y0, tuple) and len(y0) in (2, 3) and len(shapes) == len(y0)
    if not flat or len(set(shapes)) > 1:
        raise TypeError(
            "A variational solver needs a state (q, p) or (q, p, v) of arrays of one shape, but got "
            f"{jax.tree.structure(y0)} with shapes {shapes}."
        )
    slopes = jax.eval_shape(lambda t, q: terms.vf(t, (q, q), args), t0, y0[0])
    if not hasattr(slopes, "momentum"):
        term = getattr(terms, "term", terms)  # Diffrax wraps terms to let time run backwards
        raise TypeError(
            "A variational solver needs a term whose vector field is (∂L/∂q, ∂L/∂v), "
            f"`nx.LagrangianTerm(lagrangian)`, but got {type(term).__name__}: the rate of change of a "
            "state would be taken for these."
        )


def _predict(memory: StepMemory, h, stages: int):
    """Velocities of the next stages: the last two steps' polynomial, or no change after a jump of h."""
    nodes = jnp.asarray(gauss(stages)[0], h.dtype)
    extrapolated = _along(lagrange(memory.times, nodes * h), memory.velocities)
    steady = jnp.abs(h) * (1 - nodes[0]) <= GROWTH * jnp.abs(memory.times[stages])
    return jnp.where(steady, extrapolated, memory.velocity)


def _error(memory: StepMemory, nodes, slopes, h):
    """C h^(s+2) times the divided difference of the slopes over the s stages of this step and the last
    two before it, of order s + 2 in h; with C = 1/12 for one stage, that is the error of the midpoint
    rule. The ends of this step would not do: on them lies the very polynomial of its stages wherever
    velocities or forces are linear.

    The first step has nothing before it but its start, and is judged by the difference of one order
    less, which is larger.
    """
    before = memory.times[-2:]
    times = jnp.concatenate([before, nodes]) / h  # powers of h itself may underflow
    recent = jnp.abs(times[0]) <= RECENT
    factor = spread_of_nodes(len(nodes)) / 3

    def difference(past, now):
        values = jnp.concatenate([past[-2:], now])
        full = _along(divided_difference(times), values)
        short = _along(divided_difference(times[1:]), values[1:])
        return factor * h * jnp.where(recent, full, short)

    return tuple(map(difference, (memory.velocities, memory.forces), slopes))


def _along(weights, values):
    """Σ_j w_…j x_j over the stages."""
    return jnp.tensordot(weights, values, 1)
