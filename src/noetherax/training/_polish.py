import contextlib
import math
import time
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree
from tqdm.auto import tqdm

from .._programs import programs, run
from .._types import Model
from ..losses import AccelerationLoss, Loss, check_finite
from ._checks import check_count, check_model, check_precision, check_residuals
from ._default_loss import suited
from ._diagnosis import diagnosis
from ._history import History
from ._normal_equations import chunked, cost, curvature, damped_step, slope_of
from ._observed import as_samples, checked_arrays, states_in
from ._trainable import chosen_leaves, needs_standardisation

PATIENCE = 3
"""Steps in a row that hardly help, after which there is no more to be had: one alone may lie on a bend
of the valley."""

TRIALS = 30
"""Steps tried, each more damped than the last, before the loss is taken to be at its least."""

STRAIGHT = 0.375
"""Largest ‖a‖/‖v‖ of a step that is tried: beyond, its expansion in the weights means nothing."""

FIRST_DAMPING, EASE, STIFFEN, LEAST_DAMPING = 1e-8, 1 / 5, 3.0, 1e-18
"""Damping relative to the largest diagonal entry of JᵀJ, and its factors after a step that helped and
one that did not."""

ONE_WAY = ("custom_lin", "custom_vjp", "Reverse-mode differentiation does not work")
"""What JAX says of a function that has a derivative in one direction only."""

BOTH_WAYS = (
    "polish differentiates residuals forward and in reverse, and these have a derivative in one "
    "direction only. Give a rollout inside them adjoint=diffrax.DirectAdjoint(), with max_steps where "
    "steps are chosen; noetherax.TrajectoryLoss needs none."
)

NO_DERIVATIVE = (
    "The residuals do not change with any of the weights to train, so that there is nothing to polish. "
    "Do the residuals of the loss use the model that they are given, and does mask choose weights "
    "that they depend on?"
)


