"""A model judged by the truth."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_count, check_number
from ..charges import Energy
from ..systems import Orbits, System, motion
from ._distances import (
    EXPLAINED,
    Reference,
    apart,
    distance_measures,
    errors_of,
    explained,
    largest,
    no_periods,
    scales,
    sizes,
)
from ._drifts import Charges, check_charges, drift_measures
from ._judged import judged
from ._motions import Paths, accelerations, follow, has_lagrangian, precision_of, slope_errors
from ._record import Evaluation, Measure
from ._tracks import NO_CHARGES

STATES = 64
"""On the true motion where laws are compared."""

MOVE = 2.0
"""Largest coefficient of a generator, an angle for rotations; shifts are that many sizes of the motion."""

NOT_MOVED = "the system's group has no generators, so that there is no motion to move by it."
NO_ORBITS = "with orbits=0 no motion was judged but that from the initial state."


@judged.register
def _(
    system: System,
    model: Callable,
    *,
    ts: Any = None,
    orbits: int = 8,
    twin: float = 1e-3,
    charges: Charges | None = None,
    key: PRNGKeyArray | None = None,
    threshold: float,
    rollout: dict[str, Any],
) -> Evaluation:
    times = _check_times(ts)
    orbits, twin = check_count("orbits", orbits, 0), check_number("twin", twin)
    group, law = system.group, system.lagrangian
    if charges is None:
        charges = {"charge": group.noether_charge} if group.dimension else {}
        charges |= {"energy": Energy}
    check_charges(charges)
    keys = jax.random.split(jax.random.key(0) if key is None else key, 3)

    dtype = precision_of(model)
    kinds = {"": 1, ", unseen": orbits, ", moved": orbits if group.dimension else 0}
    starts = _starts(system, times, kinds, keys, dtype)
    reference = _true(system, starts, times)
    twins = _beside(reference, twin, keys[2], dtype)
    true_twins = _true(system, twins, times)
    paths = follow(model, *starts, reference.ts, rollout)
    beside = follow(model, *twins, reference.ts, rollout)

    errors = errors_of(np.asarray(paths.q), reference)
    # The model's twins separate from the model's own motion, the true ones from the true one.
    separations = [
        largest(apart(a, b, reference.periods))
        for a, b in ((paths.q, beside.q), (reference.q, true_twins.q))
    ]
    ratios = separations[0] / separations[1]
    measures: dict[str, Measure] = {}
    first = 0
    for kind, count in kinds.items():
        part, first = slice(first, first + count), first + count
        if count:
            measures |= distance_measures(errors[part], reference.ts[part], threshold, kind)
            measures[f"twin ratio{kind}"] = Measure(ratios[part], 1.0, "true separation")
    measures |= _law_measures(model, law, reference)

    # True momenta along the model's motion, whatever momenta the model itself has.
    plain = Paths(paths.q, paths.v, None)
    watched = charges, reference.ts, reference.known
    measures |= _drifts(law, plain, *watched, "true drift")
    notes = [] if orbits else [NO_ORBITS]
    notes += [] if group.dimension or not orbits else [NOT_MOVED]
    if has_lagrangian(model, *(x[0] for x in starts)):
        measures |= _drifts(model, paths, *watched, "model drift")
    elif charges:
        notes.append(NO_CHARGES)
    followed = np.concatenate([errors, apart(beside.q, beside.q, reference.periods)], axis=1)
    failed = int(np.sum(np.any(np.isinf(followed), axis=1)))
    subject = f"{type(system).__name__}, to t = {times[-1]:.6g}"
    return Evaluation(subject, measures, reference.ts, errors, failed, tuple(notes))


def _drifts(law, paths, charges, ts, known, title):
    return drift_measures(charges, law, paths, ts, known, title)


def _law_measures(model: Callable, law: Callable, reference: Reference) -> dict[str, Measure]:
    """The law along the true motion from the initial state: accelerations and their derivatives."""
    count = reference.ts.shape[1]
    index = np.unique(np.linspace(0, count - 1, min(STATES, count)).round().astype(int))
    q, v = reference.q[0, index], reference.v[0, index]
    with jax.enable_x64(True):
        a = accelerations(law, q, v)
    share = explained(accelerations(model, q, v)[None], a[None], np.ones((1, len(index)), bool))
    units = tuple(
        float(sizes(x[:1], reference.known[:1], reference.periods)[0]) or 1.0
        for x in (reference.q, reference.v)
    )
    found = {"explained": Measure(share, 1.0, EXPLAINED)}
    for name, error in slope_errors(model, law, q, v, units).items():
        found[f"error of {name}"] = Measure(np.array([error]), 0.0, "true da/d(q, v)")
    return found


def _check_times(ts: Any) -> np.ndarray:
    advice = "Pass for example ts=np.linspace(0, 10, 101)."
    if ts is None:
        raise ValueError(
            f"A system is known at all times, so ts says how far to follow it. {advice}"
        )
    times = np.asarray(ts)
    if times.dtype.kind not in "iuf" or times.ndim != 1 or len(times) < 2:
        raise ValueError(f"ts must be a vector of at least two times, but it is {ts!r}. {advice}")
    times = times.astype(np.float64)
    if times[0] != 0 or not np.all(np.diff(times) > 0) or not np.all(np.isfinite(times)):
        raise ValueError(f"ts must be finite and increase from 0 on, but it is {ts!r}. {advice}")
    return times


def _starts(system, times, kinds: dict[str, int], keys, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Initial states: the system's own, random ones, and its own as moved by the group."""
    found = [tuple(np.asarray(x)[None] for x in Orbits(system).initial_states())]
    if kinds[", unseen"]:
        found.append(Orbits(system, kinds[", unseen"], key=keys[0]).initial_states())
    if kinds[", moved"]:
        q, v = (jnp.asarray(x[0], dtype) for x in found[0])
        units = jnp.asarray(_coefficients(system, found[0], q, times), dtype)
        drawn = jax.random.uniform(keys[1], (kinds[", moved"], len(units)), dtype, -1.0, 1.0)
        found.append(jax.vmap(lambda c: system.group.act(c, q, v))(units * drawn))
    q, v = (
        np.concatenate([np.asarray(x, dtype) for x in part]) for part in zip(*found, strict=True)
    )
    return q, v


