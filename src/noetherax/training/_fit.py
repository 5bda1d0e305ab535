import os
import warnings
from collections.abc import Callable
from typing import Any, SupportsIndex

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._types import Model
from ..losses import AccelerationLoss
from ._batches import are_few, rule
from ._checkpoints import FIRST_BATCH, Checkpoints
from ._checks import about
from ._default_loss import suited
from ._diagnosis import diagnosis
from ._history import History
from ._loop import PATIENCE, take_steps
from ._observed import as_samples, first_look
from ._plan import Placement, checked_options, known_by, plan, ready, watching_of
from ._sharding import split_sharding, whole
from ._validation import Report, as_validation
from ._verdict import verdicts


def fit(
    lagrangian: Model,
    observations: Any,
    *,
    steps: SupportsIndex,
    batch_size: SupportsIndex = 128,
    optimizer: optax.GradientTransformation | None = None,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] | None = None,
    key: PRNGKeyArray,
    averaging: float = 0.1,
    preparation: bool = True,
    mask: PyTree | None = None,
    validation: Any = None,
    callback: Callable[[Report], bool | None] | None = None,
    optimizer_state: Any = None,
    checkpoints: Checkpoints | str | os.PathLike | None = None,
    sharding: jax.sharding.Mesh | jax.sharding.NamedSharding | None = None,
    progress: bool = True,
) -> tuple[Model, History]:
    """Trains a Lagrangian on observations.

    A model that is new is prepared first, see [`noetherax.prepare`][]. Then every step draws a batch,
    takes an update of the optimiser, and leaves it out if it is not finite; after a thousand of them in
    a row the run gives up. The loop runs compiled, a second or so at a time. The same key gives the
    same weights, whatever the machine's speed.

    What is minimised is the loss divided by the loss without any force, that of a free particle on the
    first batches: which units lengths and times are measured in has no say in what is learned, as long
    as all coordinates that the symmetry does not tell apart share theirs. An optimiser sees the
    gradient of that quotient; the history holds the loss itself. A loss that has a unit, since it was
    told the noise, is not divided, and one for which a free particle has none is divided by its value
    at the start.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        observed = nx.Observations(q, v, a=-q)  # of springs
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        model, history = nx.fit(model, observed, steps=20, key=jax.random.key(3))
        assert history.loss.shape == (20,) and history.skipped == 0
        assert history.explained > 0.5  # of the accelerations, after a few steps
        ```

    **Arguments:**

    - `lagrangian`: the model, usually a [`noetherax.NeuralLagrangian`][]; not changed.
    - `observations`: arrays `(q, v, a)` of shape `(samples, points, space)`, or those of another loss,
        samples first, from which batches are drawn at random with replacement; or
        [`noetherax.Tracks`][], from which the loss takes what it compares; or a sampler
        `key -> batch`, called afresh at every step.
    - `steps`: number of optimiser steps.
    - `batch_size`: samples per step, when observations are arrays; all of them if there are no more.
    - `optimizer`: any Optax optimiser, used as it is, also one that looks at the loss, such as
        `optax.contrib.reduce_on_plateau`; [`noetherax.default_optimizer`][]`(steps)` if not
        given. Gradients explode where ∂²L/∂v² is near singular, so that most others should clip:
        `optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))`.
    - `loss`: a [`noetherax.Loss`][], which also knows the states that a new model is prepared by; or
        any function `(lagrangian, batch) -> scalar` of batches of any form. By default
        [`noetherax.AccelerationLoss`][]; and [`noetherax.RelativeAccelerationLoss`][] where a few
        samples would rule that, the mean square of the accelerations being more than 10 times the
        median: its floor is then a tenth of the median acceleration, or a hundredth of the root mean
        square if that is more, and `chosen_loss` of the history says so.
    - `key`: random key for batches.
    - `averaging`: return the average of the weights over about this fraction of the steps before the
        end (exponentially weighted), instead of the last ones; it averages the noise of batches out.
        Without `validation`, the last ones are returned where the average has a clearly larger loss.
    - `preparation`: whether a model that is new is prepared, from the states that the loss knows (of a
        plain function as loss, the first two members of a batch): features are standardised, and the
        last layer is set where accelerations are known. `preparation` of the history says what was
        done. Switch it off for batches without states, or to start from random weights, and call
        [`noetherax.standardise`][] yourself.
    - `mask`: a PyTree of booleans, or a prefix of one, which floating-point arrays to train;
        [`noetherax.trainable`][]`(lagrangian)` if not given. With a choice of your own, no layer is
        given another start.
    - `validation`: data held out, of the same kinds as `observations`, by which the weights to return
        are chosen: those of the least loss on them. [`noetherax.Validation`][] of such data sets how
        often they are looked at, and may stop the run early.
    - `callback`: a function of a [`noetherax.Report`][] (step, loss, validation, model) that is called
        after every look at the validation data, or else every hundredth of the run, and returns `True`
        to stop it.
    - `optimizer_state`: `history.optimizer_state` of another fit with the same optimiser, to go on from
        instead of from a fresh one.
    - `checkpoints`: [`noetherax.Checkpoints`][], or just a folder, to save the state of the run now
        and then, and to go on from what is saved there. A run that `callback` has stopped goes on only
        without a callback.
    - `sharding`: devices to train on in parallel: a `jax.sharding.Mesh`, over all of whose axes every
        batch is split, or a `NamedSharding` that says how its leading axis is. Weights are kept on
        every device, and so are samples that are fewer than a batch and do not divide evenly. The
        result differs from that of one device by rounding. With several processes
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
    of it; if ∂²L/∂v² is singular among the data; or if more than a twentieth is left of a loss of
    single states, and points the same way at neighbouring ones, as noise does not.
    """
    given, loss = loss, AccelerationLoss() if loss is None else loss
    options = checked_options(
        steps, batch_size, optimizer, loss, averaging, preparation, mask, checkpoints, progress
    )
    observations = as_samples(observations, loss, lagrangian)
    setup_key, run_key = jax.random.split(key)
    look = first_look(observations, loss, setup_key)
    loss, why = suited(given, [look[1]])
    options = options._replace(loss=loss)
    member = ready(lagrangian, look, options)
    held_out = as_validation(validation)
    drawn = []
    if held_out is not None:
        held_out = held_out.of(lambda data: about("validation", as_samples, data, loss, lagrangian))
        fresh = jax.random.fold_in(setup_key, 1)
        drawn.append(about("validation", first_look, held_out.observations, loss, fresh)[1])
    watching = watching_of(
        held_out, drawn, callback, optimizer_state, [member.start], options, ensemble=False
    )
    few = are_few(member.data, options.batch_size)
    split = split_sharding(sharding, member.data if few else member.batch, few=few)
    learned, history, failed_in_a_row, judged = take_steps(
        plan(
            member.start,
            rule(observations, options.batch_size, member.data),
            run_key,
            member.scale.unit,
            Placement(batch=split, weights=whole(split)),
            options,
            watching,
            dict(model=lagrangian, key=key, data=observations, **{FIRST_BATCH: member.sampled})
            | known_by(held_out, optimizer_state),
        )
    )
    history = history._replace(
        preparation=member.preparation,
        preparation_seconds=member.seconds,
        chosen_loss=why,
        without_force=member.scale.without_force,
        explained=member.scale.explained(history.final_loss),
    )
    done = len(history.loss)
    if done and history.skipped >= done:
        start = f"None of the first {done} updates was finite, so nothing was learned."
        raise RuntimeError(diagnosis(start, member.start, loss, member.batch))
    if failed_in_a_row >= PATIENCE:
        start = (
            f"fit gave up at step {done} of {steps}: the last {failed_in_a_row} updates were not "
            "finite. These are the weights before them."
        )
        warnings.warn(diagnosis(start, learned, loss, member.batch), stacklevel=2)
    elif not history.interrupted:
        for finding, advice in verdicts(
            history.loss, judged, int(history.skipped), learned, member, loss
        ):
            warnings.warn(f"{finding} {advice}", stacklevel=2)
    return learned, history
