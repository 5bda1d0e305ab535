"""Laws of a function of the state by itself: finite derivatives, which are those of its value, in
single precision as in double.

They take any callables of (q, v), also ones that never heard of this package. No scale in them is
absolute: each is made of the function's own terms f, (∂f/∂x) x and (∂²f/∂x²) x x, axis by axis.
"""

import numpy as np

from ._differences import SHIFTS, require_derivative, step_of
from ._evidence import ROUNDING, Seen, require, require_finite, seen
from ._records import FunctionRecord

LARGEST_SINGLE = 1e-8 * float(np.finfo(np.float32).max)
"""Values above which single precision may overflow on the way to them."""


def regularity_law(record: FunctionRecord) -> Seen:
    """Value, first and second derivatives are finite, also at rest and at equal velocities."""
    _finite(record, "the drawn state", record.values.here)
    if not record.subject.rest:
        return Seen("regularity_law", record.cases.distinct, 0, "not asked for at rest")
    q, v = record.cases.q, record.cases.v
    _finite_at(record, {"rest": (q, 0 * v), "equal velocities": (q, v[:, :1] + 0 * v)})
    return Seen("regularity_law", record.cases.distinct)


def smoothness_law(record: FunctionRecord) -> Seen:
    """Value, first and second derivatives are finite at the origin and where points coincide."""
    q, v = record.cases.q, record.cases.v
    _finite_at(
        record,
        {
            "the origin": (0 * q, v),
            "rest at the origin": (0 * q, 0 * v),
            "coinciding points": (q[:, :1] + 0 * q, v),
        },
    )
    return Seen("smoothness_law", record.cases.distinct)


def _finite_at(record: FunctionRecord, places: dict) -> None:
    index = record.values.some(len(places))
    states = [np.stack(place, axis=1)[index] for place in places.values()]
    everywhere = record.values.at(np.concatenate(states), index=np.tile(index, len(places)))
    for number, (name, (q, v)) in enumerate(places.items()):
        part = slice(number * len(index), (number + 1) * len(index))
        known = {key: x[part] for key, x in everywhere.items()}
        _finite(record, name, known, record.cases._replace(q=q, v=v).subset(index))


def _finite(record: FunctionRecord, place: str, known: dict, cases=None) -> None:
    second = np.where(known["finite"], 0.0, np.nan)
    for order, array in enumerate((known["value"], known["slope"], second)):
        law = f"derivatives of order {order} are finite at {place}"
        require_finite(law, array, record.cases if cases is None else cases)


def derivatives_law(record: FunctionRecord) -> Seen:
    """First and second derivatives are those of the value: they agree with central differences, of the
    value and of the first derivatives. A custom rule may be any other function."""
    values = record.values
    index = values.some(2)
    here = {name: x[index] for name, x in values.here.items()}
    cases, direction = record.cases.subset(index), record.units.directions[index]
    step = step_of(record.batch.dtype)
    states = np.concatenate([cases.state + x * step * direction for x in SHIFTS])
    around = values.at(states.astype(record.batch.dtype), index=np.tile(index, len(SHIFTS)))
    near = [
        {name: x[i * len(index) : (i + 1) * len(index)] for name, x in around.items()}
        for i in range(len(SHIFTS))
    ]
    flat = direction.reshape(len(index), 1, -1).astype(float)
    size = np.abs(flat)
    farthest = record.sizes.state[index] + np.abs(direction).max(axis=2, keepdims=True)
    scale = values.terms(here, farthest) + np.sum(np.abs(here["along"]) * size, axis=-1)
    scale = np.maximum.reduce([scale, *(np.abs(x["value"]) for x in near)])
    first = np.sum(here["slope"] * flat, axis=-1)
    require(
        "derivatives taken forward and in reverse agree",
        here["forward"] - first,
        scale,
        ROUNDING,
        cases,
        index=("component",),
        direction=direction,
    )
    smooth = require_derivative(
        "the derivative of order 1 is that of the value, by differences",
        [x["value"] for x in near],
        first,
        scale,
        cases,
        index=("component",),
        direction=direction,
    )
    smooth = require_derivative(
        "the derivative of order 2 is that of the value, by differences",
        [x["slope"] * size for x in near],
        here["along"] * size,
        scale[..., None],
        cases,
        judged=smooth[..., None],
        index=("component", "entry"),
        direction=direction,
    )
    # Of no components at all, nothing was left out.
    judged = np.any(np.all(smooth, axis=-1), axis=1) | (smooth.shape[1] == 0)
    return seen("derivatives_law", cases, judged, "it bends too sharply for differences")


def precision_law(record: FunctionRecord) -> Seen:
    """The value in single precision is that in double precision, rounded."""
    name = "precision_law"
    known = record.values.here
    if "single" not in known:
        return Seen(name, 0, 0, f"not compared: {record.refusals[0]}")
    judged = np.all(np.abs(known["double"]) < LARGEST_SINGLE, axis=1)
    judged &= np.all(np.isfinite(known["double"]), axis=1)
    require(
        "single and double precision give the same value",
        known["single"] - known["double"],
        record.values.scale,
        ROUNDING,
        record.cases,
        judged=judged,
        precision=np.float32,
        index=("component",),
    )
    skipped = int(np.sum(~judged[: record.cases.distinct]))
    return Seen(
        name, record.cases.distinct, skipped, "too large for single precision" * bool(skipped)
    )
