"""Laws of a symmetry group: its finite action, its generators, and their brackets fit together."""

import numpy as np

from ._differences import SHIFTS, require_derivative, step_of
from ._evidence import ROUNDING, Seen, require, seen
from ._field_rounding import terms_of_fields
from ._force_rounding import settle
from ._records import GroupRecord

DIRECTIONS = 8
"""Generators that are compared with `act` at every state; of larger groups each state has its own."""


def identity_law(record: GroupRecord) -> Seen:
    """act(0) is the identity."""
    cases = record.cases
    error = record.moves.at_zero(0 * cases.coefficients)["moved"] - cases.state
    require("act(0) is the identity", error, record.sizes.state, ROUNDING, cases)
    return Seen("identity_law", cases.distinct)


def subgroup_law(record: GroupRecord) -> Seen:
    """act(c) twice is act(2c): coefficients are exponential coordinates, small and large."""
    cases, moves = record.cases, record.moves
    c, nowhere = cases.coefficients, 0 * cases.coefficients
    twice = moves.at(c, nowhere, moves.here["moved"])["moved"]
    double = moves.at(2 * c, nowhere, cases.state)["moved"]
    require(
        "act(c) ∘ act(c) = act(2c)",
        twice - double,
        2 * record.sizes.moved + np.abs(double).max(axis=2, keepdims=True),
        ROUNDING,
        cases,
        coefficients=c,
    )
    return Seen("subgroup_law", cases.distinct)


