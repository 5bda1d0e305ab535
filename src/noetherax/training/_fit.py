import os
import time
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from tqdm.auto import tqdm

from ._batches import first_batches, states_of
from ._checkpoints import Checkpoints, describe, fingerprint, record, restore
from ._checks import check_batch, check_count, check_model, check_observations
from ._diagnosis import diagnosis
from ._losses import acceleration_loss
from ._optimizer import default_optimizer
from ._sharding import batch_sharding, divided, gathered, kept, replicated
from ._trainable import chosen_leaves, needs_standardisation
from ._trainable import standardise as standardise_model

LONGEST_CHUNK = 1000
"""Most steps between two looks at the run; a chunk aims at a second."""

COMMON_CHUNK = 100
"""Steps between two looks if several processes train together: all must take the same number."""

PATIENCE = 1000
"""Updates that may be left out one after the other before the run gives up."""


class History(NamedTuple):
    """What happened during a [`noetherax.fit`][].

    - `loss`: loss of every step taken, shape `(steps,)`; of the weights at that step, on its batch,
        not of the average that is returned.
    - `skipped`: number of updates left out because they were not finite.
    - `seconds`: wall time, of which `compile_seconds` before the first step; with checkpoints, that of
        earlier parts of the run included.
    - `interrupted`: whether the run was stopped by Ctrl-C.
    """

    loss: np.ndarray
    skipped: int
    seconds: float
    compile_seconds: float
    interrupted: bool


class _State(NamedTuple):
    parameters: PyTree
    average: PyTree
    optimizer: PyTree
    step: Int[Array, ""]
    skipped: Int[Array, ""]


def fit(
    lagrangian: PyTree,
    observations: Any,
    *,
    steps: int,
    batch_size: int = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] = acceleration_loss,
    key: PRNGKeyArray,
    max_norm: float | None = 1.0,
    averaging: float = 0.1,
    standardise: bool = True,
    trainable: PyTree | None = None,
    checkpoints: Checkpoints | str | os.PathLike | None = None,
    sharding: jax.sharding.Mesh | jax.sharding.NamedSharding | None = None,
    progress: bool = True,
) -> tuple[PyTree, History]:
    """Trains a Lagrangian on observations.

    Every step draws a batch, clips the gradient (it explodes where ∂²L/∂v² is near singular), and
    leaves out an update that is not finite; after a thousand of them in a row the run gives up. The
    loop runs compiled, a second or so at a time. The same key gives the same weights, whatever the
    machine's speed.

    **Arguments:**

    - `lagrangian`: the model, usually a [`noetherax.NeuralLagrangian`][]; not changed.
    - `observations`: arrays `(q, v, a)` of shape `(samples, points, space)`, from which batches are
        drawn at random with replacement; or a sampler `key -> batch`, called afresh at every step.
    - `steps`: number of optimiser steps.
    - `batch_size`: samples per step, when observations are arrays.
    - `optimizer`: any Optax optimiser; [`noetherax.default_optimizer`][]`(steps)` if not given.
    - `loss`: a function `(lagrangian, batch) -> scalar`; the batch may be any PyTree.
    - `key`: random key for batches.
    - `max_norm`: global norm that gradients are clipped to; `None` not to.
    - `averaging`: return the average of the weights over about this fraction of the steps before the
        end (exponentially weighted), instead of the last ones; it averages the noise of batches out.
    - `standardise`: set the standardisation of neural Lagrangians that have none yet from the first
        two members `(q, v)` of the data. Switch it off for batches of another form, and call
        [`noetherax.standardise`][] yourself.
    - `trainable`: a PyTree of booleans, or a prefix of one, which floating-point arrays to train;
        [`noetherax.trainable`][]`(lagrangian)` if not given.
    - `checkpoints`: [`noetherax.Checkpoints`][], or just a folder, to save the state of the run now
        and then, and to go on from what is saved there.
    - `sharding`: devices to train on in parallel: a `jax.sharding.Mesh`, over all of whose axes every
        batch is split, or a `NamedSharding` that says how its leading axis is. Weights are kept on
        every device. The result differs from that of one device by rounding. With several processes
        (`jax.distributed`), call `fit` in each of them with the same arguments; the first one shows
        progress and writes checkpoints, in a folder that all must see.
    - `progress`: show a progress bar.

    **Returns:**

    The trained Lagrangian and its [`noetherax.History`][]. Ctrl-C ends the run early and returns
    what has been learned so far; with checkpoints, it is saved, and the next run goes on from there.

    **Raises:**

    Before training starts, `ValueError` or `TypeError` if the data are empty, not finite, or of a
    shape or precision that does not fit the model, or the checkpoints are those of another run;
    `OSError` if none can be written. `RuntimeError` if no update at all was finite.
    """
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    if not 0 <= averaging <= 1:
        raise ValueError(f"averaging must be a fraction from 0 to 1, but it is {averaging!r}.")
    if isinstance(checkpoints, str | os.PathLike):
        checkpoints = Checkpoints(checkpoints)
    setup_key, run_key = jax.random.split(key)
    if callable(observations):
        draw, data = observations, None
        drawn = first_batches(observations, setup_key)
        batch = jax.tree.map(lambda x: x[0], drawn)
        check_observations(batch) if loss is acceleration_loss else check_batch(batch)
    else:
        data = check_observations(observations)
        draw, drawn = None, tuple(x[None] for x in data)
        batch = jax.tree.map(lambda x: x[:batch_size], data)
    if standardise and needs_standardisation(lagrangian):
        lagrangian = standardise_model(lagrangian, *states_of(drawn))
    parameters, constants = eqx.partition(lagrangian, chosen_leaves(lagrangian, trainable))
    check_model(lagrangian, parameters, loss, batch)
    split = batch_sharding(sharding, batch)

    optimizer = _default(steps) if optimizer is None else optimizer
    if max_norm is not None:
        optimizer = _clipped(optimizer, max_norm)
    promotion = jax.config.values["jax_numpy_dtype_promotion"]
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes precisions
        moments = optimizer.init(parameters)
        state = _State(parameters, parameters, moments, jnp.array(0), jnp.array(0))
        start = time.perf_counter()
        fixed = (data, constants, run_key, jnp.array(averaging, jnp.float32))
        fixed = replicated(split, fixed)
        chunk = partial(_chunk, fixed, optimizer, loss, draw, batch_size, split, promotion)
        losses = np.full(steps, np.nan, jnp.result_type(*jax.tree.leaves(parameters)))
        run, before = {}, 0.0
        if checkpoints is not None:
            run = describe(steps, batch_size, max_norm, averaging, key)
            run |= {"model": fingerprint(lagrangian), "data": fingerprint(data)}
            (state, losses), before = restore(checkpoints, (state, losses), run)
        state = replicated(split, state)
        several = jax.process_count() > 1
        done, length = int(state.step), 1
        compile_seconds, interrupted, hopeless = 0.0, False, 0
        hidden = not progress or jax.process_index() > 0
        bar = tqdm(total=steps, initial=done, unit="step", disable=hidden, smoothing=0.05)
        try:
            with bar:
                while done < steps:
                    began = time.perf_counter()
                    length = min(length, steps - done)
                    if checkpoints is not None:
                        length = min(length, checkpoints.every - done % checkpoints.every)
                    left_out = int(state.skipped)
                    state, values = chunk(state, jnp.array(length))
                    recent = losses[done : done + length] = np.asarray(values)[:length]
                    done += length
                    seconds = time.perf_counter() - began
                    bar.update(length)
                    bar.set_postfix(loss=f"{_mean(recent):.3g}", refresh=False)
                    if checkpoints is not None and done % checkpoints.every == 0:
                        elapsed = before + time.perf_counter() - start
                        record(checkpoints, (state, losses), done, run, elapsed)
                    left_out = int(state.skipped) - left_out
                    hopeless = hopeless + length if left_out == length else 0
                    if hopeless >= PATIENCE:
                        break
                    if not compile_seconds:
                        compile_seconds, length = seconds, 20
                    elif several:
                        length = COMMON_CHUNK
                    else:
                        length = int(np.clip(length / seconds, 1, LONGEST_CHUNK))
        except KeyboardInterrupt:
            interrupted = True
            warnings.warn(f"fit was interrupted after {done} of {steps} steps.", stacklevel=2)
        skipped, seconds = int(state.skipped), before + time.perf_counter() - start
        if interrupted and checkpoints is not None:
            record(checkpoints, (state, losses), int(state.step), run, seconds)
    learned = gathered(split, state.average if averaging else state.parameters)
    trained = eqx.combine(learned, constants)
    if done and skipped >= done:
        start = f"None of the first {done} updates was finite, so nothing was learned."
        raise RuntimeError(diagnosis(start, lagrangian, batch))
    if hopeless >= PATIENCE:
        start = (
            f"fit gave up at step {done} of {steps}: the last {hopeless} updates were not finite."
        )
        start += " These are the weights before them."
        warnings.warn(diagnosis(start, trained, batch), stacklevel=2)
    return trained, History(losses[:done], skipped, seconds, compile_seconds, interrupted)


