"""Laws of losses that hold a Lagrangian to its equations of motion."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import at_time, depends_on_time, forces_of
from ._evidence import Seen
from ._loss_evidence import NOT_FINITE, SOLVED, difference_of, require_rows, seen_rows, size_of
from ._loss_record import LossRecord

RIPPLES = 8
"""Terms that are added to the true Lagrangian, one at a time, with both signs."""

RIPPLE = 1e-2
"""Of the deviation of the true Lagrangian over the data: what a ripple adds to it."""

GAUGES = 2
"""Total derivatives that are added, one at a time."""


def gauge_law(record: LossRecord) -> Seen:
    """Residuals do not change where a total derivative, of F = qᵀ S q/2 + b · q, is added to the
    Lagrangian: it has no part in the equations of motion."""
    model: Any = record.model
    states = record.states
    if states is None:
        return Seen("gauge_law", record.samples, 0, "the batch holds no states")
    if forces_of(model) or not callable(model):
        reason = "the model has forces" if callable(model) else "the model is no Lagrangian"
        return Seen("gauge_law", record.samples, 0, reason)
    q, v = (np.asarray(x, np.float64) for x in states[:2])
    n, rng = q[0].size, np.random.default_rng(0)
    halves, slopes = rng.normal(size=(GAUGES + 1, n, n)), rng.normal(size=(GAUGES + 1, n))
    scale = _deviation(model, states) / (_spread(q) * _spread(v) + np.finfo(float).tiny)
    factor = scale * (np.arange(GAUGES + 1) > 0)  # the first is none, for comparison
    symmetric = factor[:, None, None] * (halves + np.swapaxes(halves, 1, 2))
    constant = factor[:, None] * _spread(q) * slopes
    found = record.of_sum(model, _total_derivative, (symmetric, constant))
    law = "a total derivative changes no residual"
    require_rows(
        law,
        difference_of(found[1:], found[:1]),
        size_of(found[:1]),
        SOLVED,
        "total derivative",
        "sample",
    )
    return seen_rows("gauge_law", record, found[:1])


def _total_derivative(parameters, q, v):
    symmetric, constant = parameters
    return jnp.ravel(v) @ (symmetric @ jnp.ravel(q) + constant)


def truth_law(record: LossRecord) -> Seen:
    """Of exact data no Lagrangian near the true one has a smaller loss."""
    truth, states = record.truth, record.states
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
