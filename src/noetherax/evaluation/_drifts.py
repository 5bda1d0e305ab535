"""How well charges are kept along many motions."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from .._drift import charge_along, parts_along, warn_of_small
from .._programs import run
from .._trajectory import Trajectory
from ..data import resolved
from ._distances import Reference, largest
from ._motions import Along, Paths, over_motions, precision_of
from ._record import Measure

NEGLIGIBLE = 1e-2
"""A charge smaller than this part of the terms that it adds up has cancelled, and its own size says
little: such as the angular momentum of an orbit that nearly hits the centre."""

SCALE = "charge at the start"
TERMS = "charge at the start, or where that is nothing, of its terms"

Charges = Mapping[str, Callable]
"""Functions from a Lagrangian to a charge of it, by name."""


def check_charges(charges: Any) -> None:
    if not isinstance(charges, Mapping) or not all(map(callable, charges.values())):
        raise TypeError(
            "charges must be a dictionary of functions from a Lagrangian to a charge of it, such as "
            f"{{'L': nx.Rotations(3).noether_charge, 'E': nx.Energy}}, but it is {charges!r:.200}."
        )


def drift_measures(
    charges: Charges,
    law: Callable,
    paths: Paths,
    reference: Reference,
    title: str,
    under: Along = Along(),
) -> dict[str, Measure]:
    """The largest drift of each charge of a law along motions, infinite for one that failed. A charge
    is given the time that the clock of its recording shows, as the law is; where the precision cannot
    tell such times apart, the time since the start."""
    dtype, known = precision_of(law), reference.known
    origins = _origins(reference, dtype)
    states = tuple(None if x is None else jnp.asarray(x, dtype) for x in paths)
    if under.start is None:
        times = jnp.asarray(origins[:, None] + reference.ts, dtype)
        made = [charge(law) for charge in charges.values()]
        _warn_of_clocks(dict(zip(charges, made, strict=True)), states, origins, reference, dtype)
        measured = run(_changes, made, *states, times, known)
    else:
        times, origins = (jnp.asarray(x, dtype) for x in (reference.ts, origins))
        given = tuple(charges.values()), law, under
        measured = run(_changes_under, *given, *states, times, known, origins)
    found = {}
    for name, (*pair, nothing) in zip(charges, measured, strict=True):
        changes, scale = (np.asarray(x, float) for x in pair)
        warn_of_small(scale, dtype, f"Charge {name!r}", stacklevel=4)
        with np.errstate(all="ignore"):
            series = np.where(changes == 0, 0.0, changes / scale[:, None])
        unknown = (scale == 0) & np.any(known & (changes > 0), axis=1)
        if np.any(unknown):
            raise ValueError(
                f"Charge {name!r} is zero at the start of {np.sum(unknown)} of {len(scale)} motions, "
                "and what terms it adds up is not known, so that there is nothing to measure its "
                "drift in. Add a constant of its typical size to it, or leave it out."
            )
        series = np.where(np.isfinite(series), series, np.inf)
        values = largest(np.where(known, series, np.nan))
        found[f"{title} of {name}"] = Measure(values, 0.0, TERMS if np.any(nothing) else SCALE)
    return found


def _changes(charges, *paths):
    """Of each charge ‖I(t) − I(0)‖ over its components, `(motions, times)`, what to measure it in, and
    whether that is the size of its terms."""
    return [jax.vmap(functools.partial(_change, charge))(*paths) for charge in charges]


def _changes_under(charges, law, under, *paths):
    """The same of a law that is another one for every motion."""

    def change(charge, one, q, v, p, ts, known, origin):
        own, times = one._replace(ts=ts).counted_from(origin, law)
        return _change(charge(own), q, v, p, times, known)

    return [over_motions(functools.partial(change, charge), under, *paths) for charge in charges]


def _warn_of_clocks(made: dict[str, Callable], states, origins, reference, dtype) -> None:
    """Says which charges of a law without explicit time are given another time than the clock's. Of a
    law with it, `along` has said that times are rounded."""
    starts = np.zeros_like(origins) if reference.start is None else reference.start
    late = np.flatnonzero(origins != starts)
    if not len(late):
        return
    start = starts[late]
    state = [x[late, 0] for x in states[:2]]
    at = (jnp.asarray(x, dtype) for x in (start, 0 * start))
    then, now = (run(_values, list(made.values()), *state, t) for t in at)
    told = [
        name
        for name, *pair in zip(made, then, now, strict=True)
        if not np.array_equal(*pair, equal_nan=True)
    ]
    if told:
        warnings.warn(
            f"{jnp.dtype(dtype).name} cannot tell apart times near {start[0]:.9g}, so that "
            f"{', '.join(map(repr, told))} is given the time since the start of {len(late)} of "
            f"{len(starts)} motions, not that of the clock. Count times from a near one, or use a "
            "model in float64.",
            stacklevel=4,
        )


def _values(made: list[Callable], q, v, t):
    return [jax.vmap(charge)(q, v, t) for charge in made]


def _origins(reference: Reference, dtype) -> np.ndarray:
    """What the clock of every recording shows at its start; zero if a precision cannot tell the times
    after it apart, as of Julian dates in float32."""
    if reference.start is None:
        return np.zeros(len(reference.ts))

    def told(start, ts) -> bool:
        return resolved(start + ts, np.diff(ts), dtype)

    pairs = zip(reference.start, reference.ts, strict=True)
    return np.array([start if told(start, ts) else 0.0 for start, ts in pairs])


def _change(charge, q, v, p, ts, known):
    path = Trajectory(ts, q, v, p, {}, diffrax.RESULTS.successful)
    values = charge_along(charge, path)
    values = values.reshape(len(values), -1)
    if not values.shape[1]:
        raise ValueError(
            "There is no charge to measure: the group has no generators. Leave it out of charges."
        )
    start, nothing = _length(values[0]), jnp.array(False)
    parts = parts_along(charge, path)
    if parts is not None:
        # Beyond its end a recording stays where it is, and a model goes on.
        parts = jnp.where(known.reshape(-1, *(1,) * (parts.ndim - 1)), parts, jnp.nan)
        size = _length(jnp.nanmedian(parts, axis=0))
        nothing = start <= NEGLIGIBLE * size
        start = jnp.where(nothing, size, start)
    return _length(values - values[0]), start, nothing


def _length(x):
    """‖x‖₂ over the last axis. Squares of charges overflow in float32 where charges do not."""
    size = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    unit = jnp.where(size > 0, size, 1)
    return jnp.linalg.norm(x / unit, axis=-1) * unit[..., 0]
