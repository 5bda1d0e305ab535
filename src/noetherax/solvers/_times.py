"""The times and fixed steps of a rollout, exact relative to the first time."""

import warnings
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

RESOLVED = 0.1
"""Largest rounding of a time, in units of the smallest step, at which steps still mean something."""

SLACK = 1e-2
"""Of a step, so that 0.1 = 10 × 0.01 takes ten steps, not eleven."""

MOST = 100_000_000
"""Fixed steps that are planned ahead: their times take 800 MB."""

UNRESOLVED = (
    "subtract the first time from all (in float64, before they are rounded; no Lagrangian (q, v) "
    "depends on it), or use float64."
)


class Times(NamedTuple):
    """When to step and when to save.

    - `grid`: of fixed steps, from the first to the last time.
    - `save`: times to save at.
    - `shown`: those times as the user gave them.

    The first two count from the first time, unless `absolute`.
    """

    grid: Float[Array, " steps"]
    save: Float[Array, " times"]
    shown: Float[Array, " times"]


def plan_times(ts, dt, dtype, absolute: bool) -> Times:
    """The times of a rollout in the precision `dtype` of its state.

    **Arguments:**

    - `ts`: times to save at, strictly increasing or strictly decreasing.
    - `dt`: largest step, or `None` to step from each time to the next.
    - `dtype`: of the state.
    - `absolute`: do not count from the first time, since something of the user's sees times.

    **Raises:**

    `ValueError` or `TypeError` that says what is wrong with `ts` or `dt`.
    """
    if isinstance(ts, Tracer):
        return _traced_times(ts, dt, dtype, absolute)
    given = _vector(ts)
    times = np.asarray(given, np.float64)
    if not np.all(np.isfinite(times)) or not (np.all(np.diff(times) > 0) or _falls(times)):
        raise ValueError(
            "ts must be finite and strictly increasing or, to go back in time, strictly decreasing, "
            f"but it is {times}."
        )
    step, place = np.min(np.abs(np.diff(times))), np.max(np.abs(times))
    _check_resolution(given, given.dtype, step, place)
    counted = times if absolute else times - times[0]
    if absolute:
        _check_resolution(counted, dtype, step, place)
    grid = counted if dt is None else _divided(counted, times, _largest_step(dt))
    grid = grid.astype(dtype)
    if np.any(np.diff(grid) == 0):
        raise ValueError(
            f"Steps of {step if dt is None else float(dt):.3g} over a time of "
            f"{np.max(np.abs(counted)):.6g} are below the resolution of {jnp.dtype(dtype).name}. Use "
            "float64 or a larger step."
        )
    _warn_of_labels(times, dtype, step, place)
    with jax.ensure_compile_time_eval():  # under jax.jit, too, they are known
        return Times(*(jnp.asarray(x.astype(dtype)) for x in (grid, counted, times)))


def _vector(ts) -> np.ndarray:
    """`ts` as a NumPy array, in its own precision."""
    advice = "Pass for example np.linspace(0, 10, 101)."
    try:
        array = np.asarray(ts)
    except (TypeError, ValueError):  # ragged, or of JAX tracers
        array = np.asarray(None)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(f"ts must be a vector of real numbers, but it is {ts!r}. {advice}")
    if array.ndim != 1 or array.size < 2:
        raise ValueError(
            "ts must be a vector of at least two times, the first that of the initial state, but its "
            f"shape is {array.shape}. {advice}"
        )
    return array


def _falls(times) -> bool:
    return bool(np.all(np.diff(times) < 0))


def _largest_step(dt) -> float:
    if isinstance(dt, Tracer):
        raise ValueError("dt must be known outside jax.jit: it sets the number of steps.")
    number = np.asarray(dt)
    real = jnp.issubdtype(number.dtype, jnp.floating) or jnp.issubdtype(number.dtype, jnp.integer)
    if number.ndim or not real:
        raise TypeError(
            f"dt must be a number, the largest step in units of time, but it is {dt!r}."
        )
    if not number > 0:
        raise ValueError(
            f"dt must be positive, also to go back in time, but it is {dt!r}: the largest step."
        )
    return float(number)


