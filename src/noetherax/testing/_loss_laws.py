"""Laws of losses: what training takes for granted of one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import at_time, depends_on_time, forces_of
from ._differences import SHIFTS, central, step_of
from ._evidence import DIFFERENCES, ROUNDING, Seen, Tolerance
from ._loss_record import LossRecord

RIPPLES = 8
"""Terms that are added to the true Lagrangian, one at a time, with both signs."""

RIPPLE = 1e-2
"""Of the deviation of the true Lagrangian over the data: what a ripple adds to it."""

GAUGES = 3
"""Total derivatives that are added."""

CONDITION = 1e3
"""Times the change of residuals where the data are rounded to single precision: what their computation
in it may add."""

SOLVED = Tolerance(
    1e6,
    "rounding of equations of motion that are solved, which amplify it where they are near singular",
)

ONE_WAY = "residuals have a derivative in reverse alone, with which polish cannot work"
NO_WEIGHTS = "the model has no weights"
NOT_FINITE = "residuals are not finite"


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
        _require(law, _difference(there, here[:, index]), _size(here), SOLVED, "model", "sample")
    return _seen("samples_law", record, here)


def loss_derivatives_law(record: LossRecord) -> Seen:
    """The derivative of the loss by the weights is that of its values, in reverse, as training takes
    it; that of the residuals, forward, as `polish` does, is the same."""
    if not record.has_weights:
        return Seen("loss_derivatives_law", 0, 0, NO_WEIGHTS)
    step = step_of(np.float64)

    def moved(shift: float) -> np.ndarray:
        near = jax.tree.map(lambda x, y: x + shift * step * y, record.weights, record.direction)
        return np.mean(np.sum(record.residuals(near, record.batch) ** 2, axis=2), axis=1)

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
    _require(law, slope - expected, bound, DIFFERENCES, "model")
    try:
        rows, changes = record.forward()
    except (NotImplementedError, TypeError) as error:
        if "custom_" not in str(error):
            raise
        return Seen("loss_derivatives_law", record.samples, 0, ONE_WAY)
    forward = 2 * np.mean(np.sum(rows * changes, axis=2), axis=1)
    terms = 2 * np.mean(np.sum(np.abs(rows * changes), axis=2), axis=1)
    law = "the derivative of residuals forward is that of the loss in reverse"
    _require(law, forward - slope, terms + np.abs(slope), SOLVED, "model")
    return _seen("loss_derivatives_law", record, rows)


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
    size = _size(here) + CONDITION / ROUNDING.of(np.float32) * np.abs(near - here)
    law = "residuals in single precision are those in double precision"
    _require(law, _difference(found, here), size, ROUNDING, "model", "sample", precision=np.float32)
    return _seen("loss_precision_law", record, here)


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


def gauge_law(record: LossRecord) -> Seen:
    """Residuals do not change where a total derivative, of F = qᵀ S q/2 + b · q, is added to the
    Lagrangian: it has no part in the equations of motion."""
    model: Any = record.model
    states = record.loss.states(record.batch)
    if states is None:
        return Seen("gauge_law", record.samples, 0, "the batch holds no states")
    if forces_of(model) or not callable(model):
        reason = "the model has forces" if callable(model) else "the model is no Lagrangian"
        return Seen("gauge_law", record.samples, 0, reason)
    q, v = (np.asarray(x, np.float64) for x in states[:2])
    n, rng = q[0].size, np.random.default_rng(0)
    symmetric = rng.normal(size=(GAUGES, n, n))
    symmetric, constant = symmetric + np.swapaxes(symmetric, 1, 2), rng.normal(size=(GAUGES, n))
    scale = _deviation(model, states) / (_spread(q) * _spread(v) + np.finfo(float).tiny)
    factor = np.array([0.0, *[1.0] * (GAUGES - 1)])[:, None, None] * scale  # none, for comparison
    found = record.of_sum(
        model, _total_derivative, (factor * symmetric, factor[..., 0] * _spread(q) * constant)
    )
    law = "a total derivative changes no residual"
    _require(
        law,
        _difference(found[1:], found[:1]),
        _size(found[:1]),
        SOLVED,
        "total derivative",
        "sample",
    )
    return _seen("gauge_law", record, found[:1])


def _total_derivative(parameters, q, v):
    symmetric, constant = parameters
    return jnp.ravel(v) @ (symmetric @ jnp.ravel(q) + constant)


def truth_law(record: LossRecord) -> Seen:
    """Of exact data no Lagrangian near the true one has a smaller loss."""
    truth, states = record.truth, record.loss.states(record.batch)
    if states is None:
        return Seen("truth_law", record.samples, 0, "the batch holds no states")
    q, v = (np.asarray(x, np.float64) for x in states[:2])
    rng, n = np.random.default_rng(0), q[0].size
    waves = rng.normal(size=(RIPPLES, 2, n)) / np.array([_spread(q), _spread(v)])[:, None]
    waves, phases = np.repeat(waves, 2, axis=0), np.repeat(rng.uniform(0, 2 * np.pi, RIPPLES), 2)
    height = RIPPLE * _deviation(truth, states) * np.tile([1.0, -1.0], RIPPLES)
    flat = jax.tree.map(lambda x: np.concatenate([0 * x[:1], x]), (waves, phases, height))
    rows = record.of_sum(truth, _ripple, flat)
    losses = np.mean(np.sum(rows**2, axis=2), axis=1)
    if not np.isfinite(losses[0]):
        raise AssertionError("the true law has a finite loss: violated")
    if not np.any(losses > losses[0]):
        raise AssertionError(
            "a term that is added to the true law changes the loss: violated. Do the residuals use the "
            "model that they are given?"
        )
    least = int(np.nanargmin(losses))
    if losses[least] < losses[0]:
        raise AssertionError(
            "no Lagrangian near the true one has a smaller loss: violated, that of the true one is "
            f"{losses[0]:.4g}, and {losses[least]:.4g} with {float(height[least - 1]):.3g} "
            "cos(k · q + l · v + φ) added\n"
            f"  k, l = {waves[least - 1].tolist()}, φ = {float(phases[least - 1]):.6g}\n"
            "  Are the data exact, and the steps of the loss short enough to follow them? Otherwise "
            "other laws may have a smaller loss."
        )
    lost = int(np.sum(~np.isfinite(losses)))
    return Seen("truth_law", len(losses) - 1, lost, NOT_FINITE if lost else "")


def _ripple(parameters, q, v):
    waves, phase, height = parameters
    return height * jnp.cos(jnp.sum(waves * jnp.stack([jnp.ravel(q), jnp.ravel(v)])) + phase)


def laws_of_loss(subject: Any) -> tuple:
    """Those that a loss has to hold by what is declared of it."""
    always = samples_law, loss_derivatives_law, loss_precision_law, states_law
    gauge = (gauge_law,) if subject.gauge else ()
    return (*always, *gauge, *((truth_law,) if subject.truth is not None else ()))


def _own_residuals(record: LossRecord) -> np.ndarray:
    return record.residuals(record.weights, record.batch)


def _seen(law: str, record: LossRecord, rows: np.ndarray) -> Seen:
    finite = np.all(np.isfinite(rows), axis=(0, 2))
    if not np.any(finite):
        raise AssertionError(f"{law}: saw nothing. The residuals of all samples are not finite.")
    lost = int(np.sum(~finite))
    return Seen(law, record.samples, lost, NOT_FINITE if lost else "")


def _spread(x: np.ndarray) -> float:
    return float(np.std(x)) or 1.0


def _deviation(lagrangian: Any, states: Any) -> float:
    """Standard deviation of a Lagrangian over the states."""
    q, v = (jnp.asarray(x) for x in states[:2])
    if depends_on_time(lagrangian):
        t, u = states[3:] if len(states) == 5 else (None, None)
        t = jnp.zeros(len(q), q.dtype) if t is None else jnp.asarray(t)
        values = jax.vmap(lambda q, v, t, u: at_time(lagrangian, t, u)(q, v))(q, v, t, u)
    else:
        values = jax.vmap(lambda q, v: lagrangian(q, v))(q, v)
    return float(np.std(np.asarray(values))) or 1.0


def _size(rows: np.ndarray) -> np.ndarray:
    """Of all residuals of a model: some of one sample may be zero by themselves."""
    finite = np.where(np.isfinite(rows), rows, 0.0)
    return np.max(np.abs(finite), axis=(1, 2), keepdims=True)


def _difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """None where neither is finite, and endless where one is."""
    finite = np.isfinite(one), np.isfinite(other)
    return np.where(
        finite[0] & finite[1], one - other, np.where(finite[0] != finite[1], np.inf, 0.0)
    )


def _require(
    law: str, error, scale, tolerance: Tolerance, *index: str, precision: Any = np.float64
) -> None:
    """Raises an `AssertionError` that names where an error exceeds the tolerance times the scale."""
    error, scale = np.broadcast_arrays(np.abs(error), tolerance.of(precision) * scale)
    bad = ~(error <= scale)
    if not np.any(bad):
        return
    worst = np.unravel_index(
        np.argmax(np.where(bad, np.nan_to_num(error, nan=np.inf), -1)), error.shape
    )
    place = ", ".join(f"{name} {int(i)}" for name, i in zip(index, worst, strict=False))
    raise AssertionError(
        f"{law}: violated by {error[worst]:.3g} at {place}, where {scale[worst]:.3g} is allowed\n"
        f"  tolerance: {tolerance}\n  violated in {int(np.sum(bad))} of {bad.size} numbers"
    )
