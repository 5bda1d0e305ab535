"""One step of Gauss collocation on the Lagrangian side: what the variational solvers share."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from ._collocation import CollocationInterpolation, differences, gauss, lagrange
from ._newton import implicit, newton

FAR = 1e6
"""How many steps back the nodes of a history lie that does not exist, so that it is not seen."""

GROWTH = 2.0
"""Largest growth of a step over which velocities are still extrapolated."""


class StepMemory(NamedTuple):
    """What a variational solver carries from step to step beside its state.

    - `times`, `velocities`: of the stages of the last two steps, times relative to now. A polynomial
        through them predicts the next ones.
    - `velocity`: at the end of the last step, to the order of its polynomial.
    - `lost`: what rounding has lost of (q, p) so far.
    """

    times: Float[Array, " nodes"]
    velocities: Float[Array, "nodes *shape"]
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
        back = jnp.arange(2 * self.stages, 0, -1, dtype=q.dtype)
        times = -FAR * jnp.asarray(terms.contr(t0, t1), q.dtype) * back
        history = jnp.broadcast_to(v, (len(back), *v.shape))
        return StepMemory(times, history, v, (jnp.zeros_like(q), jnp.zeros_like(p)))

    def step(self, terms, t0, t1, y0: tuple, args, solver_state: StepMemory, made_jump):
        del made_jump
        q0, p0, *guess = y0
        memory, stages = solver_state, self.stages
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

        error = _error(terms, (t0, t1), (q0, q1), (p0, p1), (memory.velocity, end), moves, h, args)
        error = tuple(jnp.where(converged, e, jnp.inf) for e in error)
        q1, p1 = (jnp.where(converged, x, jnp.nan) for x in (q1, p1))
        times = jnp.concatenate([memory.times[stages:] - h, (c - 1) * h])
        history = jnp.concatenate([memory.velocities[stages:], v])
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
        return y1, error, dense, StepMemory(times, history, end, lost), result

    def func(self, terms, t0, y0: tuple, args):
        q, p, *guess = y0
        v = velocity(terms, t0, q, p, guess[0] if guess else jnp.zeros_like(q), args)
        force, _ = terms.vf(t0, (q, v), args)
        return v, force, *(jnp.zeros_like(x) for x in guess)


def velocity(terms, t, q, p, guess, args=None) -> Float[Array, "*shape"]:
    """The velocity at which ∂L/∂v = p, nearest to `guess`; NaN if Newton's method finds none."""

    def equations(v):
        return terms.vf(t, (q, v), args)[1] - p

    def defect(flat):
        value = equations(flat.reshape(q.shape)).reshape(-1)
        return value, 2 * jnp.abs(p.reshape(-1)) + jnp.abs(value), ()

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

    def slopes(v):
        positions = q0 + h * _along(a, v)
        return jax.vmap(lambda t, q, v: tuple(terms.vf(t, (q, v), args)))(times, positions, v)

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


def _error(terms, times, positions, momenta, velocities, moves, h, args):
    """The highest divided difference of the slopes over {0, c_1, …, c_s, 1}, of order s + 2 in h.

    For one stage it is a third of the difference from the trapezoidal rule, as is the true error. XLA
    drops all of it where no controller asks.
    """
    ends = [
        jnp.stack([jnp.asarray(x) for x in pair])
        for pair in (times, positions, momenta, velocities)
    ]
    v = jax.vmap(lambda t, q, p, guess: velocity(terms, t, q, p, guess, args))(*ends)
    force = jax.vmap(lambda t, q, v: terms.vf(t, (q, v), args)[0])(ends[0], ends[1], v)
    nodes = np.concatenate([[0], gauss(len(moves[0]))[0], [1]])
    weights = jnp.asarray(differences(nodes) * 2 / 3, h.dtype)

    def difference(ends, inside):
        return _along(weights, jnp.concatenate([h * ends[:1], inside, h * ends[1:]]))

    return difference(v, moves[0]), difference(force, moves[1])


def _along(weights, values):
    """Σ_j w_…j x_j over the stages."""
    return jnp.tensordot(weights, values, 1)