def derivative_law(record: GroupRecord) -> Seen:
    """The derivative of act at the identity is the generator on q, and its lift on v."""
    cases = record.cases
    fields, reach = record.moves.here["fields"], record.sizes.reach
    batch, count = record.batch.size, record.group.dimension
    stride = -(-count // DIRECTIONS)
    for offset in range(0, count, stride):
        index = (np.arange(batch) + offset) % count if stride > 1 else offset
        index = np.broadcast_to(index, batch)
        each = np.arange(batch)
        direction = np.eye(count)[index]
        rate = record.moves.at_zero(direction)["rate"]
        error = np.zeros(fields.shape)
        error[each, index] = rate - fields[each, index]
        drawn = np.zeros_like(error)
        drawn[each, index] = (np.abs(fields) + reach)[each, index]

        def cancelling(drawn=drawn, direction=direction):
            return drawn + terms_of_fields(record, direction)

        for part, name in enumerate(("q", "v")):

            def check(scale, part=part, name=name, error=error):
                require(
                    f"the derivative of act at the identity is the generator, on {name}",
                    error[:, :, part],
                    scale[:, :, part],
                    ROUNDING,
                    cases,
                    index=("generator", "point", "axis"),
                    fields=fields[:, :, 0],
                )

            settle(check, lambda drawn=drawn: drawn, cancelling)
    return Seen("derivative_law", cases.distinct)


def flow_law(record: GroupRecord) -> Seen:
    """act follows the generators, however far: d/ds act((1 + s) c) is Σ c_a ξ_a at the moved state, and
    its lift on v, which is the rate of ξ along a motion; by differences of act and of ξ themselves,
    whatever their derivatives say."""
    c = record.cases.coefficients.astype(float)
    moves, sizes = record.moves, record.sizes
    judged = _flows(record, c, moves.fields_there, sizes.moved)
    judged &= _flows(record, 0 * c, moves.here["fields"], sizes.mixed)
    _require_lift(record)
    return seen("flow_law", record.cases, judged, "act bends too sharply for differences")


def _flows(record: GroupRecord, start, fields, size) -> np.ndarray:
    """Compares differences of act about the element `start` with `fields`, the generators at the state
    that it leads to."""
    c = record.cases.coefficients.astype(float)
    step = step_of(record.batch.dtype)
    # One step moves the state by at most `step` times its own size.
    field = np.einsum("na,naxpi->nxpi", c, fields)
    far, near = np.abs(field).max(axis=(2, 3)), record.sizes.state.max(axis=(2, 3))
    share = np.divide(near, far, where=(far > 0) & (near > 0), out=np.ones_like(far)).min(axis=1)
    share = np.minimum(share, 1)[:, None]
    field = field * share[:, :, None, None]
    values = [
        record.moves.at(start + x * step * share * c, 0 * c, record.cases.state)["moved"]
        for x in SHIFTS
    ]
    judged = require_derivative(
        "act moves along the generators, by differences",
        values,
        field,
        size + np.abs(field).max(axis=2, keepdims=True),
        record.cases,
        start=start,
        coefficients=share * c,
    )
    return np.all(judged, axis=(1, 2, 3))


def _require_lift(record: GroupRecord) -> None:
    """That the lift is the rate of the generators along a motion, also in time, by differences."""
    cases, moves, none = record.cases, record.moves, 0 * record.cases.coefficients
    step, dtype = step_of(record.batch.dtype), record.batch.dtype
    of_q, of_v = np.moveaxis(record.sizes.state.max(axis=(2, 3)), 1, 0)
    pace = np.divide(of_q, of_v, where=(of_q > 0) & (of_v > 0), out=np.ones_like(of_q))
    wide = pace[:, None, None]
    near = []
    for x in SHIFTS:
        q, t = cases.q + x * step * wide * cases.v, cases.t + x * step * pace
        state = np.stack([q, cases.v], axis=1).astype(dtype)
        near.append(moves.action(none, none, state, t.astype(dtype))["fields"][:, :, 0])
    fields, reach = moves.here["fields"].astype(float), record.sizes.reach
    wide = wide[:, None]
    scale = np.maximum.reduce([reach[:, :, 0] + wide * reach[:, :, 1], *map(np.abs, near)])

    def check(scale: np.ndarray) -> None:
        require_derivative(
            "the lift is the rate of the generator along the motion, by differences",
            near,
            wide * fields[:, :, 1],
            scale,
            cases,
            index=("generator", "point", "axis"),
            fields=fields[:, :, 0],
            t=cases.t,
        )

    settle(check, lambda: scale, lambda: scale + terms_of_fields(record, none)[:, :, 0])


def bracket_law(record: GroupRecord) -> Seen:
    """Brackets of generators are combinations of generators, with the same constants everywhere."""
    count = record.group.dimension
    if count < 2:
        return Seen("bracket_law", record.cases.distinct, 0, "one generator has no brackets")
    cases = record.cases
    fields = record.moves.here["fields"][:, :, 0].astype(float)
    reach = record.sizes.reach[:, :, 0]
    # Every state counts alike, and every generator: in units of the state and of the generator.
    size = record.sizes.state[:, 0]
    unit = np.max(np.abs(fields) / np.where(size > 0, size, 1)[:, None], axis=(0, 2, 3))
    unit = np.where(unit > 0, unit, 1)
    here = np.abs(fields).max(axis=1, keepdims=True)
    here = np.where(here > 0, here, 1).max(axis=(2, 3))[:, :, None, None]
    scaled = fields / unit[:, None, None] / here
    brackets = record.moves.here["brackets"] / (unit[:, None] * unit)[:, :, None, None]
    brackets = brackets / here[:, :, None]
    rows = np.moveaxis(scaled, 1, 0).reshape(count, -1)
    flat = np.moveaxis(brackets, 0, 2).reshape(count * count, -1)
    constants, *_ = np.linalg.lstsq(rows.T, flat.T, rcond=None)
    error = (flat.T - rows.T @ constants).T.reshape(count, count, record.batch.size, -1)
    pieces = (np.abs(fields) + reach).max(axis=(2, 3)) / unit / here[:, :, 0, 0]
    largest = np.abs(constants).max(axis=0).reshape(count, count) * pieces.max()
    terms = np.abs(flat).max(axis=1).reshape(count, count)
    require(
        "brackets of generators are combinations of generators",
        np.moveaxis(np.abs(error).max(axis=-1), 2, 0),
        np.broadcast_to(pieces.max() + largest + terms, (record.batch.size, count, count)),
        ROUNDING,
        cases,
        index=("generator", "generator"),
        fields=fields,
    )
    return Seen("bracket_law", cases.distinct)


def group_precision_law(record: GroupRecord) -> Seen:
    """`act` in single precision is that in double precision, rounded."""
    known = record.moves.here
    if "single" not in known:
        return Seen("group_precision_law", 0, 0, f"not compared: {record.refusals[0]}")
    judged = np.all(np.abs(known["double"]) < 1e30, axis=(1, 2, 3))
    require(
        "single and double precision move a state alike",
        known["single"] - known["double"],
        record.sizes.moved,
        ROUNDING,
        record.cases,
        judged=judged,
        precision=np.float32,
        coefficients=record.cases.coefficients,
    )
    return seen("group_precision_law", record.cases, judged, "too large for single precision")
