"""What `fit` and `fit_ensemble` do before the first step: options, members, and the plan of a run."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, PyTree

from ._batches import at_most, samples_at
from ._brief_training import STEPS
from ._checkpoints import NOT_DESCRIBED, Checkpoints, as_checkpoints, describe_run
from ._checks import (
    about,
    check_count,
    check_flag,
    check_fraction,
    check_loss,
    check_model,
    check_optimizer,
    check_precision,
)
from ._description import Description
from ._held_out import HeldOut, Judge, Watching
from ._optimizer import default_optimizer
from ._preparation import prepared
from ._scale import Scale, scale_of
from ._trainable import chosen_leaves
from ._validation import Validation


class Options(NamedTuple):
    """What a run is asked for, the same for all members of an ensemble."""

    steps: int
    batch_size: int
    optimizer: optax.GradientTransformation | None
    loss: Callable
    averaging: float
    preparation: bool
    mask: PyTree | None
    checkpoints: Checkpoints | None
    progress: bool


def checked_options(
    steps, batch_size, optimizer, loss, averaging, preparation, mask, checkpoints, progress
) -> Options:
    """Options, each of them checked; `ValueError` or `TypeError` for one that is wrong."""
    check_flag("preparation", preparation)
    check_optimizer(optimizer)
    check_loss(loss)
    return Options(
        check_count("steps", steps),
        check_count("batch_size", batch_size),
        optimizer,
        loss,
        check_fraction("averaging", averaging),
        preparation,
        mask,
        as_checkpoints(checkpoints),
        progress,
    )


class Member(NamedTuple):
    """A model with its data, ready for the first step."""

    start: PyTree
    preparation: str
    data: Any  # None for a sampler
    drawn: PyTree  # first batches, stacked
    batch: PyTree
    scale: Scale
    seconds: float = 0.0  # that all this took

    @property
    def sampled(self) -> PyTree | None:
        """First batches of a sampler: what it gives says more of it than what it is."""
        return self.drawn if self.data is None else None


def ready(model: PyTree, look: tuple[Any, PyTree], options: Options) -> Member:
    """A model checked against its data, prepared by them, and the scale of its loss."""
    began = time.perf_counter()
    data, drawn = look
    batch = jax.tree.map(lambda x: x[0], drawn)
    if data is not None:
        count = len(jax.tree.leaves(batch)[0])
        batch = samples_at(batch, np.arange(options.batch_size) % count)
    chosen = chosen_leaves(model, options.mask)
    check_precision(eqx.filter(model, chosen), batch)
    start, description = model, ""
    if options.preparation:
        first_layer = options.steps > STEPS  # else the trials would take longer than the run
        start, description = prepared(model, drawn, options.loss, options.mask, first_layer)
    check_model(start, eqx.filter(start, chosen), options.loss, batch)
    scale = scale_of(options.loss, start, at_most(drawn))
    return Member(start, description, data, drawn, batch, scale, time.perf_counter() - began)


def watching_of(
    validation: Validation | None,
    drawn: list[PyTree],
    callback: Callable | None,
    optimizer_state: Any,
    starts: list[PyTree],
    options: Options,
    ensemble: bool,
) -> Watching:
    """What a run is watched by: stacked batches of the data held out, for each member, have been drawn,
    and must fit the members' models."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of a report, but it is {callback!r}.")
    if validation is None:
        return Watching(None, callback, None, optimizer_state)
    for start, batches in zip(starts, drawn, strict=True):
        batch = jax.tree.map(lambda x: x[0], batches)
        parameters = eqx.filter(start, chosen_leaves(start, options.mask))
        about("validation", check_precision, parameters, batch)
        about("validation", check_model, start, parameters, options.loss, batch)
    judge = Judge(options.loss, drawn, ensemble)
    held_out = HeldOut(judge, judge.without_force(), validation.patience, validation.best)
    return Watching(held_out, callback, validation.every, optimizer_state)


def known_by(validation: Validation | None, optimizer_state: Any) -> dict[str, Any]:
    """What checkpoints know a run by beside the rest, if it is there."""
    told = {} if validation is None else {"validation": vars(validation)}
    return told if optimizer_state is None else told | {"optimizer_state": optimizer_state}


class Problem(NamedTuple):
    """What a run trains, on what. Of an ensemble, parameters, constants and keys have a leading axis of
    members."""

    parameters: PyTree
    constants: PyTree  # the rest of the model
    keys: Array
    draw: Callable  # (data, keys) -> batch
    data: PyTree
    loss: Callable
    unit: Array  # of the loss, one for each member
    ensemble: bool


class Placement(NamedTuple):
    """Where arrays live; `None` on the default device."""

    batch: NamedSharding | None
    weights: NamedSharding | None


class Plan(NamedTuple):
    """All that the loop needs."""

    problem: Problem
    placement: Placement
    optimizer: optax.GradientTransformation
    options: Options
    description: Description  # by which checkpoints know the run
    watching: Watching


def plan(
    start: PyTree,
    draw: tuple[Callable, PyTree],
    keys: Array,
    unit: Any,
    placement: Placement,
    options: Options,
    watching: Watching,
    given: dict[str, Any],
) -> Plan:
    """The plan of a run.

    **Arguments:**

    - `start`: the model, or the ensemble.
    - `draw`: how batches are drawn, and what from.
    - `given`: what the run is known by beside its options: model, data and key as they were given, and
        first batches of samplers.
    """
    parameters, constants = eqx.partition(start, chosen_leaves(start, options.mask))
    unit = jnp.asarray(unit)
    problem = Problem(
        parameters, constants, keys, *draw, options.loss, unit, ensemble=unit.ndim > 0
    )
    description = NOT_DESCRIBED
    if options.checkpoints is not None:
        told = options._asdict()
        del told["checkpoints"], told["progress"]
        description = describe_run(**told, **given)
    optimizer = options.optimizer
    if optimizer is None:
        optimizer = default_optimizer(options.steps)
    return Plan(problem, placement, optimizer, options, description, watching)
