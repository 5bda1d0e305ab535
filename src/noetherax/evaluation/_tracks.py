"""A model judged by recordings."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..charges import Energy
from ..data import Tracks
from ..dynamics import depends_on_time, forces_of
from ..forces import Kind
from ..lagrangians import takes_new_attributes
from ..losses import check_kind
from ._distances import EXPLAINED, Reference, distance_measures, errors_of, explained
from ._drifts import check_charges, drift_measures
from ._judged import judged
from ._motions import Paths, accelerations_along, along, follow, has_lagrangian
from ._record import Evaluation, Measure

NO_ACCELERATIONS = (
    "accelerations were not recorded, so what share of them is explained is not known; "
    "tracks.smooth() estimates them."
)
NO_CHARGES = "this model has no Lagrangian, and so no charges of its own."
INPUTS = "the recorded inputs were not used: no force of this model takes any."
FORCED = (
    "this model has forces or depends on time, and so its charges change: their drift is no error. "
    "noetherax.balance says what is left of it when the part of the forces is taken off."
)


@judged.register
def _(
    tracks: Tracks,
    model: Callable,
    *,
    times: int | None = None,
    charges: Any = None,
    inputs: Kind = "linear",
    threshold: float,
    rollout: dict[str, Any],
) -> Evaluation:
    if "v" not in tracks[0].arrays:
        raise ValueError(
            "These tracks have no velocities, so no motion can be started from them. tracks.smooth() "
            "estimates them from the positions: nx.evaluate(model, tracks.smooth())."
        )
    charges = {"energy": Energy} if charges is None else charges
    check_charges(charges)
    reference, a = _whole(tracks) if times is None else _cut(tracks, times)
    q0, v0 = reference.q[:, 0], reference.v[:, 0]
    under = along(model, reference, check_kind(inputs))
    paths = follow(model, q0, v0, reference.ts, rollout, under)
    errors = errors_of(np.asarray(paths.q), reference)
    measures, notes = distance_measures(errors, reference.ts, threshold), []
    if a is None:
        notes.append(NO_ACCELERATIONS)
    else:
        found = accelerations_along(model, under, reference.q, reference.v)
        share = explained(found, a, reference.known)
        measures["explained"] = Measure(share, 1.0, EXPLAINED)
    if charges and has_lagrangian(model, q0[0], v0[0], under):
        recorded = Paths(jnp.asarray(reference.q), jnp.asarray(reference.v), None)
        for motion, title in ((recorded, "recorded drift"), (paths, "model drift")):
            measures |= drift_measures(charges, model, motion, reference, title, under)
        # Attributes of points come as inputs, and stay as they are.
        if forces_of(model) or (depends_on_time(model) and not takes_new_attributes(model)):
            notes.append(FORCED)
    elif charges:
        notes.append(NO_CHARGES)
    if reference.u is not None and under.u is None:
        notes.append(INPUTS)
    part = "" if times is None else f" in windows of {times} samples"
    subject = f"{len(tracks)} recording{'s' * (len(tracks) > 1)}{part}"
    failed = int(np.sum(np.any(np.isinf(errors), axis=1)))
    return Evaluation(subject, measures, reference.ts, errors, failed, tuple(notes))


def _whole(tracks: Tracks) -> tuple[Reference, np.ndarray | None]:
    """All recordings from their start. Shorter ones are filled up: times go on, states stay."""
    longest = max(map(len, tracks))

    def filled(array):
        return np.concatenate([array, np.repeat(array[-1:], longest - len(array), axis=0)])

    def times(t):
        more = np.arange(1, longest - len(t) + 1) * (t[-1] - t[-2])
        return np.concatenate([t - t[0], t[-1] - t[0] + more])

    arrays = {
        name: np.stack([filled(recording.arrays[name]) for recording in tracks])
        for name in tracks[0].arrays
        if name in "qvau"
    }
    known = np.arange(longest) < np.array([len(recording) for recording in tracks])[:, None]
    ts = _alike(np.stack([times(recording.t) for recording in tracks]), tracks.interval)
    start = np.array([recording.t[0] for recording in tracks])
    states = arrays["q"], arrays["v"], known, tracks.periods
    return Reference(ts, *states, start, arrays.get("u")), arrays.get("a")


def _cut(tracks: Tracks, times: int) -> tuple[Reference, np.ndarray | None]:
    """Windows of so many samples, one after the other."""
    members = tracks.windows(times, stride=times, timed=True)._asdict()
    a = members["a"]
    q, v = (np.asarray(members[name], np.float64) for name in "qv")
    t, start = (np.asarray(members[name], np.float64) for name in ("t", "start"))
    u = None if members["u"] is None else np.asarray(members["u"], np.float64)
    reference = Reference(t, q, v, np.ones(q.shape[:2], bool), tracks.periods, start, u)
    return reference, None if a is None else np.asarray(a, np.float64)


def _alike(ts: np.ndarray, interval: float | None) -> np.ndarray:
    """The same times for all where samples lie at one interval, up to rounding."""
    return ts if interval is None else np.tile(interval * np.arange(ts.shape[1]), (len(ts), 1))