# One object for equal arguments: another fit of the same kind of model then compiles nothing.
_default = lru_cache(default_optimizer)


@lru_cache
def _clipped(optimizer, max_norm: float):
    return optax.chain(optax.clip_by_global_norm(max_norm), optimizer)


@eqx.filter_jit
def _chunk(fixed, optimizer, loss, draw, batch_size, split, promotion, state: _State, length):
    """`length` steps of training; returns the new state and a buffer of losses."""
    data, constants, run_key, averaging = fixed

    def objective(parameters, batch):
        with jax.numpy_dtype_promotion(promotion):  # as the caller has it
            return loss(eqx.combine(parameters, constants), batch)

    def step(index, carry):
        state, losses = carry
        key = jax.random.fold_in(run_key, state.step)
        if draw is None:
            chosen = jax.random.randint(key, (batch_size,), 0, len(data[0]))
            batch = jax.tree.map(lambda x: x[chosen], data)
        else:
            batch = draw(key)
        batch = divided(split, batch)
        value, gradient = jax.value_and_grad(objective)(state.parameters, batch)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.parameters)
        finite = jnp.isfinite(optax.tree.norm(updates)) & jnp.isfinite(value)
        after = (optax.apply_updates(state.parameters, updates), optimizer_state)
        before = (state.parameters, state.optimizer)
        parameters, optimizer_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), after, before
        )
        skipped = state.skipped + ~finite
        # The average remembers a fixed fraction of the steps so far.
        weight = 1 / (1 + averaging * state.step)
        average = optax.incremental_update(parameters, state.average, weight)
        state = _State(parameters, average, optimizer_state, state.step + 1, skipped)
        return kept(split, (state, losses.at[index].set(value)))

    dtype = jnp.result_type(*jax.tree.leaves(state.parameters))
    losses = jnp.zeros(LONGEST_CHUNK, dtype)
    return jax.lax.fori_loop(0, length, step, (state, losses))


def _mean(losses: np.ndarray) -> float:
    finite = losses[np.isfinite(losses)]
    return float(np.mean(finite)) if len(finite) else float("nan")
