"""The training loop, of one model or of an ensemble: compiled, checkpointed, interruptible."""

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PyTree
from tqdm.auto import tqdm

from .._programs import program
from ._checkpoints import Checkpoints, record, restore
from ._interruption import noted_interrupts
from ._plan import Placement, Plan
from ._sharding import agreed, constrained, gathered, in_any_process, placed, whole

LONGEST_CHUNK = 1000
"""Most steps between two looks at the run; a chunk aims at a second."""

COMMON_CHUNK = 100
"""Steps between two looks if several processes train together: all must take the same number."""

PATIENCE = 1000
"""Updates that may be left out one after the other before the run gives up."""


class History(NamedTuple):
    """What happened during a [`noetherax.fit`][], a [`noetherax.polish`][], or, with a leading axis of
    members, a [`noetherax.fit_ensemble`][].

    - `loss`: loss of every step taken, shape `(steps,)`; of the weights at that step, on its batch,
        not of the average that is returned.
    - `skipped`: number of updates left out because they were not finite.
    - `seconds`: wall time, of which `compile_seconds` before the first step; with checkpoints, that of
        earlier parts of the run included.
    - `interrupted`: whether the run was stopped by Ctrl-C.
    - `preparation`: what was done with a model that was new to [`noetherax.fit`][], in words: which
        features were bent and why, and where the last layer comes from; one for each member.
    """

    loss: np.ndarray
    skipped: int | np.ndarray
    seconds: float
    compile_seconds: float
    interrupted: bool
    preparation: str | tuple[str, ...] = ""


class Outcome(NamedTuple):
    """What a run gives back."""

    learned: PyTree
    history: History
    hopeless: int  # updates left out in a row at the end, by every member


class _State(NamedTuple):
    parameters: PyTree
    average: PyTree
    optimizer: PyTree
    step: Int[Array, ""]
    skipped: Int[Array, "..."]


def take_steps(plan: Plan) -> Outcome:
    """Takes the steps of a run, a second or so at a time."""
    problem, placement, optimizer, options, description = plan
    steps, averaging, checkpoints = options.steps, options.averaging, options.checkpoints
    mine = problem.parameters, problem.constants, problem.unit
    parameters, constants, unit = agreed(mine)
    problem = problem._replace(parameters=parameters, constants=constants, unit=unit)
    members = problem.keys.shape if problem.ensemble else ()
    promotion = jax.config.values["jax_numpy_dtype_promotion"]
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes precisions
        moments = _lift(problem.ensemble, optimizer.init)(problem.parameters)
        nothing = jnp.zeros(members, int)
        state = _State(problem.parameters, problem.parameters, moments, jnp.array(0), nothing)
        start = time.perf_counter()
        everywhere = whole(placement.batch)
        dtype = jnp.result_type(*jax.tree.leaves(problem.parameters))
        unit = problem.unit.astype(dtype)
        rest = placed(placement.weights, (problem.constants, problem.keys, unit))
        data = placed(everywhere, (problem.data, jnp.array(averaging, jnp.float32)))
        static = optimizer, problem.loss, problem.draw, placement, problem.ensemble, promotion
        losses = np.full((*members, steps), np.nan, dtype)
        before = 0.0
        if checkpoints is not None:
            (state, losses), before = restore(checkpoints, (state, losses), description)
        done, length, values = int(state.step), 1, None
        # Copies, since chunks take over the buffers of a state: the model's own must outlive them.
        state = jax.tree.map(jnp.copy, _placed(placement, state))
        several = jax.process_count() > 1
        compile_seconds, interrupted, hopeless, take = 0.0, False, 0, None
        hidden = not options.progress or jax.process_index() > 0
        bar = tqdm(total=steps, initial=done, unit="step", disable=hidden, smoothing=0.05)

        def write(checkpoints: Checkpoints):
            elapsed = before + time.perf_counter() - start
            kept = gathered(placement.weights, state), losses
            record(checkpoints, kept, done, description, elapsed)

        try:
            with noted_interrupts(announce=not hidden) as interrupts, bar:
                while done < steps and not interrupted:
                    began = time.perf_counter()
                    length = min(length, steps - done)
                    if checkpoints is not None:
                        length = min(length, checkpoints.every - done % checkpoints.every)
                    left_out = np.array(state.skipped)
                    given = static, rest, data, jnp.array(length)
                    if take is None:
                        take = program(_chunk, given, state, donated=1)
                    state, values = take(given, state)
                    recent = np.asarray(values)[..., :length]
                    losses[..., done : done + length] = recent
                    done += length
                    seconds = time.perf_counter() - began
                    bar.update(length)
                    bar.set_postfix(loss=f"{_mean(recent):.3g}", refresh=False)
                    if checkpoints is not None and done % checkpoints.every == 0:
                        write(checkpoints)
                    left_out = np.array(state.skipped) - left_out
                    hopeless = hopeless + length if np.all(left_out == length) else 0
                    if hopeless >= PATIENCE:
                        break
                    if not compile_seconds:
                        compile_seconds, length = seconds, 20
                    elif several:
                        length = COMMON_CHUNK
                    else:
                        length = int(np.clip(length / seconds, 1, LONGEST_CHUNK))
                    interrupted = in_any_process(bool(interrupts))
        except KeyboardInterrupt:
            if any(x.is_deleted() for x in jax.tree.leaves(state)):
                raise  # a second Ctrl-C, within a chunk
            taken, interrupted = int(state.step), True
            if taken > done:  # or behind one, before its losses were noted
                losses[..., done:taken] = np.asarray(values)[..., : taken - done]
            done = taken
        if interrupted:
            warnings.warn(f"fit was interrupted after {done} of {steps} steps.", stacklevel=3)
        state = gathered(placement.weights, state)
        seconds = before + time.perf_counter() - start
        if interrupted and checkpoints is not None:
            write(checkpoints)
    skipped = np.asarray(state.skipped) if problem.ensemble else int(state.skipped)
    history = History(losses[..., :done], skipped, seconds, compile_seconds, interrupted)
    learned = state.average if averaging else state.parameters
    return Outcome(eqx.combine(learned, plan.problem.constants), history, hopeless)


