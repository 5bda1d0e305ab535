"""Laws of functions of a state: invariant features, and Lagrangians as far as they are functions.

They take any callables of (q, v), also ones that never heard of this package. No scale in them is
absolute: each is made of the function's own terms f, (∂f/∂x) x and (∂²f/∂x²) x x, axis by axis.
"""

import numpy as np

from ..groups import component_representatives
from ._evidence import DIFFERENCES, ROUNDING, Seen, require, require_finite, seen

DEPENDENT = 1e-5
"""Singular values of the features' unit Jacobian below which they are dependent: a model would have to
blow up what is left by the inverse."""

USUAL = 3.0
"""Factor by which the size of a state may differ from the median, where features are counted."""

RESOLVED = 100.0
"""Times the square of a step: difference between central differences of second and fourth order, in
units of the function's scale, beyond which it bends too sharply: within a tenth of the state."""


def regularity_law(record) -> Seen:
    """Value, first and second derivatives are finite, also at rest and at equal velocities."""
    _finite(record, "the drawn state", record.base)
    if not record.subject.rest:
        return Seen("regularity_law", record.cases.distinct, 0, "not asked for at rest")
    q, v = record.cases.q, record.cases.v
    _finite_at(record, {"rest": (q, 0 * v), "equal velocities": (q, v[:, :1] + 0 * v)})
    return Seen("regularity_law", record.cases.distinct)


def smoothness_law(record) -> Seen:
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


def _finite_at(record, places: dict) -> None:
    index = record.some(len(places))
    states = [np.stack(place, axis=1)[index] for place in places.values()]
    everywhere = record.at(np.concatenate(states), index=np.tile(index, len(places)))
    for number, (name, (q, v)) in enumerate(places.items()):
        part = slice(number * len(index), (number + 1) * len(index))
        known = {key: x[part] for key, x in everywhere.items()}
        _finite(record, name, known, record.cases._replace(q=q, v=v).subset(index))


def _finite(record, place: str, known: dict, cases=None) -> None:
    second = np.where(known["finite"], 0.0, np.nan)
    for order, array in enumerate((known["value"], known["slope"], second)):
        law = f"derivatives of order {order} are finite at {place}"
        require_finite(law, array, record.cases if cases is None else cases)


def invariance_law(record) -> Seen:
    """f(h·q, h_* v) = f(q, v) for group elements h, small and large, at any time."""
    cases = record.cases
    _unchanged(record, "a group element", record.moved, record.moved_size, cases.coefficients)
    return Seen("invariance_law", cases.distinct)


def component_law(record) -> Seen:
    """f is unchanged by the group's further components, such as reflections, also after an element."""
    cases = record.cases
    components = component_representatives(record.group).astype(cases.q.dtype)
    for component in components:
        evidence = np.broadcast_to(component, (record.count, *component.shape))
        for state, size in (
            (cases.state, record.size),
            (record.base_moves["moved"], record.moved_size),
        ):
            size = np.maximum(size, size @ np.abs(component).T)
            moved = record.at(state @ component.T, size)
            _unchanged(record, "a component of the group", moved, size, evidence)
    return Seen("component_law", cases.distinct if len(components) else 0)


def _unchanged(record, what: str, moved: dict, size, element) -> None:
    before, after = record.base["value"], moved["value"]
    # Rounding of the transformed state, carried to the value.
    scale = np.maximum(_full_scale(record), _scale(record, moved, size))
    law = f"{what} leaves the value unchanged"
    evidence = {"element": element}
    require(law, after - before, scale, ROUNDING, record.cases, index=("component",), **evidence)


def lie_derivative_law(record) -> Seen:
    """The derivative along every generator vanishes."""
    cases = record.cases
    fields, reach = fields_and_reach(record)
    change = np.einsum("nmi,nai->nam", record.base["slope"], fields)
    scale = np.zeros_like(change)
    for known in (record.base, record.filled):
        slope, bend = (np.nan_to_num(known[x]) for x in ("slope", "bend"))
        terms = np.einsum("nmi,nai->nam", np.abs(slope) + bend, np.abs(fields))
        terms = terms + np.einsum("nmi,nai->nam", np.abs(slope), reach)
        scale = np.maximum(scale, terms)
    require(
        "the Lie derivative along every generator vanishes",
        change,
        scale,
        ROUNDING,
        cases,
        index=("generator", "component"),
        fields=record.base_moves["fields"][:, :, 0],
    )
    return Seen("lie_derivative_law", cases.distinct)


def fields_and_reach(record) -> tuple[np.ndarray, np.ndarray]:
    """Lifted generators (δq, δv), flattened, and what they are sums of: |∂ξ/∂q| times |q − c|, |v|."""
    known = record.base_moves
    shape = record.count, record.group.dimension, record.cases.state[0].size
    fields = known["fields"].astype(float).reshape(shape)
    size = np.broadcast_to(record.size, record.cases.state.shape)
    reach = np.einsum("napibj,nxbj->naxpi", np.abs(known["slopes"]), size)
    return fields, reach.reshape(shape)


