"""Laws of a symmetry group: its finite action, its generators, and their brackets fit together."""

import numpy as np

from ._evidence import DIFFERENCES, ROUNDING, Seen, require, seen
from ._function_laws import RESOLVED, central

DIRECTIONS = 8
"""Generators that are compared with `act` at every state; of larger groups each state has its own."""


def identity_law(record) -> Seen:
    """act(0) is the identity."""
    cases = record.cases
    error = record.at_zero(0 * cases.coefficients)["moved"] - cases.state
    require("act(0) is the identity", error, record.size, ROUNDING, cases)
    return Seen("identity_law", cases.distinct)


def subgroup_law(record) -> Seen:
    """act(c) twice is act(2c): coefficients are exponential coordinates, small and large."""
    cases = record.cases
    once = record.along
    twice = record.at(cases.coefficients, 0 * cases.coefficients, once["moved"])["moved"]
    double = record.at(2 * cases.coefficients, 0 * cases.coefficients, cases.state)["moved"]
    require(
        "act(c) ∘ act(c) = act(2c)",
        twice - double,
        2 * record.moved_size + np.abs(double).max(axis=2, keepdims=True),
        ROUNDING,
        cases,
        coefficients=cases.coefficients,
    )
    return Seen("subgroup_law", cases.distinct)


def derivative_law(record) -> Seen:
    """The derivative of act at the identity is the generator on q, and its lift on v."""
    cases = record.cases
    fields = record.base_moves["fields"]
    count = record.group.dimension
    reach = _reach(record)
    stride = -(-count // DIRECTIONS)
    for offset in range(0, count, stride):
        index = (np.arange(record.count) + offset) % count if stride > 1 else offset
        index = np.broadcast_to(index, record.count)
        each = np.arange(record.count)
        rate = record.at_zero(np.eye(count)[index])["rate"]
        field, size = fields[each, index], reach[each, index]
        for part, name in enumerate(("q", "v")):
            error = np.zeros((record.count, count, *rate.shape[2:]))
            scale = np.zeros_like(error)
            error[each, index] = rate[:, part] - field[:, part]
            scale[each, index] = np.abs(field[:, part]) + size[:, part]
            require(
                f"the derivative of act at the identity is the generator, on {name}",
                error,
                scale,
                ROUNDING,
                cases,
                index=("generator", "point", "axis"),
                fields=fields[:, :, 0],
            )
    return Seen("derivative_law", cases.distinct)


def flow_law(record) -> Seen:
    """act follows the generators, however far: d/ds act((1 + s) c) is Σ c_a ξ_a at the moved state, and
    its lift on v; by differences of act itself, whatever its derivative says."""
    c = record.cases.coefficients.astype(float)
    judged = _flows(record, c, record.moved_fields, record.moved_size)
    judged &= _flows(record, 0 * c, record.base_moves["fields"], record.mixed_size)
    return seen("flow_law", record.cases, judged, "act bends too sharply for differences")


def _flows(record, start, fields, size) -> np.ndarray:
    """Differences of act about `start` against the generators at where that leads."""
    c = record.cases.coefficients.astype(float)
    step = float(np.finfo(record.dtype).eps) ** 0.2
    # At most as far as moves the state by its own size, times the step.
    field = np.einsum("na,naxpi->nxpi", c, fields)
    far, near = np.abs(field).max(axis=(2, 3)), record.size.max(axis=(2, 3))
    share = np.divide(near, far, where=(far > 0) & (near > 0), out=np.ones_like(far)).min(axis=1)
    share = np.minimum(share, 1)[:, None]
    field = field * share[:, :, None, None]
    values = [
        record.at(start + x * step * share * c, 0 * c, record.cases.state)["moved"].astype(float)
        for x in (-2, -1, 1, 2)
    ]
    differences, rough = central(values, step)
    size = size + np.abs(field).max(axis=2, keepdims=True)
    bend = np.abs(differences - rough) / np.where(size > 0, size, 1)
    judged = bend < RESOLVED * step**2
    require(
        "act moves along the generators, by differences",
        np.where(judged, differences - field, 0),
        size + np.abs(differences - rough) / DIFFERENCES.of(record.dtype),
        DIFFERENCES,
        record.cases,
        start=start,
        coefficients=share * c,
    )
    return judged.all(axis=(1, 2, 3))


def bracket_law(record) -> Seen:
    """Brackets of generators are combinations of generators, with the same constants everywhere."""
    count = record.group.dimension
    if count < 2:
        return Seen("bracket_law", record.cases.distinct, 0, "one generator has no brackets")
    cases = record.cases
    fields = record.base_moves["fields"][:, :, 0].astype(float)
    reach = _reach(record)[:, :, 0]
    # Every state counts alike, and every generator: in units of the state and of the generator.
    size = record.size[:, 0]
    unit = np.max(np.abs(fields) / np.where(size > 0, size, 1)[:, None], axis=(0, 2, 3))
    unit = np.where(unit > 0, unit, 1)
    here = np.abs(fields).max(axis=1, keepdims=True) / 1.0
    here = np.where(here > 0, here, 1).max(axis=(2, 3))[:, :, None, None]
    scaled = fields / unit[:, None, None] / here
    brackets = record.base_moves["brackets"] / (unit[:, None] * unit)[:, :, None, None]
    brackets = brackets / here[:, :, None]
    rows = np.moveaxis(scaled, 1, 0).reshape(count, -1)
    flat = np.moveaxis(brackets, 0, 2).reshape(count * count, -1)
    constants, *_ = np.linalg.lstsq(rows.T, flat.T, rcond=None)
    error = (flat.T - rows.T @ constants).T.reshape(count, count, record.count, -1)
    pieces = (np.abs(fields) + reach).max(axis=(2, 3)) / unit / here[:, :, 0, 0]
    largest = np.abs(constants).max(axis=0).reshape(count, count) * pieces.max()
    terms = np.abs(flat).max(axis=1).reshape(count, count)
    require(
        "brackets of generators are combinations of generators",
        np.moveaxis(np.abs(error).max(axis=-1), 2, 0),
        np.broadcast_to(pieces.max() + largest + terms, (record.count, count, count)),
        ROUNDING,
        cases,
        index=("generator", "generator"),
        fields=fields,
    )
    return Seen("bracket_law", cases.distinct)


def group_precision_law(record) -> Seen:
    """`act` in single precision is that in double precision, rounded."""
    known = record.along
    if "single" not in known:
        return Seen("group_precision_law", 0, 0, f"not compared: {record.refusals[0]}")
    judged = np.all(np.abs(known["double"]) < 1e30, axis=(1, 2, 3))
    require(
        "single and double precision move a state alike",
        known["single"] - known["double"],
        record.moved_size,
        ROUNDING,
        record.cases,
        judged=judged,
        precision=np.float32,
        coefficients=record.cases.coefficients,
    )
    return seen("group_precision_law", record.cases, judged, "too large for single precision")


def _reach(record) -> np.ndarray:
    """What the lifted generators are sums of: |∂ξ/∂q| times |q − c| and |v|."""
    size = np.broadcast_to(record.size, record.cases.state.shape)
    return np.einsum("napibj,nxbj->naxpi", np.abs(record.base_moves["slopes"]), size)


GROUP_LAWS = (
    identity_law,
    subgroup_law,
    derivative_law,
    flow_law,
    bracket_law,
    group_precision_law,
)