def polish(
    lagrangian: Model,
    observations: Any,
    *,
    iterations: int = 20,
    samples: int = 16_384,
    curvature_samples: int | None = None,
    loss: Loss | None = None,
    tolerance: float = 1e-4,
    key: PRNGKeyArray | None = None,
    mask: PyTree | None = None,
    progress: bool = True,
) -> tuple[Model, History]:
    """Trains the last digits of a fitted Lagrangian: Levenberg–Marquardt in float64.

    [`noetherax.fit`][] stops where the noise of its batches balances its learning rate. From there
    Gauss–Newton steps on one large set of observations go to the least squares solution,

        (JᵀJ + λ 1) v = −Jᵀr,       (JᵀJ + λ 1) a = −Jᵀ r_vv,       weights + v + a/2,

    where J = ∂r/∂weights, and r_vv is the second derivative of the residuals along v: the step bends as
    the valley of the loss does (geodesic acceleration: Transtrum & Sethna 2012). The damping λ
    (Levenberg 1944) goes up after a step that did not help and down after one that did. Marquardt's
    diag JᵀJ instead of 1 lets weights that hardly matter go far, and networks have many: with it the
    loss fell several times slower.

    JᵀJ is summed sample by sample, so that memory does not grow with their number. The time does, and
    with the square of the number of weights: a step on 16,000 samples takes seconds at width 32, and
    minutes at width 128. Jᵀr and the loss, which decide where the steps end, cost far less: with
    `curvature_samples`, they are summed over all samples and JᵀJ over a part (subsampled
    Gauss–Newton: Byrd, Chin, Neveitt & Nocedal 2011).

    It does not replace `fit`: from random weights it ends in the nearest minimum. On noisy data
    take many more numbers than weights, or it fits the noise.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        model, _ = nx.prepare(model, (q, v, -q))  # for brevity; better by nx.fit
        model, history = nx.polish(model, (q, v, -q), iterations=2)
        assert history.loss[-1] < history.loss[0]
        ```

    **Arguments:**

    - `lagrangian`: a fitted model; not changed.
    - `observations`: arrays `(q, v, a)`, or those of another loss, of which all samples are used; or a
        sampler `key -> batch`, called until there are `samples`.
    - `iterations`: most Gauss–Newton steps.
    - `samples`: number of observations to draw from a sampler.
    - `curvature_samples`: number of them, drawn at random, that JᵀJ is summed over; all if `None`.
        They need some tens of residuals per weight: with few, steps help less and less, though they
        still end at the least squares of all samples. That is meant for noisy data. Without noise the
        last digits are in directions that few samples tell of, and take all: on springs with 136
        weights and 25,000 residuals, 70 steps ended at 1e-6 with all, and at 1e-4, 1e-5 and 2e-3 with
        12,000, 3,600 and 1,200 drawn at random.
    - `loss`: the [`noetherax.Loss`][] whose residuals are made small, as given to `fit`; by default the
        one that `fit` takes.
    - `tolerance`: stop when the loss falls by less than this fraction in three steps in a row.
    - `key`: random key for a sampler.
    - `mask`: which arrays to train, as in [`noetherax.fit`][].
    - `progress`: show a progress bar.

    **Returns:**

    The polished Lagrangian, its weights in their own precision, and a [`noetherax.History`][] with the
    loss before every step and after the last; `skipped` counts the steps that did not help, and
    `stopped` says why there are no more. Ctrl-C returns the best so far. The loss never rises, up to
    the rounding of the weights.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does; if the model has not been standardised; if
    the residuals have no axis of samples, or do not depend on the weights; and if the loss is not
    finite at the start.
    """
    iterations, samples = check_count("iterations", iterations), check_count("samples", samples)
    if curvature_samples is not None:
        curvature_samples = check_count("curvature_samples", curvature_samples)
    objective: Any = AccelerationLoss() if loss is None else loss
    check_residuals(objective)
    if needs_standardisation(lagrangian):
        raise ValueError(
            "polish takes a model that has been fitted, but its features are not standardised yet. "
            "Call noetherax.fit first."
        )
    observations = as_samples(observations, objective, lagrangian)
    batch = _collected(observations, objective, samples, key)
    objective, why = suited(loss, [jax.tree.map(lambda x: x[None], batch)])
    parameters, constants = eqx.partition(lagrangian, chosen_leaves(lagrangian, mask))
    count = len(jax.tree.leaves(batch)[0])
    rows = _check_rows(objective, lagrangian, parameters, batch, count)
    few = min(count, curvature_samples or count)

    start = time.perf_counter()
    losses, skipped, damping, slow, interrupted, stopped = [], 0, FIRST_DAMPING, 0, False, ""
    call = programs()
    with jax.enable_x64(True):
        everything = parameters, constants, chunked(batch, count, rows), objective
        best, fixed, chunks, objective = _in_double(everything)
        part = chunks if few == count else _in_double(chunked(_drawn(batch, few), few, rows))
        value = float(call(cost, objective, best, fixed, chunks)) / count
        losses.append(value)
        if not np.isfinite(value):
            start = f"The mean square of the residuals is {value}, so that polish cannot start."
            raise ValueError(diagnosis(start, lagrangian, objective, batch))
        bar = tqdm(total=iterations, unit="step", disable=not progress)
        compile_seconds = 0.0
        try:
            with bar, _explained():
                while len(losses) <= iterations:
                    matrix = call(curvature, objective, best, fixed, part)
                    # As if it were that of the part, which the bend of the step is summed over.
                    slope = call(slope_of, objective, best, fixed, chunks) * (few / count)
                    if not np.any(np.diagonal(matrix)):
                        raise ValueError(NO_DERIVATIVE)
                    compile_seconds = compile_seconds or time.perf_counter() - start
                    for _ in range(TRIALS):
                        equations = matrix, slope, jnp.asarray(damping)
                        trial, ratio = call(damped_step, objective, best, fixed, part, *equations)
                        if ratio < STRAIGHT:
                            value = float(call(cost, objective, trial, fixed, chunks)) / count
                            if value < losses[-1]:
                                break
                        skipped, damping = skipped + 1, damping * STIFFEN
                    else:
                        stopped = f"none of {TRIALS} steps, each more damped than the last, helps"
                        break
                    best, damping = trial, max(damping * EASE, LEAST_DAMPING)
                    losses.append(value)
                    bar.update()
                    bar.set_postfix(loss=f"{value:.5g}")
                    slow = slow + 1 if value > (1 - tolerance) * losses[-2] else 0
                    if slow == PATIENCE and len(losses) <= iterations:
                        part_of_it = f"less than {tolerance:g} of it"
                        stopped = f"{PATIENCE} steps in a row lower the loss by {part_of_it}"
                        break
                if not stopped:
                    stopped = _all_taken(losses)
        except KeyboardInterrupt:
            interrupted = True
            steps = len(losses) - 1
            warnings.warn(f"polish was interrupted after {steps} steps.", stacklevel=2)
        learned = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), best, parameters)
    seconds = time.perf_counter() - start
    history = History(
        np.array(losses),
        skipped,
        seconds,
        compile_seconds,
        interrupted,
        chosen_loss=why,
        stopped=stopped,
        full_batch=True,
    )
    return eqx.combine(learned, constants), history