def _coefficients(system, start, q, times) -> np.ndarray:
    """How far to go along each generator, so that motions in any unit are moved visibly."""
    group = system.group
    shift = np.asarray(group.generators(q), float).reshape(group.dimension, -1)
    slope = np.asarray(jax.jacfwd(group.generators)(q), float).reshape(group.dimension, -1)
    steep, far = np.abs(slope).max(axis=1), np.abs(shift).max(axis=1)
    turns = MOVE / np.where(steep > 0, steep, 1)
    if np.all(steep > 0):
        return turns
    size = float(scales(_true(system, start, times))[0])
    return np.where(steep > 0, turns, MOVE * size / np.where(far > 0, far, 1))


def _true(system, starts, times: np.ndarray) -> Reference:
    """The true motions from these very states, in float64."""
    with jax.enable_x64(True):
        q0, v0 = (np.asarray(x, np.float64) for x in starts)
        q, v = (np.asarray(x) for x in motion(system, q0, v0, times))
    ts = np.tile(times, (len(q), 1))
    return Reference(ts, q, v, np.ones(ts.shape, bool), no_periods(q.shape[2:]))


def _beside(reference: Reference, twin: float, key, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Initial states that are a small part of their motion's size away."""
    states = []
    for x, k in zip((reference.q, reference.v), jax.random.split(key), strict=True):
        size = sizes(x, reference.known, reference.periods)[:, None, None]
        size = np.where(size > 0, size, np.max(size))
        nudge = np.asarray(jax.random.normal(k, x[:, 0].shape, dtype), float)
        states.append((x[:, 0] + twin * size * nudge).astype(dtype))
    return states[0], states[1]
