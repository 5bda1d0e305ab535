"""Laws of what a symmetry asks of forces: that they turn with the state, and have no part along a
generator where charges are promised."""

import numpy as np

from ..groups import component_representatives, periods
from ._evidence import NO_COMPONENTS, NO_PERIODS, ROUNDING, Seen, require, seen
from ._force_records import ForceRecord
from ._force_rounding import moderate, settle
from ._sizes import largest
from ._symmetry_laws import MANY_TURNS

NO_GENERATORS = "the group has no generators"

BEYOND_NUMBERS = "the force is beyond numbers there, or has faded with new weights"


def equivariance_law(record: ForceRecord) -> Seen:
    """Q(h·q, h_* v) · h_* w = Q(q, v) · w for group elements h, small and large, at any time and with
    any inputs, for every displacement w."""
    name = "equivariance_law"
    if not record.group.dimension:
        return Seen(name, 0, 0, NO_GENERATORS)
    here = record.function.moves.here
    law = "a group element carries the force with it"
    size, element = record.function.sizes.moved, record.cases.coefficients
    judged = carried_along(record, law, here["moved"], size, here["carried"], element)
    return seen(name, record.cases, judged, BEYOND_NUMBERS)


def covector_component_law(record: ForceRecord) -> Seen:
    """The group's further components, such as reflections, carry the force with them, also after an
    element."""
    name = "covector_component_law"
    components = component_representatives(record.group).astype(record.cases.q.dtype)
    if not len(components):
        return Seen(name, 0, 0, NO_COMPONENTS)
    judged = np.ones(len(record.cases.q), bool)
    for component in components:
        for state, size, carried in before_and_after(record):
            further = np.einsum("ij,npjbk->npibk", component, carried)
            size = np.maximum(size, size @ np.abs(component).T)
            law = "a component of the group carries the force with it"
            element = np.broadcast_to(component, (len(judged), *component.shape))
            judged &= carried_along(record, law, state @ component.T, size, further, element)
    return seen(name, record.cases, judged, BEYOND_NUMBERS)


def covector_period_law(record: ForceRecord) -> Seen:
    """The force is the same if one point is shifted by periods of the group, also after an element."""
    name, turns = "covector_period_law", periods(record.group)
    axes = [int(axis) for axis in np.flatnonzero(np.isfinite(turns))]
    if not axes:
        return Seen(name, 0, 0, NO_PERIODS)
    judged = np.ones(len(record.cases.q), bool)
    for point in range(record.cases.q.shape[1]):
        for axis in axes:
            for count in (1, -MANY_TURNS):
                change = np.zeros_like(record.cases.state[0])
                change[0, point, axis] = count * turns[axis]
                for state, size, carried in before_and_after(record):
                    size = np.maximum(size, largest(change[None]))
                    law = "a shift by periods leaves the force unchanged"
                    element = np.broadcast_to(change, state.shape)
                    judged &= carried_along(record, law, state + change, size, carried, element)
    return seen(name, record.cases, judged, BEYOND_NUMBERS)


def before_and_after(record: ForceRecord):
    """The drawn states, and where elements lead: with their sizes, and with what the elements do to
    displacements."""
    here, sizes = record.function.moves.here, record.function.sizes
    q = record.cases.q[0]
    identity = np.eye(q.size).reshape(*q.shape, *q.shape)
    yield record.cases.state, sizes.state, np.broadcast_to(identity, here["carried"].shape)
    yield here["moved"], sizes.moved, here["carried"]


def carried_along(record: ForceRecord, law: str, state, size, carried, element) -> np.ndarray:
    """Requires that the force at other states, seen in displacements before they were `carried` there,
    is that at the drawn ones. Returns what was judged."""
    values = record.function.values
    there, carried = values.at(state, size), carried.astype(float)
    terms = np.nan_to_num(values.terms(there, size), nan=0.0, posinf=0.0)
    judged = record.usable & moderate(there) & moderate(values.here)

    def back(force: np.ndarray, carried: np.ndarray) -> np.ndarray:
        force = np.where(judged[:, None], force, 0).astype(float)
        return np.einsum("nfpi,npibj->nfbj", record.of_forces(force), carried)

    here = record.of_forces(np.where(judged[:, None], values.here["value"], 0))
    error, there = back(there["value"], carried) - here, back(terms, np.abs(carried))

    def check(scale: np.ndarray) -> None:
        require(
            law,
            error,
            there + record.of_forces(scale),
            ROUNDING,
            record.cases,
            judged=judged,
            index=("force", "point", "axis"),
            element=element,
            **record.evidence,
        )

    record.settle(check)
    return judged


def covector_derivative_law(record: ForceRecord) -> Seen:
    """The Lie derivative of the force along every generator vanishes, at any velocity:
    ∂Q/∂q · ξ + ∂Q/∂v · δv + Q · ∂ξ/∂q = 0."""
    name = "covector_derivative_law"
    if not record.group.dimension:
        return Seen(name, 0, 0, NO_GENERATORS)
    here = record.everywhere
    fields, turned = here.moves["fields"], here.moves["slopes"]
    flat = fields.reshape(*fields.shape[:2], -1)
    reach = here.reach.reshape(flat.shape)
    finite = np.all(np.isfinite(here.here["slope"]), axis=(1, 2))
    slope = np.where(finite[:, None, None], here.here["slope"], 0).astype(float)
    moved = np.einsum("nmi,nai->nam", slope, flat)
    shape = *moved.shape[:2], *here.force.shape[1:]
    scale = np.einsum("nmi,nai->nam", here.slope, np.abs(flat))
    scale = scale + np.einsum("nmi,nai->nam", np.abs(slope), reach)
    judged = here.judged & finite
    error = moved.reshape(shape) + np.einsum("nfpi,napibj->nafbj", here.force, turned)

    def check(scales: tuple) -> None:
        terms, noise = scales
        rounded = scale + np.einsum("nmi,nai->nam", noise, np.abs(flat))
        require(
            "the Lie derivative of the force along every generator vanishes",
            error,
            rounded.reshape(shape) + np.einsum("nfpi,napibj->nafbj", terms, np.abs(turned)),
            ROUNDING,
            here.cases,
            judged=judged,
            index=("generator", "force", "point", "axis"),
            fields=fields[:, :, 0],
            **here.evidence,
        )

    none = np.zeros_like(slope)
    settle(check, lambda: (here.of_here, none), lambda: (here.terms, here.noise_of_slopes))
    return seen(name, here.cases, judged, BEYOND_NUMBERS)


def charges_law(record: ForceRecord) -> Seen:
    """The force has no part along a generator, Q · ξ_a = 0: it changes no charge, at any velocity."""
    name = "charges_law"
    if not record.group.dimension:
        return Seen(name, 0, 0, NO_GENERATORS)
    here = record.everywhere
    fields, reach = here.moves["fields"][:, :, 0], here.reach[:, :, 0]
    error = np.einsum("nfpi,napi->naf", here.force, fields)
    rounded = np.einsum("nfpi,napi->naf", np.abs(here.force), reach)

    def check(terms: np.ndarray) -> None:
        require(
            "the force has no part along a generator",
            error,
            np.einsum("nfpi,napi->naf", terms, np.abs(fields)) + rounded,
            ROUNDING,
            here.cases,
            judged=here.judged,
            index=("generator", "force"),
            fields=fields,
            **here.evidence,
        )

    here.settle(check)
    return seen(name, here.cases, here.judged, BEYOND_NUMBERS)