@contextlib.contextmanager
def _explained():
    """Names the cause where residuals cannot be differentiated as is needed here."""
    try:
        yield
    except (NotImplementedError, TypeError, ValueError) as error:
        if any(words in str(error) for words in ONE_WAY):
            raise TypeError(f"{BOTH_WAYS} JAX says: {error}") from error
        raise


def _all_taken(losses: list[float]) -> str:
    """Why a polish ends that was still getting somewhere."""
    steps, fallen = len(losses) - 1, 1 - losses[-1] / losses[-2]
    return f"all {steps} iterations are taken, and the last lowered the loss by {fallen:.2g} of it"


def _check_rows(loss: Loss, lagrangian, parameters, batch, count: int) -> int:
    """The number of residuals of one sample. They must be floating-point arrays with the samples first,
    and change with the weights."""
    check_precision(parameters, batch)
    check_model(lagrangian, parameters, loss, batch)
    value = eqx.filter_eval_shape(_residuals, loss, lagrangian, batch)
    if value.shape[:1] != (count,) or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"The residuals of a loss must be a floating-point array with the {count} samples along "
            f"its first axis, but they have shape {value.shape} and dtype {value.dtype}."
        )
    one = jax.tree.map(lambda x: x[:1], batch)
    shape = eqx.filter_eval_shape(_residuals, loss, lagrangian, one).shape
    if shape[:1] != (1,):
        raise ValueError(
            "The residuals of a loss must be one row for each sample of the batch that it is given, "
            f"but for one sample they have shape {shape}."
        )
    return max(1, math.prod(shape))


def _residuals(loss: Loss, lagrangian, batch):
    return loss.residuals(lagrangian, batch)


def _collected(observations, loss: Loss, samples: int, key):
    """All observations, or as many whole batches of a sampler as give `samples`, the rest cut off."""
    if not callable(observations):
        return checked_arrays(observations, loss)
    if key is None:
        raise TypeError("A sampler needs a random key: polish(..., key=jax.random.key(0)).")
    size = jax.tree.leaves(jax.eval_shape(lambda key: observations(key), key))[0].shape[0]
    keys = jax.random.split(key, -(-samples // size))
    drawn = run(_all_drawn, observations, keys)
    batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:samples], drawn)
    states_in(loss, batch)
    check_finite(batch)
    return batch


def _all_drawn(observations, keys):
    return jax.lax.map(lambda key: observations(key), keys)


def _drawn(batch, few: int):
    """Some samples without repetition, the same every time: not equally spaced ones, since data may
    have a period."""
    count = len(jax.tree.leaves(batch)[0])
    index = np.random.default_rng(0).choice(count, few, replace=False)
    return jax.tree.map(lambda x: x[index], batch)


def _in_double(tree):
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree
    )
