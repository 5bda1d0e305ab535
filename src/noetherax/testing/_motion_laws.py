"""Laws of Lagrangians and charges: the equations of motion, and what is constant along them."""

import numpy as np

from ._evidence import DIFFERENCES, ROUNDING, SOLVED, Seen, require, seen
from ._function_laws import (
    RESOLVED,
    central,
    component_law,
    derivatives_law,
    fields_and_reach,
    invariance_law,
    lie_derivative_law,
    precision_law,
    regularity_law,
)
from ._mechanics import solve

SINGULAR = "∂²L/∂v² is singular there, so that L determines no motion"


def terms_law(record) -> Seen:
    """The Euler–Lagrange terms of a type's own rule equal those of automatic differentiation."""
    known = record.base
    mass, force, _ = _autodiff(known)
    of_mass, of_force = _sizes_of_terms(record)
    for name, own, other, scale in (
        ("mass_matrix", known["mass_matrix"], mass, of_mass),
        ("force", known["force"], force, of_force),
    ):
        law = f"euler_lagrange_terms equals automatic differentiation: {name}"
        require(law, own - other, scale, ROUNDING, record.cases)
    return Seen("terms_law", record.cases.distinct)


def residual_law(record) -> Seen:
    """The Euler–Lagrange residual of a type's own rule equals that of automatic differentiation."""
    a = (record.cases.q - record.cases.v).reshape(record.count, -1)  # any acceleration will do
    mass, force, _ = _autodiff(record.base)
    of_mass, of_force = _sizes_of_terms(record)
    scale = of_force + np.einsum("nij,nj->ni", of_mass, np.abs(a))
    difference = record.base["residual"] - (np.einsum("nij,nj->ni", mass, a) - force)
    law = "euler_lagrange_residual equals automatic differentiation"
    require(law, difference, scale, ROUNDING, record.cases)
    return Seen("residual_law", record.cases.distinct)


def _sizes_of_terms(record) -> tuple[np.ndarray, np.ndarray]:
    """What rounding of M and of the force is relative to: their terms, and L over the size of the
    state, whose parts may cancel in the derivatives, as those of a saturated network do."""
    mass, _, force = _autodiff(record.base)
    unit = _unit(mass)
    size = record.unit.reshape(record.count, 1, -1)
    change = np.zeros(record.count)
    for known in (record.base, record.filled):
        terms = (np.abs(known["slope"]) + known["bend"]) * size
        change = np.fmax(change, np.abs(known["value"][:, 0]) + terms.sum(axis=(1, 2)))
    q, v = record.unit.reshape(record.count, 2, -1).swapaxes(0, 1)
    of_mass = unit[:, :, None] * unit[:, None] + change[:, None, None] / (
        v[:, :, None] * v[:, None]
    )
    return of_mass, force + change[:, None] / q


def noether_law(record) -> Seen:
    """The Noether charges of the group are constant along the equations of motion, at any time."""
    fields, reach = fields_and_reach(record)
    points = record.cases.q[0].size
    turned = np.abs(fields[:, :, :points]), np.abs(fields[:, :, points:]) + reach[:, :, points:]
    momentum = np.abs(record.base["slope"][:, 0, points:])
    scale = np.einsum("nai,ni->na", turned[0], _rate_of_momentum(record))
    scale = scale + np.einsum("nai,ni->na", turned[1], momentum)
    return _constant(record, "noether_law", record.motion["rates"][:, :-1], scale)


def energy_law(record) -> Seen:
    """The energy v · ∂L/∂v − L is constant along the equations of motion."""
    known = record.base
    points = record.cases.q[0].size
    slope = np.abs(known["slope"][:, 0])
    v = np.abs(record.cases.v).reshape(record.count, -1)
    scale = np.sum(v * (_rate_of_momentum(record) + slope[:, :points]), axis=1)
    scale = scale + np.sum(_accelerations(record) * slope[:, points:], axis=1)
    return _constant(record, "energy_law", record.motion["rates"][:, -1:], scale[:, None])


def _rate_of_momentum(record) -> np.ndarray:
    """What dp/dt is made of: |∂²L/∂v∂q| |v| + |∂²L/∂v²| |a|."""
    hessian = np.abs(record.base["hessian"])
    v = np.abs(record.cases.v).reshape(record.count, -1)
    drag = np.einsum("nij,nj->ni", hessian[:, 1, :, 0], v)
    return drag + np.einsum("nij,nj->ni", hessian[:, 1, :, 1], _accelerations(record))


def _accelerations(record) -> np.ndarray:
    return _sizes_of_accelerations(record.solution, *_sizes_of_terms(record))


