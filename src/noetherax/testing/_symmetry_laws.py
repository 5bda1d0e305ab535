"""Laws of a function of the state and a group: it is invariant, and features say all that they can."""

import numpy as np

from ..groups import component_representatives, periods
from ._actions import flattened
from ._evidence import NO_COMPONENTS, NO_PERIODS, ROUNDING, Seen, require
from ._records import FunctionRecord
from ._sizes import largest

DEPENDENT = 1e-5
"""Singular values of the features' unit Jacobian below which they are dependent: a model would have to
blow up what is left by the inverse."""

NOTHING = 1e-12
"""Of the terms of a feature: a slope that is no larger is their rounding."""

MANY_TURNS = 7
"""Periods by which a point is shifted, beside one."""

USUAL = 3.0
"""Factor by which the size of a state may differ from the median, where features are counted."""


def invariance_law(record: FunctionRecord) -> Seen:
    """f(h·q, h_* v) = f(q, v) for group elements h, small and large, at any time."""
    cases, size = record.cases, record.sizes.moved
    moved = record.values.at(record.moves.here["moved"], size)
    unchanged(record, "a group element", moved, size, cases.coefficients)
    return Seen("invariance_law", cases.distinct)


def component_law(record: FunctionRecord) -> Seen:
    """f is unchanged by the group's further components, such as reflections, also after an element."""
    cases = record.cases
    components = component_representatives(record.group).astype(cases.q.dtype)
    for component in components:
        evidence = np.broadcast_to(component, (record.batch.size, *component.shape))
        for state, size in (
            (cases.state, record.sizes.state),
            (record.moves.here["moved"], record.sizes.moved),
        ):
            size = np.maximum(size, size @ np.abs(component).T)
            moved = record.values.at(state @ component.T, size)
            unchanged(record, "a component of the group", moved, size, evidence)
    if not len(components):
        return Seen("component_law", 0, 0, NO_COMPONENTS)
    return Seen("component_law", cases.distinct)


def period_law(record: FunctionRecord) -> Seen:
    """f is unchanged if one point is shifted by periods of the group, also after an element."""
    cases = record.cases
    turns = periods(record.group)
    shifts = [
        (point, int(axis), count)
        for axis in np.flatnonzero(np.isfinite(turns))
        for point in range(cases.q.shape[1])
        for count in (1, -MANY_TURNS)
    ]
    for point, axis, count in shifts:
        change = np.zeros((2, *cases.q.shape[1:]), cases.q.dtype)
        change[0, point, axis] = count * turns[axis]
        evidence = np.broadcast_to(change, (record.batch.size, *change.shape))
        for state, size in (
            (cases.state, record.sizes.state),
            (record.moves.here["moved"], record.sizes.moved),
        ):
            size = np.maximum(size, largest(np.abs(change)[None]))
            moved = record.values.at(state + change, size)
            unchanged(record, "a shift by periods", moved, size, evidence)
    if not shifts:
        return Seen("period_law", 0, 0, NO_PERIODS)
    return Seen("period_law", cases.distinct)


def unchanged(record: FunctionRecord, what: str, moved: dict, size, element) -> None:
    before, after = record.values.here["value"], moved["value"]
    # Rounding of the transformed state, carried to the value.
    scale = np.maximum(record.values.scale, record.values.terms(moved, size))
    law = f"{what} leaves the value unchanged"
    evidence = {"element": element}
    require(law, after - before, scale, ROUNDING, record.cases, index=("component",), **evidence)


def lie_derivative_law(record: FunctionRecord) -> Seen:
    """The derivative along every generator vanishes."""
    values = record.values
    fields = flattened(record.moves.here["fields"].astype(float))
    reach = flattened(record.sizes.reach)
    change = np.einsum("nmi,nai->nam", values.here["slope"], fields)
    scale = np.zeros_like(change)
    for known in (values.here, values.filled):
        slope, bend = (np.nan_to_num(known[x]) for x in ("slope", "bend"))
        terms = np.einsum("nmi,nai->nam", np.abs(slope) + bend, np.abs(fields))
        terms = terms + np.einsum("nmi,nai->nam", np.abs(slope), reach)
        scale = np.maximum(scale, terms)
    require(
        "the Lie derivative along every generator vanishes",
        change,
        scale,
        ROUNDING,
        record.cases,
        index=("generator", "component"),
        fields=record.moves.here["fields"][:, :, 0],
    )
    return Seen("lie_derivative_law", record.cases.distinct)


def completeness_law(record: FunctionRecord) -> Seen:
    """There are as many independent features as coordinates beyond the orbits, and clearly so."""
    judged = _complete(record, "state", 2 * record.cases.q[0].size)
    return Seen("completeness_law", judged)


def configuration_completeness_law(record: FunctionRecord) -> Seen:
    """As above, of functions of the configuration, with the group's orbits on configurations."""
    judged = _complete(record, "configuration", record.cases.q[0].size)
    return Seen("configuration_completeness_law", judged)


def _complete(record: FunctionRecord, of: str, size: int) -> int:
    """Counts among the first `size` entries of a state, where positions come before velocities.
    Returns at how many states."""
    usual, unit = _usual(record)
    fields = (flattened(record.moves.here["fields"].astype(float)) / unit)[..., :size]
    slope = (record.values.here["slope"] * unit)[..., :size]
    # A state of a lower rank than most is not a generic one; nor is one of a higher rank.
    scale = record.values.scale
    ranks = [_rank(slope[case], scale[case]) for case in usual]
    found = int(np.quantile(ranks, 0.75, method="lower"))
    # Of generators, however unlike, every independent one counts.
    columns = np.linalg.norm(fields, axis=1, keepdims=True)
    fields = fields / np.where(columns > 0, columns, 1)
    exact = float(np.finfo(record.batch.dtype).eps) ** 0.5
    ranks = [
        _rank(fields[case], float(np.abs(fields[case]).max(initial=0)), exact) for case in usual
    ]
    orbit = int(np.quantile(ranks, 0.75, method="lower"))
    needed = size - orbit
    if found < needed:
        raise AssertionError(
            f"features are complete: {found} of {slope.shape[1]} are independent, but {needed} are "
            f"needed ({size} coordinates of the {of} minus orbits of dimension {size - needed}); "
            f"directions with singular values below {DEPENDENT:g} do not count"
        )
    return len(usual)


def _usual(record: FunctionRecord) -> tuple[np.ndarray, np.ndarray]:
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


def _rank(matrix: np.ndarray, scale: np.ndarray | float, tolerance: float = DEPENDENT) -> int:
    """Of rows of any size: features have units of their own. Those that are nothing beside the scale of
    their own terms are rounding."""
    if not len(matrix) or not np.all(np.isfinite(matrix)):
        return 0
    size = np.linalg.norm(matrix, axis=1)
    matrix = matrix / np.where(size <= NOTHING * scale, np.inf, size)[:, None]
    return int(np.linalg.matrix_rank(matrix, tol=tolerance))
