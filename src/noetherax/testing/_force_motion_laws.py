"""Laws of what forces do to a motion: no power, nothing at rest, and an account of every charge."""

import jax
import numpy as np

from ..dynamics import forces_of
from ._evidence import ROUNDING, Seen, Tolerance, require, seen
from ._force_laws import BEYOND_NUMBERS, NO_GENERATORS
from ._force_programs import STEPS, balance_of
from ._force_records import ForceRecord
from ._force_rounding import moderate
from ._programs import Program

BALANCED = Tolerance(
    1e4, "rounding of a dozen steps of a variational solver, each the solution of an equation"
)

SHORTEST = 1e-3
"""Of the time: motions that are shorter are lost in its rounding."""

NO_LAGRANGIAN = (
    "the group changes ½ Σ v², the Lagrangian beside a force alone: give noetherax.Forced(L, force) "
    "with an L that has the symmetry"
)

NO_MOTION = "no case has a motion that can be followed"

MOTIONS = 8
"""Cases whose motion is followed."""

PART_OF_A_TURN = 0.1
"""Of the time in which a motion changes: one step of it."""


def power_law(record: ForceRecord) -> Seen:
    """The force adds no energy, Q · v ≤ 0, at velocities over decades and in any direction, with points
    far away, close together and at the origin."""
    here = record.everywhere
    v = here.cases.v.astype(float)
    power = np.einsum("nfpi,npi->nf", here.force, v)

    def check(terms: np.ndarray) -> None:
        require(
            "the force adds no energy, Q · v ≤ 0",
            np.maximum(power, 0),
            np.einsum("nfpi,npi->nf", terms, np.abs(v)),
            ROUNDING,
            here.cases,
            judged=here.judged,
            index=("force",),
            **here.evidence,
        )

    here.settle(check)
    return seen("power_law", here.cases, here.judged, BEYOND_NUMBERS)


def rest_law(record: ForceRecord) -> Seen:
    """A force that adds no energy vanishes at rest."""
    cases, values = record.cases, record.function.values
    if not record.subject.rest:
        return Seen("rest_law", cases.distinct, 0, "not asked for at rest")
    known = values.at(np.stack([cases.q, 0 * cases.v], axis=1))
    judged = record.usable & moderate(known)
    value = record.of_forces(np.where(judged[:, None], known["value"], 0))

    def check(scale: np.ndarray) -> None:
        require(
            "a force that adds no energy vanishes at rest",
            value,
            record.of_forces(scale),
            ROUNDING,
            cases._replace(v=0 * cases.v),
            judged=judged,
            index=("force", "point", "axis"),
            **record.evidence,
        )

    record.settle(check)
    return seen("rest_law", cases, judged, BEYOND_NUMBERS)


def balance_law(record: ForceRecord) -> Seen:
    """Along a short motion by a variational solver, the charges change by what the force puts into
    them, and not at all where they are promised to be kept; in float64."""
    name, function, promised = "balance_law", record.function, record.subject.keeps_charges
    if not record.group.dimension:
        return Seen(name, 0, 0, NO_GENERATORS)
    if function.batch.dtype != np.float64:
        return Seen(name, 0, 0, "asked for in float64 only")
    if not forces_of(record.subject.force) and not _keeps_kinetic_energy(record):
        return Seen(name, 0, 0, NO_LAGRANGIAN)
    chosen, step = _motions(record)
    if not len(chosen):
        return Seen(name, 0, 0, NO_MOTION)
    parameters = jax.tree.map(lambda x: x[chosen], record.cases.parameters)
    motion = parameters, record.cases.state[chosen], record.cases.t[chosen], step[chosen]
    program = Program(balance_of(function.model.static, record.group), *motion)
    known = program(*motion)
    cases = record.cases.subset(chosen)
    judged = np.all(np.isfinite(known["left"]), axis=(1, 2))
    scale = known["parts"][:, None] + np.abs(known["change"])
    laws = {"left": "charges change by what the force puts into them, along a motion"}
    if promised:
        laws["change"] = "the force keeps all charges, along a motion"
    for part, law in laws.items():
        require(
            law,
            np.where(judged[:, None, None], known[part], 0),
            scale,
            BALANCED,
            cases,
            judged=judged,
            index=("time", "charge"),
            t=cases.t,
        )
    return seen(name, cases, judged, "a step found no solution")


def _keeps_kinetic_energy(record: ForceRecord) -> bool:
    """Whether the group leaves ½ Σ v² unchanged."""
    fields, v = record.function.moves.here["fields"][:, :, 1].astype(float), record.cases.v
    change = np.einsum("napi,npi->na", fields, v)
    size = np.einsum("napi,npi->na", np.abs(fields), np.abs(v))
    return bool(np.all(np.abs(change) <= ROUNDING.of(v.dtype) * size))


def _motions(record: ForceRecord) -> tuple[np.ndarray, np.ndarray]:
    """Cases whose motion is followed, those of the most usual pace, and their steps."""
    cases, known, units = record.cases, record.function.values.here, record.function.units.state
    q, v = np.moveaxis(units.max(axis=(2, 3)).astype(float), 1, 0)
    of_q, of_v = np.moveaxis(
        np.abs(known["slope"]).reshape(*known["slope"].shape[:2], 2, -1).max(axis=(1, 3)), 1, 0
    )
    with np.errstate(all="ignore"):
        pace = v / q + np.abs(known["value"]).max(axis=1) / v + of_v + np.sqrt(of_q)
        step = PART_OF_A_TURN / pace
        fit = record.usable & np.isfinite(step) & (step > 0)
        fit &= STEPS * step > SHORTEST * np.abs(cases.t)
        far = np.where(fit, np.abs(np.log(pace)), np.inf)
    chosen = np.argsort(far, kind="stable")[:MOTIONS]
    return chosen[np.isfinite(far[chosen])], step