def _lift(ensemble: bool, function: Callable, in_axes: Any = 0) -> Callable:
    return jax.vmap(function, in_axes) if ensemble else function


def _placed(placement: Placement, state: _State, place: Callable = placed) -> _State:
    """A state with its weights where they belong, and what the loop looks at on every device."""
    looked_at = place(whole(placement.batch), (state.step, state.skipped))
    return _State(*place(placement.weights, state[:3]), *looked_at)


def _chunk(given, state: _State):
    """`length` steps of training; returns the new state, in the buffers of the old one, and a buffer of
    losses."""
    static, (constants, keys, unit), (data, averaging), length = given
    optimizer, loss, draw, placement, ensemble, promotion = static
    arrays, structure = eqx.partition(constants, eqx.is_array)

    def update(arrays, unit, parameters, average, moments, batch, weight):
        def objective(parameters):
            with jax.numpy_dtype_promotion(promotion):  # as the caller has it
                value = loss(eqx.combine(parameters, arrays, structure), batch)
            return value / unit, value

        (_, value), gradient = jax.value_and_grad(objective, has_aux=True)(parameters)
        updates, after = optimizer.update(gradient, moments, parameters)
        finite = jnp.isfinite(optax.tree.norm(updates)) & jnp.isfinite(value)
        parameters, moments = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (optax.apply_updates(parameters, updates), after),
            (parameters, moments),
        )
        average = optax.incremental_update(parameters, average, weight)
        return parameters, average, moments, ~finite, value

    def step(index, carry):
        state, losses = carry
        now = _lift(ensemble, jax.random.fold_in, (0, None))(keys, state.step)
        batch = constrained(placement.batch, draw(data, now))
        # The average remembers a fixed fraction of the steps so far.
        weight = 1 / (1 + averaging * state.step)
        parameters, average, moments, left_out, value = _lift(
            ensemble, update, (0, 0, 0, 0, 0, 0, None)
        )(arrays, unit, *state[:3], batch, weight)
        counts = state.step + 1, state.skipped + left_out
        state = _State(parameters, average, moments, *counts)
        return _placed(placement, state, constrained), losses.at[..., index].set(value)

    dtype = jnp.result_type(*jax.tree.leaves(state.parameters))
    losses = jnp.zeros((*state.skipped.shape, LONGEST_CHUNK), dtype)
    state, losses = jax.lax.fori_loop(0, length, step, (state, losses))
    # Said once more: inside a loop the compiler may choose otherwise for what the loop returns.
    return _placed(placement, state, constrained), constrained(whole(placement.batch), losses)


def _mean(losses: np.ndarray) -> float:
    finite = losses[np.isfinite(losses)]
    return float(np.mean(finite)) if len(finite) else float("nan")