def _divided(counted, times, dt: float):
    """The times with equal steps of at most dt between them."""
    with np.errstate(over="ignore"):
        counts = np.maximum(1, np.ceil(np.abs(np.diff(counted)) / dt - SLACK))
        total = np.sum(counts)
    if not total <= MOST:
        raise ValueError(
            f"Steps of dt = {dt:.6g} from t = {times[0]:.6g} to {times[-1]:.6g} are {total:.4g} steps, "
            f"more than the {MOST:,} that one rollout plans ahead. Take a larger dt, or several "
            "rollouts, or let a stepsize_controller choose."
        )
    parts = [
        np.linspace(start, stop, int(count), endpoint=False)
        for start, stop, count in zip(counted[:-1], counted[1:], counts, strict=True)
    ]
    return np.concatenate([*parts, counted[-1:]])


def _check_resolution(times, dtype, step, place) -> None:
    """That times are not rounded by a good part of their steps. Whole numbers are exact."""
    if not jnp.issubdtype(dtype, jnp.floating):
        return
    rounding = _spacing(place, dtype)
    whole = rounding <= 1 and np.all(times == np.round(np.asarray(times, np.float64)))
    if rounding > RESOLVED * step and not whole:
        raise ValueError(
            f"Times near {place:.9g} are known to {rounding:.2g} only in {jnp.dtype(dtype).name}, but "
            f"the smallest step of ts is {step:.3g}: {UNRESOLVED}"
        )


def _warn_of_labels(times, dtype, step, place) -> None:
    rounding = np.max(np.abs(times.astype(dtype).astype(np.float64) - times))
    if rounding > RESOLVED / 2 * step:
        warnings.warn(
            f"The motion is solved at the exact times, but trajectory.ts shows them rounded to "
            f"{jnp.dtype(dtype).name}, by up to {rounding:.2g} near t = {place:.9g}. To see the exact "
            f"ones, {UNRESOLVED}",
            stacklevel=4,
        )


def _spacing(place, dtype) -> float:
    """Between the floats around a place."""
    return float(jnp.finfo(dtype).eps) * float(place)


def _traced_times(ts, dt, dtype, absolute: bool) -> Times:
    if jnp.ndim(ts) != 1 or jnp.shape(ts)[0] < 2:
        raise ValueError(
            f"ts must be a vector of at least two times, but its shape is {jnp.shape(ts)}."
        )
    if dt is not None:
        raise ValueError("With dt, ts must be known outside jax.jit: it sets the number of steps.")
    if not (jnp.issubdtype(ts.dtype, jnp.floating) or jnp.issubdtype(ts.dtype, jnp.integer)):
        raise TypeError(f"ts must be a vector of real numbers, but its dtype is {ts.dtype}.")
    steps = jnp.diff(ts)
    bad = ~(jnp.all(steps > 0) | jnp.all(steps < 0)) | ~jnp.all(jnp.isfinite(ts))
    if jnp.issubdtype(ts.dtype, jnp.floating):
        coarsest = max(
            float(jnp.finfo(x).eps) for x in ((dtype, ts.dtype) if absolute else (ts.dtype,))
        )
        rounding = coarsest * jnp.max(jnp.abs(ts))
        whole = (rounding <= 1) & jnp.all(ts == jnp.round(ts))
        bad = bad | ((rounding > RESOLVED * jnp.min(jnp.abs(steps))) & ~whole)
    ts = eqx.error_if(
        ts,
        bad,
        "ts must be finite, strictly increasing or strictly decreasing, and rounded by less than a "
        f"tenth of its smallest step; where it is not, {UNRESOLVED}",
    )
    counted = (ts if absolute else ts - ts[0]).astype(dtype)
    return Times(counted, counted, ts.astype(dtype))
