"""Laws of Lagrangians and charges: the equations of motion, and what is constant along them."""

import numpy as np

from ._actions import flattened
from ._differences import SHIFTS, require_derivative, step_of
from ._evidence import ROUNDING, SOLVED, Drawn, Seen, require, seen
from ._mechanics import solve
from ._records import ChargeRecord, FunctionRecord, LagrangianRecord

CONSTANT = "the charge is constant along the equations of motion"
OF_TIME = f"{CONSTANT}, which depend on time: an energy is not, but changes by −∂L/∂t"

NO_RULES = "the type has registered no rule for slopes, masses or accelerations"

SINGULAR = "∂²L/∂v² is singular there, so that L determines no motion"


def terms_law(record: LagrangianRecord) -> Seen:
    """The Euler–Lagrange terms of a type's own rule equal those of automatic differentiation."""
    cases, known = record.function.cases, record.function.values.here
    mass, force, _ = _autodiff(known)
    of_mass, of_force = _sizes_of_terms(record.function)
    for name, own, other, scale in (
        ("mass_matrix", known["mass_matrix"], mass, of_mass),
        ("force", known["force"], force, of_force),
    ):
        law = f"euler_lagrange_terms equals automatic differentiation: {name}"
        require(law, own - other, scale, ROUNDING, cases)
    return Seen("terms_law", cases.distinct)


def residual_law(record: LagrangianRecord) -> Seen:
    """The Euler–Lagrange residual of a type's own rule equals that of automatic differentiation."""
    cases, values = record.function.cases, record.function.values
    a = _flat(values.any_acceleration)
    mass, force, _ = _autodiff(values.here)
    of_mass, of_force = _sizes_of_terms(record.function)
    scale = of_force + np.einsum("nij,nj->ni", of_mass, np.abs(a))
    difference = values.here["residual"] - (np.einsum("nij,nj->ni", mass, a) - force)
    law = "euler_lagrange_residual equals automatic differentiation"
    require(law, difference, scale, ROUNDING, cases)
    return Seen("residual_law", cases.distinct)


def rules_law(record: LagrangianRecord) -> Seen:
    """The slopes, constant masses and accelerations of a type's own rules are those of automatic
    differentiation: by these, and not by the terms, solvers step."""
    cases, known = record.function.cases, record.function.values.here
    of_mass, of_force = _sizes_of_terms(record.function)
    mass, force, _ = _autodiff(known)
    law = "the type's own rule equals automatic differentiation: "
    held = 0
    if "own_slope" in known:
        held += 1
        difference = known["own_slope"] - known["slope"][:, 0]
        require(f"{law}lagrangian_gradient", difference, _size_of_slopes(record), ROUNDING, cases)
    if "own_masses" in known:
        held += 1
        difference = known["own_masses"][:, :, None] * np.eye(mass.shape[-1]) - mass
        require(f"{law}constant_inertia", difference, of_mass, ROUNDING, cases)
    if "own_acceleration" in known:
        held += 1
        a, regular = known["own_acceleration"], record.solution[2]
        difference = np.einsum("nij,nj->ni", mass, np.where(regular[:, None], a, 0)) - force
        scale = of_force + np.einsum("nij,nj->ni", of_mass, np.abs(a))
        require(f"{law}solve_motion", difference, scale, SOLVED, cases, judged=regular[:, None])
    return Seen("rules_law", cases.distinct if held else 0, 0, "" if held else NO_RULES)


def _size_of_slopes(record: LagrangianRecord) -> np.ndarray:
    """What rounding of ∂L/∂q and ∂L/∂v is relative to: themselves, how they change with the state, and
    L over its size."""
    function = record.function
    size = function.units.state.reshape(len(function.units.state), -1)
    scale = 0.0
    for known in (function.values.here, function.values.filled):
        slope, bend = (np.abs(known[x][:, 0]) for x in ("slope", "bend"))
        whole = np.abs(known["value"]) + ((slope + bend) * size).sum(axis=1, keepdims=True)
        scale = np.fmax(scale, slope + bend + whole / size)
    return scale


