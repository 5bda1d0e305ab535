"""Laws of a function of the state by itself: finite derivatives, which are those of its value, in
single precision as in double.

They take any callables of (q, v), also ones that never heard of this package. No scale in them is
absolute: each is made of the function's own terms f, (∂f/∂x) x and (∂²f/∂x²) x x, axis by axis.
"""

import numpy as np

from ._differences import SHIFTS, require_derivative, resolved, step_of
from ._evidence import ROUNDING, Seen, require, require_finite, seen
from ._records import FunctionRecord

LARGEST_SINGLE = 1e-8 * float(np.finfo(np.float32).max)
"""Values above which single precision may overflow on the way to them."""

TOO_LARGE = "too large for single precision"


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
    places = {"the origin": (0 * q, v), "coinciding points": (q[:, :1] + 0 * q, v)}
    if record.subject.rest:
        places["rest at the origin"] = 0 * q, 0 * v
    _finite_at(record, places)
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
    around = values.at(
        states.astype(record.batch.dtype),
        direction=np.tile(direction, (len(SHIFTS), 1, 1, 1)),
        index=np.tile(index, len(SHIFTS)),
    )
    near = [
        {name: x[i * len(index) : (i + 1) * len(index)] for name, x in around.items()}
        for i in range(len(SHIFTS))
    ]
    flat = direction.reshape(len(index), 1, -1).astype(float)
    size = np.abs(flat)
    along = [np.sum(x["along"] * flat, axis=-1) for x in (here, *near)]
    judged = resolved([np.sum(x["slope"] * flat, axis=-1) for x in (here, *near)], along, step)
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
        judged=judged,
        index=("component",),
        direction=direction,
    )
    if record.timed:
        _require_rates(record, index, here, scale)
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


def _require_rates(
    record: FunctionRecord, index: np.ndarray, here: dict, scale: np.ndarray
) -> None:
    """That ∂L/∂t and ∂²L/∂v∂t are those of the value and of the momentum, by differences in time."""
    cases, step = record.cases.subset(index), step_of(record.batch.dtype)
    pace = np.where(cases.t == 0, 1, cases.t).astype(float)
    drawn = record.cases.t.astype(float)
    every = np.where(drawn == 0, 1, drawn)
    near = []
    for x in SHIFTS:
        then = record.cases._replace(t=(drawn + x * step * every).astype(record.batch.dtype))
        near.append(record.values.at(cases.state, index=index, cases=then))
    v = record.units.state[index, 1].reshape(len(index), 1, -1)
    points = v.shape[-1]
    rate, of_momentum = (here[x].astype(float) for x in ("explicit", "transport"))
    law = "the derivative in time is that of {}, by differences"
    scale = np.maximum.reduce([scale, *(np.abs(x["value"]) for x in near)])
    rates, changes = (
        [(x[name] * pace**power)[:, None] for x in (here, *near)]
        for power, name in ((1, "explicit"), (2, "explicit_rate"))
    )
    judged = resolved(rates, changes, step)
    require_derivative(
        law.format("the value"),
        [x["value"] for x in near],
        (rate * pace)[:, None],
        scale,
        cases,
        judged=judged,
        t=cases.t,
    )
    require_derivative(
        law.format("the momentum"),
        [x["slope"][:, 0, points:] * v[:, 0] for x in near],
        of_momentum * pace[:, None] * v[:, 0],
        scale,
        cases,
        judged=judged,
        index=("entry",),
        t=cases.t,
    )


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
    if not np.any(judged):
        return Seen(name, 0, 0, f"not compared: {TOO_LARGE}")
    return seen(name, record.cases, judged, TOO_LARGE)
