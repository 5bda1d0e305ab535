"""How a solver goes from each state of a window to the next, and how where it ends depends on where it
starts: what multiple shooting is made of."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .._derivatives import without_derivatives
from .._precision import PRECISION
from ..dynamics import at_time, constant_inertia, solve_motion
from ..forces import Kind
from ..solvers import asks_in_turn, first_memory, for_single_steps, formulate
from ._acceleration import solve_plainly
from ._instants import Piece, along_piece


class Links(NamedTuple):
    """From each state of a window to the next.

    - `ends`: where the solver ends, shape `(windows, links, 2, points, space)`, with its derivative by
        the weights.
    - `transitions`: its derivative by the state from which it starts, shape
        `(windows, links, size, size)`, in which the weights of the model count as constants.
    """

    ends: Float[Array, "windows links 2 points space"]
    transitions: Float[Array, "windows links size size"]


def links_of(
    lagrangian: Callable,
    solver: diffrax.AbstractSolver,
    steps: int,
    kind: Kind,
    states: Float[Array, "windows links 2 points space"],
    apart: Any,
    pieces: Piece | None,
) -> Links:
    """From all states of windows, over the times `apart`, of shape `(windows, links)` or one number."""
    frozen = without_derivatives(lagrangian)
    along = functools.partial(_Steps, for_single_steps(solver), steps, kind)
    make = _of_stages if _is_worth_it(solver, frozen, along, states, pieces) else _of_flows
    ends, transitions = make(lagrangian, frozen, along, states, apart, pieces)
    size = 2 * states[0, 0, 0].size
    return Links(ends, transitions.reshape(*states.shape[:2], size, size))


class _Steps(NamedTuple):
    """Steps of a solver over one interval."""

    solver: diffrax.AbstractSolver
    number: int
    kind: Kind
    interval: Any
    piece: Piece | None

    def at(self, lagrangian: Callable, t) -> Callable:
        """The model at a time since the start."""
        if self.piece is None:
            return lagrangian
        return at_time(along_piece(lagrangian, self.piece, self.kind), t)

    def over(self, term, state, args) -> Any:
        step = jnp.asarray(self.interval / self.number, jax.tree.leaves(state)[0].dtype)
        times = [jnp.zeros_like(step), step, *(i * step for i in range(2, self.number + 1))]
        memory = first_memory(self.solver, term, times[0], times[1], state, args)
        for t0, t1 in itertools.pairwise(times):
            state, _, _, memory, _ = self.solver.step(term, t0, t1, state, args, memory, False)
        return times[-1], state


def _is_worth_it(solver, frozen, along, states, pieces) -> bool:
    """Whether stages are taken all at once. Where masses are constant, a stage is one force, and the
    steps themselves are differentiated as fast, by a program that is no larger."""
    first = jax.tree.map(lambda x: x[0, 0], pieces)
    model = along(None, first).at(frozen, jnp.zeros((), states.dtype))
    return asks_in_turn(solver) and constant_inertia(model, states[0, 0, 0]) is None


def _over_links(function: Callable, *axes: Any) -> Callable:
    return jax.vmap(jax.vmap(function, axes), axes)


def _of_flows(lagrangian, frozen, along, states, apart, pieces):
    """Through any solver, which is differentiated step by step."""

    def flow(lagrangian, state, interval, piece):
        steps = along(interval, piece)
        model = steps.at(lagrangian, jnp.zeros((), state.dtype))
        term, y, args, read = formulate(steps.solver, model, *state, _accelerate)
        q, v, _ = read(*steps.over(term, y, args))
        return jnp.stack([q, v])

    axes = 0, None if jnp.ndim(apart) == 0 else 0, None if pieces is None else 0
    slopes = jax.jacfwd(functools.partial(flow, frozen))
    ends = _over_links(functools.partial(flow, lagrangian), *axes)(states, apart, pieces)
    return ends, _over_links(slopes, *axes)(states, apart, pieces)


def _of_stages(lagrangian, frozen, along, states, apart, pieces):
    """Through a solver that asks for rates one after the other. Where it asks is found first, with
    weights that count as constants. Then all accelerations, and their derivatives, are taken at once,
    one program for many states; and the steps again, with rates that are linear about these states,
    have the values and the first derivatives of the flow itself."""

    def asked(state, interval, piece):
        steps, places = along(interval, piece), []

        def rates(t, y, args):
            places.append((t, jnp.stack(y)))
            q, v = y
            return v, _accelerate(steps.at(frozen, t), q, v)

        steps.over(diffrax.ODETerm(rates), tuple(state), None)
        times, stages = zip(*places, strict=True)
        return jnp.stack(times), jnp.stack(stages)

    def acceleration(model, t, state, piece):
        return _accelerate(along(None, piece).at(model, t), *state)

    def accelerations(model, times, stages):
        if pieces is None:
            return _accelerate(model, stages[..., 0, :, :], stages[..., 1, :, :])
        at = functools.partial(acceleration, model)
        return _over_links(at, 0, 0, 0)(times, stages, pieces)

    size = states[0, 0].size

    def slopes_at(stage):
        """∂a/∂(q, v) at one stage of every link."""
        slopes = jax.jacfwd(functools.partial(acceleration, frozen), argnums=1)
        found = _over_links(slopes, 0, 0, None if pieces is None else 0)(*stage, pieces)
        return found.reshape(*found.shape[:2], size // 2, size)

    def again(state, interval, a, slopes, stages):
        steps, number = along(interval, None), itertools.count()

        def rates(t, y, args):
            k = next(number)
            moved = jnp.matmul(
                slopes[k], (jnp.stack(y) - stages[k]).reshape(-1), precision=PRECISION
            )
            return y[1], a[k] + moved.reshape(a[k].shape)

        return jnp.stack(steps.over(diffrax.ODETerm(rates), tuple(state), None)[1])

    axes = 0, None if jnp.ndim(apart) == 0 else 0
    places = _over_links(asked, *axes, None if pieces is None else 0)
    times, stages = places(states, apart, pieces)
    first = jnp.moveaxis(times, 2, 0), jnp.moveaxis(stages, 2, 0)
    a = jnp.moveaxis(jax.vmap(lambda stage: accelerations(lagrangian, *stage))(first), 0, 2)
    slopes = jnp.moveaxis(lax.map(slopes_at, first), 0, 2)
    ends = _over_links(again, *axes, 0, 0, 0)(states, apart, a, slopes, stages)
    transitions = _over_links(jax.jacfwd(again), *axes, 0, 0, 0)
    return ends, transitions(states, apart, lax.stop_gradient(a), slopes, stages)


def _accelerate(lagrangian, q, v):
    a, _ = solve_motion(lagrangian, q, v, solve_plainly)
    return a.reshape(v.shape)