def _sizes_of_terms(function: FunctionRecord) -> tuple[np.ndarray, np.ndarray]:
    """What rounding of M and of the force is relative to: their terms, and L over the size of the
    state, whose parts may cancel in the derivatives, as those of a saturated network do."""
    count, values, units = function.batch.size, function.values, function.units
    mass, _, force = _autodiff(values.here)
    unit = _unit(mass)
    size = units.state.reshape(count, 1, -1)
    change = np.zeros(count)
    for known in (values.here, values.filled):
        terms = (np.abs(known["slope"]) + known["bend"]) * size
        change = np.fmax(change, np.abs(known["value"][:, 0]) + terms.sum(axis=(1, 2)))
    q, v = units.state.reshape(count, 2, -1).swapaxes(0, 1)
    of_mass = unit[:, :, None] * unit[:, None] + change[:, None, None] / (
        v[:, :, None] * v[:, None]
    )
    return of_mass, force + change[:, None] / q


def noether_law(record: LagrangianRecord) -> Seen:
    """The Noether charges of the group are constant along the equations of motion, at any time."""
    function = record.function
    fields = flattened(function.moves.here["fields"].astype(float))
    reach = flattened(function.sizes.reach)
    points = function.cases.q[0].size
    turned = np.abs(fields[:, :, :points]), np.abs(fields[:, :, points:]) + reach[:, :, points:]
    momentum = _slopes_or_rounding(record)[:, points:]
    scale = np.einsum("nai,ni->na", turned[0], _rate_of_momentum(record))
    scale = scale + np.einsum("nai,ni->na", turned[1], momentum)
    rates = record.in_motion["rates"][:, :-1]
    return _constant("noether_law", rates, scale, function.cases, record.solution)


def energy_law(record: LagrangianRecord) -> Seen:
    """The energy v · ∂L/∂v − L is constant along the equations of motion, but for −∂L/∂t, by which it
    changes where L depends on time."""
    cases = record.function.cases
    points = cases.q[0].size
    slope = _slopes_or_rounding(record)
    v = np.abs(_flat(cases.v))
    scale = np.sum(v * (_rate_of_momentum(record) + slope[:, :points]), axis=1)
    scale = scale + np.sum(_accelerations(record) * slope[:, points:], axis=1)
    scale = scale + record.function.values.here["explicit_size"]
    rates = record.in_motion["rates"][:, -1:]
    changes = "the energy changes by −∂L/∂t along the equations of motion"
    what = changes if record.timed else CONSTANT
    return _constant("energy_law", rates, scale[:, None], cases, record.solution, what)


def _slopes_or_rounding(record: LagrangianRecord) -> np.ndarray:
    """|∂L/∂(q, v)|, and where that cancels, as at rest at the origin, what rounding leaves of it."""
    slope = np.abs(record.function.values.here["slope"][:, 0])
    epsilon = float(np.finfo(record.function.batch.dtype).eps)
    return np.fmax(slope, epsilon * _size_of_slopes(record))


def _rate_of_momentum(record: LagrangianRecord) -> np.ndarray:
    """What dp/dt is made of: |∂²L/∂v∂q| |v| + |∂²L/∂v∂t| + |∂²L/∂v²| |a|."""
    hessian = np.abs(record.function.values.here["hessian"])
    v = np.abs(_flat(record.function.cases.v))
    drag = np.einsum("nij,nj->ni", hessian[:, 1, :, 0], v)
    drag = drag + np.abs(record.function.values.here["transport"])
    return drag + np.einsum("nij,nj->ni", hessian[:, 1, :, 1], _accelerations(record))


def _accelerations(record: LagrangianRecord) -> np.ndarray:
    return _sizes_of_accelerations(record.solution, *_sizes_of_terms(record.function))


def _sizes_of_accelerations(solution: tuple, mass: np.ndarray, force: np.ndarray) -> np.ndarray:
    """|a| + |M⁻¹| (mass |a| + force), the size that rounding of a is relative to, with the sizes of the
    terms of M and of the force."""
    a, inverse, _ = solution
    total = force + np.einsum("nij,nj->ni", mass, np.abs(a))
    return np.abs(a) + np.einsum("nij,nj->ni", inverse, total)


def _constant(law: str, rates, scale, cases: Drawn, solution: tuple, what: str = CONSTANT) -> Seen:
    # Where a mass is as good as none, accelerations are beyond numbers.
    regular = solution[2] & np.all(np.isfinite(scale), axis=1)
    result = seen(law, cases, regular, SINGULAR)
    require(
        what,
        rates,
        scale,
        SOLVED,
        cases,
        judged=regular,
        index=("charge",),
        t=cases.t,
    )
    return result


