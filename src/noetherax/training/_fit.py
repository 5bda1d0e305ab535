import os
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..losses import AccelerationLoss
from ._batches import Resampled, Sampled, at_most
from ._checkpoints import FIRST_BATCH, NOT_DESCRIBED, Checkpoints, as_checkpoints, describe_run
from ._checks import (
    check_count,
    check_flag,
    check_fraction,
    check_loss,
    check_max_norm,
    check_model,
    check_optimizer,
    check_precision,
)
from ._diagnosis import diagnosis
from ._loop import PATIENCE, History, Placement, Problem, run
from ._observed import first_look
from ._preparation import Preparation, prepared
from ._scale import scale_of
from ._sharding import split_sharding, whole
from ._trainable import chosen_leaves, needs_standardisation
from ._verdict import verdicts


def fit(
    lagrangian: PyTree,
    observations: Any,
    *,
    steps: int,
    batch_size: int = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] = AccelerationLoss(),
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

    What is minimised is the loss divided by the loss without any force, that of a free particle on the
    first batches: which units lengths and times are measured in has no say in what is learned, as long
    as all coordinates that the symmetry does not tell apart share theirs. The optimiser's learning
    rate and `max_norm` refer to that quotient; the history holds the loss itself. A loss that has a
    unit, since it was told the noise, is not divided, and one for which a free particle has none is
    divided by its value at the start.

    **Arguments:**

    - `lagrangian`: the model, usually a [`noetherax.NeuralLagrangian`][]; not changed.
    - `observations`: arrays `(q, v, a)` of shape `(samples, points, space)`, or those of another loss,
        samples first, from which batches are drawn at random with replacement; or a sampler
        `key -> batch`, called afresh at every step.
    - `steps`: number of optimiser steps.
    - `batch_size`: samples per step, when observations are arrays.
    - `optimizer`: any Optax optimiser; [`noetherax.default_optimizer`][]`(steps)` if not given.
    - `loss`: a [`noetherax.Loss`][], which also knows the states that a new model is prepared by; or
        any function `(lagrangian, batch) -> scalar` of batches of any form.
    - `key`: random key for batches.
    - `max_norm`: global norm that gradients are clipped to, those of the loss in its own unit (below);
        `None` not to.
    - `averaging`: return the average of the weights over about this fraction of the steps before the
        end (exponentially weighted), instead of the last ones; it averages the noise of batches out.
    - `standardise`: set the standardisation of neural Lagrangians that have none yet from the states
        of the data (of a plain function as loss, the first two members of a batch). Where the loss
        knows accelerations, features of position are bent only if a start with bends is nearer to
        them, as `preparation` of the history says, and a model that is new altogether gets the last
        layer of [`noetherax.regular_start`][]. Switch it off for batches without states, or to start
        from random weights, and call [`noetherax.standardise`][] yourself.
    - `trainable`: a PyTree of booleans, or a prefix of one, which floating-point arrays to train;
        [`noetherax.trainable`][]`(lagrangian)` if not given. With a choice of your own, no layer is
        given another start.
    - `checkpoints`: [`noetherax.Checkpoints`][], or just a folder, to save the state of the run now
        and then, and to go on from what is saved there.
    - `sharding`: devices to train on in parallel: a `jax.sharding.Mesh`, over all of whose axes every
        batch is split, or a `NamedSharding` that says how its leading axis is. Weights are kept on
        every device. The result differs from that of one device by rounding. With several processes
        (`jax.distributed`), call `fit` in each of them with the same arguments; the first one shows
        progress and writes checkpoints, in a folder that all must see.
    - `progress`: show a progress bar.

    **Returns:**

    The trained Lagrangian and its [`noetherax.History`][]. Ctrl-C ends the run early, after
    the steps under way (in every process, if there are several), and returns what has
    been learned so far; with checkpoints, it is saved, and the next run goes on from there. A second
    Ctrl-C may lose those steps, and raise `KeyboardInterrupt`; other processes then wait for this one.

    **Raises:**

    Before training starts, `ValueError` or `TypeError` if the data are empty, not finite, or of a
    shape or precision that does not fit the model, or the checkpoints are those of another run;
    `OSError` if none can be written. `RuntimeError` if no update at all was finite.

    **Warns:**

    With the numbers and what to do next, if more than one update in twenty was left out; and, after a
    hundred steps or more, if the loss ends above that without any force, or explains less than a tenth
    of it.
    """
    steps, batch_size = check_count("steps", steps), check_count("batch_size", batch_size)
    averaging, max_norm = check_fraction("averaging", averaging), check_max_norm(max_norm)
    check_flag("standardise", standardise)
    check_optimizer(optimizer)
    check_loss(loss)
    checkpoints = as_checkpoints(checkpoints)
    setup_key, run_key = jax.random.split(key)
    data, drawn = first_look(observations, loss, setup_key)
    draw = Resampled(batch_size) if data is not None else Sampled(observations)
    batch = jax.tree.map(lambda x: x[0], drawn)
    if data is not None:
        batch = jax.tree.map(lambda x: x[:batch_size], batch)
    check_precision(eqx.filter(lagrangian, chosen_leaves(lagrangian, trainable)), batch)
    given, preparation = lagrangian, Preparation(lagrangian, "")
    if standardise and needs_standardisation(lagrangian):
        preparation = prepared(lagrangian, drawn, loss, trainable)
        lagrangian = preparation.start
    parameters, constants = eqx.partition(lagrangian, chosen_leaves(lagrangian, trainable))
    check_model(lagrangian, parameters, loss, batch)
    few = at_most(drawn)
    scale = scale_of(loss, lagrangian, few)
    split = split_sharding(sharding, batch)
    description = NOT_DESCRIBED
    if checkpoints is not None:
        description = describe_run(
            steps=int(steps),
            batch_size=int(batch_size),
            max_norm=max_norm,
            averaging=averaging,
            standardise=standardise,
            key=key,
            optimizer=optimizer,
            loss=loss,
            trainable=trainable,
            model=given,
            data=observations if data is None else data,
            **{FIRST_BATCH: drawn if data is None else None},
        )

    unit = jnp.asarray(scale.unit)
    learned, history, hopeless = run(
        Problem(parameters, constants, run_key, draw, data, loss, unit, ensemble=False),
        Placement(batch=split, weights=whole(split)),
        steps=steps,
        optimizer=optimizer,
        max_norm=max_norm,
        averaging=averaging,
        checkpoints=checkpoints,
        description=description,
        progress=progress,
    )
    history = history._replace(preparation=preparation.description)
    trained, done = eqx.combine(learned, constants), len(history.loss)
    if done and history.skipped >= done:
        start = f"None of the first {done} updates was finite, so nothing was learned."
        raise RuntimeError(diagnosis(start, lagrangian, loss, batch))
    if hopeless >= PATIENCE:
        start = (
            f"fit gave up at step {done} of {steps}: the last {hopeless} updates were not finite."
        )
        start += " These are the weights before them."
        warnings.warn(diagnosis(start, trained, loss, batch), stacklevel=2)
    elif not history.interrupted:
        for finding, advice in verdicts(
            history.loss, int(history.skipped), scale.without_force, trained, loss, few
        ):
            warnings.warn(f"{finding} {advice}", stacklevel=2)
    return trained, history