def derivatives_law(record) -> Seen:
    """First and second derivatives are those of the value: they agree with central differences, of the
    value and of the first derivatives. A custom rule may be any other function."""
    index = record.some(2)
    base = {name: x[index] for name, x in record.base.items()}
    cases, direction = record.cases.subset(index), record.direction[index]
    step = float(np.finfo(record.dtype).eps) ** 0.2
    shifts = (-2, -1, 1, 2)
    states = np.concatenate([cases.state + x * step * direction for x in shifts])
    around = record.at(states.astype(record.dtype), index=np.tile(index, len(shifts)))
    near = [
        {name: x[i * len(index) : (i + 1) * len(index)] for name, x in around.items()}
        for i in range(len(shifts))
    ]
    flat = direction.reshape(len(index), 1, -1).astype(float)
    size = np.abs(flat)
    scale = _scale(record, base, record.size[index] + np.abs(direction).max(axis=2, keepdims=True))
    scale = scale + np.sum(np.abs(base["along"]) * size, axis=-1)
    scale = np.maximum.reduce([scale, *(np.abs(x["value"]) for x in near)])
    first = np.sum(base["slope"] * flat, axis=-1)
    require(
        "derivatives taken forward and in reverse agree",
        base["forward"] - first,
        scale,
        ROUNDING,
        cases,
        index=("component",),
        direction=direction,
    )
    smooth = np.ones(scale.shape, bool)
    for order, name, derivative, weight, total in (
        (1, "value", first, 1.0, scale),
        (2, "slope", base["along"], size, scale[..., None]),
    ):
        values = [x[name].astype(float) * weight for x in near]
        differences, rough = central(values, step)
        share = np.divide(
            np.abs(differences - rough), total, where=total > 0, out=np.zeros_like(rough)
        )
        judged = share < RESOLVED * step**2
        if order == 2:
            judged = judged & smooth[..., None]
            smooth = judged.all(axis=-1)
        else:
            smooth = judged
        require(
            f"the derivative of order {order} is that of the value, by differences",
            np.where(judged, differences - derivative * weight, 0),
            total + np.abs(differences - rough) / DIFFERENCES.of(record.dtype),
            DIFFERENCES,
            cases,
            index=("component", "entry")[:order],
            direction=direction,
        )
    reason = "it bends too sharply for differences"
    return seen("derivatives_law", cases, smooth.any(axis=1), reason)


def central(values: list, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of fourth and of second order of values at −2, −1, 1 and 2 steps. The second
    order is far enough from the fourth to bound its error, even across a bend."""
    outer, inner = (values[3] - values[0]) / (4 * step), (values[2] - values[1]) / (2 * step)
    return (4 * inner - outer) / 3, outer


def precision_law(record) -> Seen:
    """The value in single precision is that in double precision, rounded."""
    name = "precision_law"
    known = record.base
    if "single" not in known:
        return Seen(name, 0, 0, f"not compared: {record.refusals[0]}")
    largest = float(np.finfo(np.float32).max) * 1e-8
    judged = np.all(np.abs(known["double"]) < largest, axis=1)
    judged &= np.all(np.isfinite(known["double"]), axis=1)
    require(
        "single and double precision give the same value",
        known["single"] - known["double"],
        _full_scale(record),
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


def completeness_law(record) -> Seen:
    """There are as many independent features as coordinates beyond the orbits, and clearly so."""
    usual, unit = _usual(record)
    fields = fields_and_reach(record)[0] / unit
    slope = record.base["slope"] * unit
    size = 2 * record.cases.q[0].size
    # A state of a lower rank than most is not a generic one; nor is one of a higher rank.
    found = int(np.quantile([_rank(slope[case]) for case in usual], 0.75, method="lower"))
    # Of generators, however unlike, every independent one counts.
    columns = np.linalg.norm(fields, axis=1, keepdims=True)
    fields = fields / np.where(columns > 0, columns, 1)
    exact = float(np.finfo(record.dtype).eps) ** 0.5
    orbit = int(np.quantile([_rank(fields[case], exact) for case in usual], 0.75, method="lower"))
    needed = size - orbit
    if found < needed:
        raise AssertionError(
            f"features are complete: {found} of {slope.shape[1]} are independent, but {needed} are "
            f"needed ({size} coordinates of the state minus orbits of dimension {size - needed}); "
            f"directions with singular values below {DEPENDENT:g} do not count"
        )
    return Seen("completeness_law", len(usual))


def _usual(record) -> tuple[np.ndarray, np.ndarray]:
    """States as far from the middle as most, and how far that is, axis by axis."""
    state = record.cases.state.astype(float)
    away = np.abs(state - np.median(state, axis=(0, 2), keepdims=True))
    unit = np.median(away, axis=(0, 2), keepdims=True)
    unit = np.where(unit > 0, unit, 1)
    size = (away / unit).max(axis=(2, 3))
    middle = np.median(size, axis=0)
    near = np.all((size >= middle / USUAL) & (size <= middle * USUAL), axis=1)
    unit = np.broadcast_to(unit, (1, *state.shape[1:])).reshape(1, 1, -1)
    return np.flatnonzero(near if near.any() else np.ones(len(size), bool)), unit


def _full_scale(record) -> np.ndarray:
    """Of the drawn states, and of these without zeros."""
    of_state, filled = (_scale(record, x, record.size) for x in (record.base, record.filled))
    return np.fmax(of_state, filled)


def _scale(record, known: dict, size) -> np.ndarray:
    """|f| + |∂f/∂x| x + |∂²f/∂x²| x x, for every component."""
    count = len(known["value"])
    size = np.broadcast_to(size, (count, *record.cases.state.shape[1:])).reshape(count, 1, -1)
    terms = (np.abs(known["slope"]) + known["bend"]) * size
    return np.abs(known["value"]) + terms.sum(axis=-1)


def _rank(matrix: np.ndarray, tolerance: float = DEPENDENT) -> int:
    if not len(matrix) or not np.all(np.isfinite(matrix)):
        return 0
    size = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix = matrix / np.where(size <= 1e-12 * size.max(initial=0.0), 1, size)
    return int(np.linalg.matrix_rank(matrix, tol=tolerance))


FEATURE_LAWS = (
    regularity_law,
    smoothness_law,
    invariance_law,
    lie_derivative_law,
    component_law,
    derivatives_law,
    precision_law,
)