def conservation_law(record: ChargeRecord) -> Seen:
    """dI/dt = 0 along the Lagrangian's own equations of motion, at any time."""
    cases, known, (a, _, _) = record.cases, record.here, record.solution
    slopes = known["slopes"].reshape(len(a), -1, 2, a.shape[1]).astype(float)
    v = _flat(cases.v).astype(float)
    rates = known["explicit"] + np.einsum("nci,ni->nc", slopes[:, :, 0], v)
    rates = rates + np.einsum("nci,ni->nc", slopes[:, :, 1], a)
    scale = np.abs(known["explicit"]) + np.einsum("nci,ni->nc", np.abs(slopes[:, :, 0]), np.abs(v))
    mass = np.abs(known["mass_matrix"])
    size = _sizes_of_accelerations(record.solution, mass, _autodiff(known)[2])
    scale = scale + np.einsum("nci,ni->nc", np.abs(slopes[:, :, 1]), size)
    # The parts of a function of momenta change as fast as velocities and positions do.
    of_q, of_v = np.moveaxis(record.units.state.max(axis=(2, 3)), 1, 0)
    pace = np.abs(a).max(axis=1) / of_v + of_v / of_q
    filled = record.at(record.units.filled, cases.t)
    parts = np.fmax(*(_of_momenta(x, solve(x)[1]) for x in (known, filled)))
    parts = parts + np.abs(known["charges"])
    scale = scale + parts * pace[:, None]
    what = OF_TIME if record.timed else CONSTANT
    return _constant("conservation_law", rates, scale, cases, record.solution, what)


def _of_momenta(known: dict, inverse: np.ndarray) -> np.ndarray:
    """|∂I/∂p| |p| for every charge, with ∂I/∂p = ∂I/∂v M⁻¹: in a charge these terms may cancel, as
    those of a total derivative in L do."""
    count, size = inverse.shape[:2]
    slopes = np.abs(known["slopes"].reshape(count, -1, 2, size)[:, :, 1].astype(float))
    momentum = np.abs(known["slope"][:, 0, size:].astype(float))
    return np.einsum("nci,nij,nj->nc", slopes, inverse, momentum)


def charge_derivatives_law(record: ChargeRecord) -> Seen:
    """The derivatives of a charge are those of its value: they agree with central differences."""
    cases, known, dtype = record.cases, record.here, record.batch.dtype
    step = step_of(dtype)
    direction, pace = record.units.directions, np.where(cases.t == 0, 1, cases.t).astype(dtype)
    near = [
        record.at(
            (cases.state + x * step * direction).astype(dtype),
            (cases.t + x * step * pace).astype(dtype),
        )
        for x in SHIFTS
    ]
    values = [x["charges"] for x in near]
    slopes = known["slopes"].reshape(*known["charges"].shape, -1)
    flat = direction.reshape(record.batch.size, 1, -1).astype(float)
    of_time = known["explicit"] * pace[:, None]
    scale = np.abs(known["charges"]) + np.sum(np.abs(slopes * flat), axis=-1)
    scale = np.maximum.reduce([scale + np.abs(of_time), *map(np.abs, values)])
    scale = scale + np.max([_of_momenta(x, solve(x)[1]) for x in (known, *near)], axis=0)
    judged = require_derivative(
        "the derivative of order 1 is that of the charge, by differences",
        values,
        np.sum(slopes * flat, axis=-1) + of_time,
        scale,
        cases,
        index=("charge",),
        direction=direction,
    )
    reason = "it bends too sharply for differences"
    return seen("charge_derivatives_law", cases, np.any(judged, axis=1), reason)


def _autodiff(known: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """∂²L/∂v², ∂L/∂q − (∂²L/∂v∂q) v, and the size of the terms of the latter, which may cancel."""
    hessian = known["hessian"].astype(float)
    size = hessian.shape[2]
    slope = known["slope"][:, 0, :size].astype(float)
    drag, total = known["drag"].astype(float), np.abs(slope) + known["drag_size"]
    return hessian[:, 1, :, 1], slope - drag, total


def _unit(mass: np.ndarray) -> np.ndarray:
    """Units of the coordinates in which the entries of M are of order one."""
    return np.sqrt(np.abs(mass).max(axis=-1))


def _flat(vectors: np.ndarray) -> np.ndarray:
    """Of every case, with points and axes in one."""
    return vectors.reshape(len(vectors), -1)