def _sizes_of_accelerations(solution: tuple, mass: np.ndarray, force: np.ndarray) -> np.ndarray:
    """|a| + |M⁻¹| (mass |a| + force), the size that rounding of a is relative to, with the sizes of the
    terms of M and of the force."""
    a, inverse, _ = solution
    total = force + np.einsum("nij,nj->ni", mass, np.abs(a))
    return np.abs(a) + np.einsum("nij,nj->ni", inverse, total)


def _constant(record, law: str, rates, scale) -> Seen:
    regular = record.solution[2]
    result = seen(law, record.cases, regular, SINGULAR)
    require(
        "the charge is constant along the equations of motion",
        rates,
        scale,
        SOLVED,
        record.cases,
        judged=regular,
        index=("charge",),
        t=record.cases.t,
    )
    return result


def conservation_law(record) -> Seen:
    """dI/dt = 0 along the Lagrangian's own equations of motion, at any time."""
    known, (a, _, _) = record.base, record.solution
    slopes = known["slopes"].reshape(record.count, -1, 2, a.shape[1]).astype(float)
    v = record.cases.v.reshape(record.count, -1).astype(float)
    rates = known["explicit"] + np.einsum("nci,ni->nc", slopes[:, :, 0], v)
    rates = rates + np.einsum("nci,ni->nc", slopes[:, :, 1], a)
    scale = np.abs(known["explicit"]) + np.einsum("nci,ni->nc", np.abs(slopes[:, :, 0]), np.abs(v))
    mass = np.abs(known["mass_matrix"])
    size = _sizes_of_accelerations(record.solution, mass, _autodiff(known)[2])
    scale = scale + np.einsum("nci,ni->nc", np.abs(slopes[:, :, 1]), size)
    # The parts of a function of momenta change as fast as velocities and positions do.
    of_q, of_v = np.moveaxis(record.unit.max(axis=(2, 3)), 1, 0)
    pace = np.abs(a).max(axis=1) / of_v + of_v / of_q
    filled = record.at(record.filled_state, record.cases.t)
    parts = np.fmax(*(_of_momenta(x, solve(x)[1]) for x in (known, filled)))
    scale = scale + parts * pace[:, None]
    return _constant(record, "conservation_law", rates, scale)


def _of_momenta(known: dict, inverse: np.ndarray) -> np.ndarray:
    """|∂I/∂p| |p| for every charge, with ∂I/∂p = ∂I/∂v M⁻¹: in a charge these terms may cancel, as
    those of a total derivative in L do."""
    count, size = inverse.shape[:2]
    slopes = np.abs(known["slopes"].reshape(count, -1, 2, size)[:, :, 1].astype(float))
    momentum = np.abs(known["slope"][:, 0, size:].astype(float))
    return np.einsum("nci,nij,nj->nc", slopes, inverse, momentum)


def charge_derivatives_law(record) -> Seen:
    """The derivatives of a charge are those of its value: they agree with central differences."""
    cases, known = record.cases, record.base
    step = float(np.finfo(record.dtype).eps) ** 0.2
    direction, pace = record.step(), np.where(cases.t == 0, 1, cases.t).astype(record.dtype)
    near = [
        record.at(
            (cases.state + x * step * direction).astype(record.dtype),
            (cases.t + x * step * pace).astype(record.dtype),
        )
        for x in (-2, -1, 1, 2)
    ]
    values = [x["charges"].astype(float) for x in near]
    differences, rough = central(values, step)
    slopes = known["slopes"].reshape(record.count, len(known["charges"][0]), -1)
    flat = direction.reshape(record.count, 1, -1).astype(float)
    derivative = np.sum(slopes * flat, axis=-1) + known["explicit"] * pace[:, None]
    scale = np.abs(known["charges"]) + np.sum(np.abs(slopes * flat), axis=-1)
    scale = np.maximum.reduce(
        [scale + np.abs(known["explicit"] * pace[:, None]), *map(np.abs, values)]
    )
    scale = scale + np.max([_of_momenta(x, solve(x)[1]) for x in (known, *near)], axis=0)
    share = np.divide(np.abs(differences - rough), scale, where=scale > 0, out=np.zeros_like(rough))
    judged = share < RESOLVED * step**2
    require(
        "the derivative of order 1 is that of the charge, by differences",
        np.where(judged, differences - derivative, 0),
        scale + np.abs(differences - rough) / DIFFERENCES.of(record.dtype),
        DIFFERENCES,
        cases,
        index=("charge",),
        direction=direction,
    )
    reason = "it bends too sharply for differences"
    return seen("charge_derivatives_law", cases, judged.any(axis=1), reason)


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


LAGRANGIAN_LAWS = (
    regularity_law,
    terms_law,
    residual_law,
    invariance_law,
    lie_derivative_law,
    component_law,
    noether_law,
    energy_law,
    derivatives_law,
    precision_law,
)
CHARGE_LAWS = (conservation_law, charge_derivatives_law)
