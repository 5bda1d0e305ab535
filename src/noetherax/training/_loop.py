"""The training loop, of one model or of an ensemble: compiled, checkpointed, interruptible, watched."""

import time
import warnings
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from tqdm.auto import tqdm

from .._programs import program
from ._checkpoints import Checkpoints, record, restore
from ._history import History, mean, median
from ._interruption import noted_interrupts
from ._plan import Plan
from ._returned import Comparison
from ._sharding import from_first_process, in_any_process, on_devices, on_this_process, whole
from ._steps import LONGEST_CHUNK, State, chunk, lift, state_distributed
from ._watch import Watch

COMMON_CHUNK = 100
"""Steps between two looks if several processes train together: all must take the same number."""

PATIENCE = 1000
"""Updates that may be left out one after the other before the run gives up."""


class Outcome(NamedTuple):
    """What a run gives back."""

    learned: PyTree
    history: History
    failed_in_a_row: int  # updates left out in a row at the end, by every member
    judged: np.ndarray  # losses of what was learned, by members and batches


def take_steps(plan: Plan) -> Outcome:
    """Takes the steps of a run, a second or so at a time."""
    problem, placement, optimizer, options, description, watching = plan
    steps, averaging, checkpoints = options.steps, options.averaging, options.checkpoints
    mine = problem.parameters, problem.constants, problem.unit
    parameters, constants, unit = from_first_process(mine)
    problem = problem._replace(parameters=parameters, constants=constants, unit=unit)
    members = problem.keys.shape if problem.ensemble else ()
    promotion = jax.config.values["jax_numpy_dtype_promotion"]
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes precisions
        moments = lift(problem.ensemble, optimizer.init)(problem.parameters)
        if watching.optimizer_state is not None:
            moments = from_first_process(watching.taken_over(moments))
        nothing = jnp.zeros(members, int)
        state = State(problem.parameters, problem.parameters, moments, jnp.array(0), nothing)
        start = time.perf_counter()
        everywhere = whole(placement.batch)
        dtype = jnp.result_type(*jax.tree.leaves(problem.parameters))
        unit = problem.unit.astype(dtype)
        rest = on_devices(placement.weights, (problem.constants, problem.keys, unit))
        data = on_devices(everywhere, (problem.data, jnp.array(averaging, jnp.float32)))
        static = optimizer, problem.loss, problem.draw, placement, problem.ensemble, promotion
        losses = np.full((*members, steps), np.nan, dtype)
        before, watched = 0.0, Watch(watching, steps, members, problem, averaging)
        if checkpoints is not None:
            kept = state, losses, *watched.kept
            (state, losses, *found), before, asked = restore(checkpoints, kept, description)
            watched.go_on(int(state.step), found, asked)
        done, length, values = int(state.step), 1, None
        # Copies, since chunks take over the buffers of a state: the model's own must outlive them.
        state = jax.tree.map(jnp.copy, state_distributed(placement, state))
        several = jax.process_count() > 1
        compile_seconds, interrupted, failed_in_a_row, take = 0.0, False, 0, None
        last, compared, judged = None, None, np.zeros((*members, 0))
        hidden = not options.progress or jax.process_index() > 0
        bar = tqdm(total=steps, initial=done, unit="step", disable=hidden, smoothing=0.05)

        def write(checkpoints: Checkpoints):
            elapsed = before + time.perf_counter() - start
            kept = on_this_process(placement.weights, state), losses, *watched.kept
            record(checkpoints, kept, done, description, elapsed, watched.asked)

        try:
            with noted_interrupts(announce=not hidden) as interrupts, bar:
                watched.look(placement, state, losses)
                while done < steps and not interrupted and not watched.stopped:
                    began = time.perf_counter()
                    length = min(length, steps - done, watched.room(done))
                    if checkpoints is not None:
                        length = min(length, checkpoints.every - done % checkpoints.every)
                    left_out = np.array(state.skipped)
                    given = static, rest, data, jnp.array(length)
                    if take is None:
                        take = program(chunk, given, state, donated=1)
                    state, values = take(given, state)
                    recent = np.asarray(values)[..., :length]
                    losses[..., done : done + length] = recent
                    done += length
                    seconds = time.perf_counter() - began
                    bar.update(length)
                    if not hidden:
                        shown = {"loss": f"{np.median(median(recent)):.3g}"} | watched.shown
                        bar.set_postfix(shown, refresh=False)
                    watched.look(placement, state, losses)
                    if checkpoints is not None and done % checkpoints.every == 0:
                        write(checkpoints)
                    left_out = np.array(state.skipped) - left_out
                    failed_in_a_row = failed_in_a_row + length if np.all(left_out == length) else 0
                    if failed_in_a_row >= PATIENCE:
                        break
                    if not compile_seconds:
                        compile_seconds, length = seconds, 20
                    elif several:
                        length = COMMON_CHUNK
                    else:
                        length = int(np.clip(length / seconds, 1, LONGEST_CHUNK))
                    interrupted = in_any_process(bool(interrupts))
                if not interrupted:
                    given = static, rest, data, jnp.array(1)
                    take = program(chunk, given, state, donated=1) if take is None else take
                    comparison = Comparison(take, given, state, done)
                    last, judged = comparison.better(bool(averaging), watched.validates)
                    compared = comparison
        except KeyboardInterrupt:
            if any(x.is_deleted() for x in jax.tree.leaves(state)):
                raise  # a second Ctrl-C, within a chunk
            taken, interrupted = int(state.step), True
            if taken > done:  # or behind one, before its losses were noted
                losses[..., done:taken] = np.asarray(values)[..., : taken - done]
            done = taken
        if compared is None:  # interrupted, perhaps while weights were judged
            last = state.average if averaging else state.parameters
        if interrupted:
            warnings.warn(f"fit was interrupted after {done} of {steps} steps.", stacklevel=3)
        learned = watched.chosen(on_this_process(placement.weights, last))
        if watched.chooses and compared is not None and not several:
            judged = compared.losses(on_devices(placement.weights, learned))
        state = on_this_process(placement.weights, state)
        seconds = before + time.perf_counter() - start
        if checkpoints is not None and (interrupted or watched.stopped):
            write(checkpoints)
    skipped = np.asarray(state.skipped) if problem.ensemble else int(state.skipped)
    history = History(losses[..., :done], skipped, seconds, compile_seconds, interrupted)
    history = history._replace(optimizer_state=state.optimizer, **watched.record(done))
    history = history._replace(returned_loss=mean(judged))
    learned = eqx.combine(learned, plan.problem.constants)
    return Outcome(learned, history, failed_in_a_row, judged)
