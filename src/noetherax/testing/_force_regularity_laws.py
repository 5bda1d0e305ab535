"""Laws of any force: finite first derivatives, which are those of its value and do not jump at rest, in
single precision as in double."""

from typing import Any

import numpy as np

from ._differences import SHIFTS, central, require_derivative, resolved, step_of
from ._evidence import DIFFERENCES, ROUNDING, Seen, Tolerance, require, require_finite, seen
from ._force_laws import BEYOND_NUMBERS
from ._force_programs import weights_of
from ._force_records import ForceRecord
from ._force_rounding import moderate, settle
from ._force_states import usual_speed
from ._regularity_laws import LARGEST_SINGLE, TOO_LARGE

AT_REST = 1e-12
"""A speed, in units of the usual one, at which a smooth force is as at rest."""

SMOOTH = Tolerance(
    1e-2, "a force that changes more between rest and 1e-12 of the usual speed jumps there", 0.0
)


def force_regularity_law(record: ForceRecord) -> Seen:
    """Force and first derivatives are finite, also at rest and at equal velocities; and at the origin
    and where points coincide, unless the states are the user's own."""
    cases = record.cases
    _finite(record, "the drawn state", cases.q, cases.v)
    if record.subject.rest:
        _finite(record, "rest", cases.q, 0 * cases.v)
        _finite(record, "equal velocities", cases.q, cases.v[:, :1] + 0 * cases.v)
    if record.subject.state_strategy is None:
        _finite(record, "the origin", 0 * cases.q, cases.v)
        if record.subject.rest:
            _finite(record, "rest at the origin", 0 * cases.q, 0 * cases.v)
        _finite(record, "coinciding points", cases.q[:, :1] + 0 * cases.q, cases.v)
    return seen("force_regularity_law", cases, record.usable, BEYOND_NUMBERS)


def _finite(record: ForceRecord, place: str, q: np.ndarray, v: np.ndarray) -> None:
    known = record.function.values.at(np.stack([q, v], axis=1))
    cases = record.cases._replace(q=q, v=v)
    for order, part in enumerate(("value", "slope")):
        law = f"derivatives of order {order} are finite at {place}"
        require_finite(law, known[part], cases, record.usable)


def smooth_at_rest_law(record: ForceRecord) -> Seen:
    """The force and its first derivatives at rest are the limits of those at ever smaller velocities:
    they neither jump there nor grow without bound, whatever stands at rest itself."""
    cases, values = record.cases, record.function.values
    if not record.subject.rest:
        return Seen("smooth_at_rest_law", cases.distinct, 0, "not asked for at rest")
    v = record.function.units.directions[:, 1].astype(float)
    v = v / np.abs(v).max(axis=(1, 2), keepdims=True) * usual_speed(cases)
    rest, slow, usual = (
        values.at(np.stack([cases.q, (factor * v).astype(cases.q.dtype)], axis=1))
        for factor in (0.0, AT_REST, 1.0)
    )
    judged = record.usable & moderate(rest) & moderate(usual)
    unit = np.stack([record.function.units.state[:, 0], np.abs(v)], axis=1)
    unit = unit.reshape(len(unit), 1, -1)
    largest: Any = 0.0
    for what, known in (
        ("its first derivative", [x["slope"] * unit for x in (rest, slow, usual)]),
        ("the force", [x["value"][..., None] for x in (rest, slow, usual)]),
    ):
        known = [np.where(judged[:, None, None], x, 0).astype(float) for x in known]
        of_forces = [x.reshape(len(judged), -1, cases.q[0].size * x.shape[-1]) for x in known]
        # A force that fades with speed is large at rest.
        largest = np.fmax(largest, np.abs(of_forces).max(axis=(0, 3)))
        require(
            f"{what} at rest is its limit at small velocities",
            np.abs(of_forces[1] - of_forces[0]).max(axis=2),
            largest,
            SMOOTH,
            cases._replace(v=0 * cases.v),
            judged=judged,
            index=("force",),
            direction=v,
            **record.evidence,
        )
    return seen("smooth_at_rest_law", cases, judged, BEYOND_NUMBERS)


