"""Laws of losses: what training takes for granted of one."""

from typing import Any

import jax
import numpy as np

from ._differences import SHIFTS, central, step_of
from ._evidence import DIFFERENCES, ROUNDING, Seen
from ._loss_equation_laws import gauge_law, truth_law
from ._loss_evidence import SOLVED, difference_of, require_rows, seen_rows, size_of
from ._loss_record import LossRecord

CONDITION = 1e3
"""Times the change of residuals where the data are rounded to single precision: what their computation
in it may add."""

ONE_WAY = "residuals have a derivative in reverse alone, with which polish cannot work"
NO_WEIGHTS = "the model has no weights"


def samples_law(record: LossRecord) -> Seen:
    """The residuals of a sample are one row, and do not depend on the other samples of a batch."""
    samples, here = record.samples, _own_residuals(record)
    if samples == 1:
        return Seen("samples_law", 1, 1, "the batch has one sample alone")
    order, half = np.random.default_rng(0).permutation(samples), samples // 2
    batches = {
        "in another order": order,
        "beside others": np.arange(samples) % half,  # the first half, twice
        "beside others still": half + np.arange(samples) % (samples - half),
        "in a smaller batch": np.arange(half),
    }
    for words, index in batches.items():
        batch = jax.tree.map(lambda x, index=index: x[index], record.batch)
        there = record.residuals(record.weights, batch)
        law = f"the residuals of a sample are the same {words}"
        error = difference_of(there, here[:, index])
        require_rows(law, error, size_of(here), SOLVED, "model", "sample")
    return seen_rows("samples_law", record, here)


def loss_derivatives_law(record: LossRecord) -> Seen:
    """The derivative of the loss by the weights is that of its values, in reverse, as training takes
    it; that of the residuals, forward, as `polish` does, is the same."""
    if not record.has_weights:
        return Seen("loss_derivatives_law", 0, 0, NO_WEIGHTS)
    step = step_of(np.float64)

    def moved(shift: float) -> np.ndarray:
        near = jax.tree.map(lambda x, y: x + shift * step * y, record.weights, record.direction)
        return np.mean(np.sum(record.residuals(near, record.batch) ** 2, axis=2), axis=1)

    rows = _own_residuals(record)
    if not np.all(np.isfinite(rows)):
        lost = np.flatnonzero(~np.all(np.isfinite(rows), axis=(0, 2))).tolist()
        raise AssertionError(f"the loss is finite: violated, residuals of samples {lost} are not")
    values = [moved(shift) for shift in SHIFTS]
    value, slope = record.in_reverse()
    expected, doubt = central(values, step)
    if np.all(np.ptp(np.stack(values), axis=0) <= ROUNDING.of(np.float64) * value):
        raise AssertionError(
            "the loss changes with the weights: violated. Do the residuals use the model that they are "
            "given?"
        )
    law = "the derivative of the loss by the weights is that of its values"
    bound = value + np.abs(expected) + doubt / DIFFERENCES.of(np.float64)
    require_rows(law, slope - expected, bound, DIFFERENCES, "model")
    try:
        rows, changes = record.forward()
    except (NotImplementedError, TypeError) as error:
        if "custom_" not in str(error):
            raise
        return Seen("loss_derivatives_law", record.samples, 0, ONE_WAY)
    forward = 2 * np.mean(np.sum(rows * changes, axis=2), axis=1)
    terms = 2 * np.mean(np.sum(np.abs(rows * changes), axis=2), axis=1)
    law = "the derivative of residuals forward is that of the loss in reverse"
    require_rows(law, forward - slope, terms + np.abs(slope), SOLVED, "model")
    return seen_rows("loss_derivatives_law", record, rows)


def loss_precision_law(record: LossRecord) -> Seen:
    """Residuals in single precision stay in it, and are those in double precision up to rounding."""
    single, here = LossRecord(record.subject, np.float32), _own_residuals(record)
    rounded = jax.tree.map(lambda x, y: np.asarray(y).astype(x.dtype), record.batch, single.batch)
    near = record.residuals(record.weights, rounded)
    found = single.residuals(
        jax.tree.map(lambda x, y: x.astype(y.dtype), record.weights, single.weights), single.batch
    )
    if found.dtype != np.float32:
        raise AssertionError(
            f"residuals in single precision stay in it: violated, they are {found.dtype}"
        )
    size = size_of(here) + CONDITION / ROUNDING.of(np.float32) * np.abs(near - here)
    law = "residuals in single precision are those in double precision"
    require_rows(
        law, difference_of(found, here), size, ROUNDING, "model", "sample", precision=np.float32
    )
    return seen_rows("loss_precision_law", record, here)


def states_law(record: LossRecord) -> Seen:
    """The states in a batch are (q, v, a) or (q, v, a, t, u), samples first, from which a model can be
    prepared."""
    states: Any = record.loss.states(record.subject.batch)
    if states is None:
        return Seen("states_law", record.samples, 0, "the batch holds no states")
    law = "states are (q, v, a) or (q, v, a, t, u), samples first"
    shapes = [None if x is None else np.shape(x) for x in states]
    if not (len(shapes) in (3, 5) and _are_of_states(*shapes)):
        raise AssertionError(f"{law}: violated, their shapes are {shapes}")
    if not all(x is None or np.all(np.isfinite(x)) for x in states):
        raise AssertionError(f"{law}: violated, some are not finite")
    return Seen("states_law", len(states[0]))


def _are_of_states(q: Any, v: Any, a: Any, t: Any = None, u: Any = None) -> bool:
    """Whether these are the shapes of states, `None` for what is not there."""
    if q is None or len(q) != 3 or v != q or a not in (None, q):
        return False
    return t in (None, q[:1]) and (u is None or (len(u) == 2 and u[:1] == q[:1]))


def laws_of_loss(subject: Any) -> tuple:
    """Those that a loss has to hold by what is declared of it."""
    always = samples_law, loss_derivatives_law, loss_precision_law, states_law
    gauge = (gauge_law,) if subject.gauge else ()
    return (*always, *gauge, *((truth_law,) if subject.truth is not None else ()))


def _own_residuals(record: LossRecord) -> np.ndarray:
    return record.residuals(record.weights, record.batch)
