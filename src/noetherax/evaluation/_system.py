"""A model judged by the truth."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_count, check_number
from ..charges import Energy
from ..dynamics import depends_on_time, forces_of
from ..groups import periods
from ..systems import Orbits, System, motion
from ._distances import (
    EXPLAINED,
    Reference,
    apart,
    distance_measures,
    errors_of,
    explained,
    largest,
    scales,
    sizes,
)
from ._drifts import check_charges, drift_measures
from ._judged import judged
from ._motions import (
    Paths,
    along,
    follow,
    has_lagrangian,
    law_at,
    precision_of,
    slope_errors,
)
from ._record import Evaluation, Measure
from ._tracks import FORCED, NO_CHARGES

STATES = 64
"""On the true motion where laws are compared."""

MOVE = 2.0
"""Largest coefficient of a generator: an angle of rotations; of shifts, in sizes of the motion."""

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
    charges: Any = None,
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
    count = len(reference.ts)
    q0, v0 = (np.concatenate(pair) for pair in zip(starts, twins, strict=True))
    under, under_law = (along(x, reference, "linear") for x in (model, law))
    tiled = reference._replace(ts=np.tile(times, (2 * count, 1)), start=np.zeros(2 * count))
    both = follow(model, q0, v0, tiled.ts, rollout, along(model, tiled, "linear"))
    p = None if both.p is None else both.p[:count]
    paths = Paths(both.q[:count], both.v[:count], p)
    ours, ours_beside = np.split(np.asarray(both.q), 2)
    errors = errors_of(ours, reference)
    separation = largest(apart(ours, ours_beside, reference.periods))
    ratios = separation / largest(apart(reference.q, true_twins.q, reference.periods))
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
    measures |= drift_measures(charges, law, plain, reference, "true drift", under_law)
    notes = [] if orbits else [NO_ORBITS]
    notes += [] if group.dimension or not orbits else [NOT_MOVED]
    if has_lagrangian(model, starts[0][0], starts[1][0], under):
        measures |= drift_measures(charges, model, paths, reference, "model drift", under)
    elif charges:
        notes.append(NO_CHARGES)
    if charges and any(forces_of(x) or depends_on_time(x) for x in (model, law)):
        notes.append(FORCED)
    failed = int(np.sum(~np.all(np.isfinite(ours + ours_beside), axis=(1, 2, 3))))
    subject = f"{type(system).__name__}, to t = {times[-1]:.6g}"
    return Evaluation(subject, measures, reference.ts, errors, failed, tuple(notes))


def _law_measures(model: Callable, law: Callable, reference: Reference) -> dict[str, Measure]:
    """The law along the true motion from the initial state: accelerations and their derivatives."""
    count = reference.ts.shape[1]
    index = np.unique(np.linspace(0, count - 1, min(STATES, count)).round().astype(int))
    q, v = reference.q[0, index], reference.v[0, index]
    t = reference.ts[0, index]
    ours = law_at(model, q, v, precision_of(model), t)
    with jax.enable_x64(True):
        true = law_at(law, q, v, np.float64, t)
    share = explained(ours.a[None], true.a[None], np.ones((1, len(index)), bool))
    # Of the first motion; one that does not move has no unit of its own.
    of_q, of_v = (float(size[0]) or 1.0 for size in sizes(reference))
    found = {"explained": Measure(share, 1.0, EXPLAINED)}
    for name, error in slope_errors(ours, true, (of_q, of_v)).items():
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
    q, v = Orbits(system).initial_states()
    found = [(q[None], v[None])]
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
    turns = np.broadcast_to(periods(system.group), q.shape[2:])
    return Reference(ts, q, v, np.ones(ts.shape, bool), turns, np.zeros(len(q)))


def _beside(reference: Reference, twin: float, key, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Initial states that are a small part of their motion's size away."""
    states = []
    parts = zip((reference.q, reference.v), sizes(reference), jax.random.split(key), strict=True)
    for x, size, k in parts:
        size = np.where(size > 0, size, np.max(size))[:, None, None]
        nudge = np.asarray(jax.random.normal(k, x[:, 0].shape, dtype), float)
        states.append((x[:, 0] + twin * size * nudge).astype(dtype))
    return states[0], states[1]