def force_derivatives_law(record: ForceRecord) -> Seen:
    """The first derivatives of the force are those of its value: taken forward and in reverse they
    agree, and with central differences."""
    values, direction = record.function.values, record.function.units.directions
    cases, here = record.cases, values.here
    step = step_of(cases.q.dtype)
    near = [
        values.at((cases.state + x * step * direction).astype(cases.q.dtype), direction=direction)
        for x in SHIFTS
    ]
    judged = record.usable & np.all([moderate(x) for x in (here, *near)], axis=0)
    judged &= ~record.everywhere.faded_when_drawn
    judged &= np.all(np.isfinite(here["slope"]), axis=(1, 2))

    def known(x: np.ndarray) -> np.ndarray:
        return np.where(judged.reshape(-1, *[1] * (x.ndim - 1)), x, 0).astype(float)

    flat = direction.reshape(len(direction), 1, -1).astype(float)
    slope = known(here["slope"])
    terms = np.sum(np.abs(slope * flat) + np.abs(known(here["along"]) * flat), axis=-1)
    around = [known(x["value"]) for x in near]
    terms = np.maximum.reduce([terms, *map(np.abs, around)])
    first = np.sum(slope * flat, axis=-1)
    slopes, bends = (
        [np.sum(known(x[name]) * flat, axis=-1) for x in (here, *near)]
        for name in ("slope", "along")
    )
    seen_by = record.of_forces(resolved(slopes, bends, step))
    shape = {"index": ("force", "point", "axis"), "direction": direction} | record.evidence

    def everywhere(x: np.ndarray) -> np.ndarray:
        """The largest of a force's entries: which of them show it is chance."""
        found = record.of_forces(x)
        found = np.broadcast_to(found.max(axis=(2, 3), keepdims=True), found.shape)
        return found.reshape(len(found), -1)

    def noise() -> np.ndarray:
        found = record.noise_of("slope", cases.q.dtype)
        return everywhere(np.sum(found * np.abs(flat), axis=-1))

    smooth = np.zeros(0)

    def differences(scale: np.ndarray) -> None:
        nonlocal smooth
        # Friction may bend so sharply that the doubt of differences is but half of their error; and
        # where several rates pass zero, it cancels in one entry or another.
        doubt = everywhere(central(around, step)[1] / DIFFERENCES.of(cases.q.dtype))
        smooth = require_derivative(
            "the derivative of order 1 is that of the force, by differences",
            [record.of_forces(x) for x in around],
            record.of_forces(first),
            record.of_forces(scale + doubt),
            cases,
            judged=judged[:, None, None, None] & seen_by,
            **shape,
        )

    settle(
        differences,
        lambda: np.fmax(values.scale, terms),
        lambda: np.fmax(record.scale, terms) + noise(),
    )

    def agree(scales: tuple) -> None:
        scale, noise = scales
        weights = weights_of(scale.shape[1])
        error = known(here["reverse"]) - np.einsum("nmi,m->ni", slope, weights)
        rounded = np.einsum("nm,m->n", scale, np.abs(weights))[:, None, None, None]
        require(
            "derivatives taken forward and in reverse agree",
            (error * np.abs(flat[:, 0])).reshape(cases.state.shape),
            rounded + noise * np.abs(direction),
            ROUNDING,
            cases,
            judged=judged,
            index=("part", "point", "axis"),
            **record.evidence,
        )

    def of_reverse() -> np.ndarray:
        found = record.noise_of("reverse", cases.q.dtype)
        return found.max(axis=1)[:, None, None, None]

    settle(
        agree,
        lambda: (np.fmax(values.scale, terms), 0.0),
        lambda: (np.fmax(record.scale, terms) + noise(), of_reverse()),
    )
    reason = "it bends too sharply for differences, or is beyond numbers"
    return seen("force_derivatives_law", cases, np.any(smooth, axis=(1, 2, 3)), reason)


def force_precision_law(record: ForceRecord) -> Seen:
    """The force in single precision is that in double precision, rounded."""
    name, cases, here = "force_precision_law", record.cases, record.function.values.here
    if "single" not in here:
        return Seen(name, 0, 0, f"not compared: {record.function.refusals[0]}")
    judged = record.usable & np.all(np.abs(here["double"]) < LARGEST_SINGLE, axis=1)
    # What a force is made of may be too large as well, beside a velocity that is zero.
    judged &= np.all(record.function.values.scale < LARGEST_SINGLE, axis=1)
    single, double = (np.where(judged[:, None], here[x], 0) for x in ("single", "double"))

    def noise() -> np.ndarray:
        return record.noise_of("single", np.float32)

    def check(scale: np.ndarray) -> None:
        require(
            "single and double precision give the same force",
            record.of_forces(single - double),
            record.of_forces(scale),
            ROUNDING,
            cases,
            judged=judged,
            precision=np.float32,
            index=("force", "point", "axis"),
            **record.evidence,
        )

    if not np.any(judged):
        return Seen(name, 0, 0, f"not compared: {TOO_LARGE}")
    settle(check, lambda: record.function.values.scale, lambda: record.scale + noise())
    return seen(name, cases, judged, TOO_LARGE)
