"""Laws of solvers: what a method claims of its steps, from many states, in many units."""

from typing import Any

import jax
import numpy as np

from ..solvers import keeps_charges
from ._differences import SHIFTS, require_derivative, step_of
from ._evidence import ROUNDING, Seen, Tolerance, require, seen
from ._solver_record import STEPS, Motion, SolverRecord

HALVINGS = 7
"""Sizes of steps, each half of the one before."""

FEW_HALVINGS = 3
"""Between two sizes of steps, so that the errors of one state tell something."""

RESOLVED = 1e-2
"""Error, over the size of a state, up to which it is expected to fall as its leading term does."""

SEEN = 300.0
"""Roundings of a state above which an error is one of the method."""

SHORT_OF = 0.3
"""Of an order, by which the slope between two finite steps may fall short of it."""

UNITS = ((2.0**33, 1.0), (2.0**-33, 1.0), (1.0, 2.0**20), (1.0, 2.0**-20))
"""Of length and time, ten and six decades. Powers of two: in them nothing is rounded otherwise."""

SHARE = 0.3
"""Of a state and of what it is stepped by, by which they differ along a direction."""

SOLVED_STEPS = Tolerance(
    1e4, "rounding of equations that are solved, relative to the state, by what steps amplify"
)

BELOW_ROUNDING = "their errors are at rounding, or large, in steps of all sizes"
UNSOLVED = "steps of the declared size are not solved"


def order_law(record: SolverRecord) -> Seen:
    """The error of a few steps of size h falls at least as h^(order + 1), forward and backward in
    time."""
    subject = record.subject
    order = subject.solver.order(None) if subject.order is None else subject.order
    if order is None:
        raise ValueError(f"{type(subject.solver).__name__} does not say its order: pass order=.")
    judged = np.zeros(len(record.cases.q), bool)
    for sign in (1, -1):
        judged |= _falls(record, float(order), sign * subject.dt * 0.5 ** np.arange(HALVINGS))
    return seen("order_law", record.cases, judged, BELOW_ROUNDING)


def _falls(record: SolverRecord, order: float, sizes: np.ndarray) -> np.ndarray:
    """Which cases could tell how fast errors fall from one size of steps to the next."""
    cases = record.cases
    far = record.reference(float(sizes[0]))[0]
    reach = np.max(np.abs(np.stack([cases.state, far])), axis=(0, 2, 3, 4))
    errors, least = np.empty((2, len(sizes), len(reach)))
    solved = np.empty(errors.shape, bool)
    for k, step in enumerate(sizes):
        found, (expected, unsure) = record.steps(record.measures(step)), record.reference(step)
        errors[k] = np.max(np.abs(found.state - expected), axis=(1, 2, 3))
        least[k] = np.maximum(SEEN * np.finfo(np.float64).eps * reach, 10 * unsure)
        solved[k] = found.solved
    if not np.all(solved[-1]):
        raise _violated(
            f"steps of size {sizes[-1]:.3g} are solved", record, int(np.argmin(solved[-1]))
        )
    telling = solved & (errors > least) & (errors < RESOLVED * reach)
    lost = _fall_short(sizes, errors, telling, order) | ~(errors[-1] <= RESOLVED * reach)
    if np.any(lost):
        case = int(np.argmax(lost))
        law = "the error in every state falls with the step"
        raise _violated(law, record, case, *_table(sizes, errors[:, case]))
    pairs = telling[1:] & telling[:-1]
    enough = np.flatnonzero(2 * np.sum(pairs, axis=1) >= len(reach))
    if len(enough):
        finest = enough[-1]
        chosen = pairs[finest]
        ratios = errors[finest, chosen] / errors[finest + 1, chosen]
        slope = float(np.mean(np.log2(ratios)))
        if slope < order + 1 - SHORT_OF:
            raise AssertionError(
                f"the error of {STEPS} steps falls as h^{order + 1:g}: violated, it falls as "
                f"h^{slope:.2f}\n  tolerance: {SHORT_OF} of the exponent; mean over "
                f"{chosen.sum()} states from h = {sizes[finest]:.3g} to {sizes[finest + 1]:.3g}\n"
                + "\n".join(_table(sizes, np.median(errors, axis=1)))
            )
    return np.any(pairs, axis=0) if len(enough) else np.zeros(len(reach), bool)


def _fall_short(sizes, errors, telling, order: float) -> np.ndarray:
    """In which cases the error falls from the first to the last size that tell by less than half of the
    order's exponent. In one case alone it may pass through zero at one of them."""
    first, last = np.argmax(telling, axis=0), len(sizes) - 1 - np.argmax(telling[::-1], axis=0)
    case = np.arange(errors.shape[1])
    fall = np.log2(errors[first, case] / errors[last, case])
    many = np.any(telling, axis=0) & (last - first >= FEW_HALVINGS)
    return many & (fall < (order + 1) / 2 * (last - first))


def _table(sizes: np.ndarray, errors: np.ndarray) -> list[str]:
    return [f"  h = {h:.3g}: error {e:.3g}" for h, e in zip(sizes, errors, strict=True)]


def _violated(law: str, record: SolverRecord, case: int, *evidence: str) -> AssertionError:
    q, v = (x[case].tolist() for x in (record.cases.q, record.cases.v))
    return AssertionError("\n".join([f"{law}: violated", *evidence, f"  q = {q}", f"  v = {v}"]))


def unit_law(record: SolverRecord) -> Seen:
    """In other units of length and time the same steps are taken, to rounding: no tolerance of a solver
    is an absolute one."""
    step = record.subject.dt
    here = record.steps(record.measures(step))
    for length, time in UNITS:
        there = record.steps(record.measures(step, length=length, time=time))
        words = f"steps in units {length:.3g} of length and {time:.3g} of time"
        _require_solved(words, record, here, there, "  Has the solver an absolute tolerance?")
        error = _where_solved(here, there.state - here.state)
        require(f"{words} are the same", error, _size(here.state), SOLVED_STEPS, record.cases)
    return seen("unit_law", record.cases, here.solved, UNSOLVED)


def solver_precision_law(record: SolverRecord) -> Seen:
    """Steps in single precision are those in double precision, up to rounding."""
    words, measures = "steps in single precision", record.measures(record.subject.dt)
    here = record.steps(measures)
    found = record.single((record.cases.q, record.cases.v), measures)
    if any(x.dtype != np.float32 for x in found.pair):
        raise AssertionError(f"{words} stay in it: violated, they end in {found.q.dtype}")
    _require_solved(words, record, here, found)
    error, size = _where_solved(here, found.state - here.state), _size(here.state)
    law = f"{words} are those in double precision"
    require(law, error, size, ROUNDING, record.cases, precision=np.float32)
    return seen("solver_precision_law", record.cases, here.solved, UNSOLVED)


def solver_derivatives_law(record: SolverRecord) -> Seen:
    """Derivatives of steps by the state, by their size and by what the Lagrangian holds are those of
    their values; in reverse they are those forward."""
    cases, measures = record.cases, record.measures(record.subject.dt)
    at = (cases.q, cases.v), measures
    rng = np.random.default_rng(0)
    along = jax.tree.map(lambda x: SHARE * np.max(np.abs(x)) * rng.normal(size=x.shape), at)
    here, changes = record.change(*at, along)

    def moved(shift: float) -> np.ndarray:
        near = jax.tree.map(lambda x, y: x + shift * step_of(np.float64) * y, at, along)
        return record.steps(near[1], near[0]).state

    judged = require_derivative(
        "the derivative of steps is that of their values",
        [moved(shift) for shift in SHIFTS],
        np.stack(changes, axis=1),
        _size(here.state),
        cases,
        judged=here.solved[:, None, None, None],
    )
    weights = tuple(rng.normal(size=x.shape) for x in at[0])
    back = record.pull_back(*at, weights)
    one, other = _products(weights, changes), _products(back, along)
    error = _where_solved(here, np.sum(one, axis=0) - np.sum(other, axis=0))
    size = np.sum(np.abs(one), axis=0) + np.sum(np.abs(other), axis=0)
    require("the derivative of steps in reverse is that forward", error, size, SOLVED_STEPS, cases)
    judged = np.all(judged, axis=(1, 2, 3))
    return seen("solver_derivatives_law", cases, judged, f"{UNSOLVED}, or bend too sharply")


def kept_charges_law(record: SolverRecord) -> Seen:
    """The charges of the group are kept to rounding, in steps of the declared size."""
    cases, measures = record.cases, record.measures(record.subject.dt)
    found = record.steps(measures)
    before, size = record.charges(cases.q, cases.v, measures.start)
    after, later = record.charges(found.q, found.v, measures.end)
    error, size = _where_solved(found, after - before), np.maximum(size, later)
    law = "charges of a group that leaves the Lagrangian unchanged are kept"
    require(law, error, size, SOLVED_STEPS, cases, index=("generator",))
    return seen("kept_charges_law", cases, found.solved, UNSOLVED)


def reversal_law(record: SolverRecord) -> Seen:
    """Steps back in time return to the start: the method is symmetric."""
    cases, measures = record.cases, record.measures(record.subject.dt)
    there = record.steps(measures)
    back = record.steps(
        measures._replace(start=measures.end, step=-measures.step), (there.q, there.v)
    )
    back = back._replace(solved=there.solved & back.solved)
    scale = np.maximum(_size(cases.state), _size(there.state))
    error = _where_solved(back, back.state - cases.state)
    require("steps back return to the start", error, scale, SOLVED_STEPS, cases)
    return seen("reversal_law", cases, back.solved, UNSOLVED)


def symplectic_law(record: SolverRecord) -> Seen:
    """Steps without a force keep the symplectic form dp ∧ dq, p = ∂L/∂v: for their derivative F,
    Fᵀ ω₁ F = ω₀."""
    cases, measures = record.cases, record.measures(record.subject.dt, strength=0.0)
    count, *shape = cases.state.shape
    still = jax.tree.map(np.zeros_like, measures)
    columns = []
    for unit in np.eye(int(np.prod(shape))):
        along = np.broadcast_to(unit.reshape(shape), cases.state.shape)
        _, changes = record.change(
            (cases.q, cases.v), measures, ((along[:, 0], along[:, 1]), still)
        )
        columns.append(np.stack(changes, axis=1).reshape(count, -1))
    slopes, found = np.stack(columns, axis=2), record.steps(measures)
    before = record.form(cases.q, cases.v, measures.start)
    after = record.form(found.q, found.v, measures.end)
    carried = np.swapaxes(slopes, 1, 2) @ after @ slopes
    terms = np.swapaxes(np.abs(slopes), 1, 2) @ np.abs(after) @ np.abs(slopes)
    size = np.max(terms, axis=(1, 2), keepdims=True)
    error = _where_solved(found, carried - before)
    require("steps keep the symplectic form", error, size, SOLVED_STEPS, cases)
    return seen("symplectic_law", cases, found.solved, UNSOLVED)


def laws_of_solver(subject: Any) -> tuple:
    """Those that a solver has to hold by what is declared of it."""
    declared = (
        (kept_charges_law, keeps_charges(subject.solver)),
        (reversal_law, subject.symmetric),
        (symplectic_law, subject.symplectic),
    )
    always = order_law, unit_law, solver_precision_law, solver_derivatives_law
    return (*always, *(law for law, claimed in declared if claimed))


def _size(state: np.ndarray) -> np.ndarray:
    """Of positions and, apart, of velocities, in every case."""
    return np.max(np.abs(state), axis=(2, 3), keepdims=True)


def _products(one: Any, other: Any) -> np.ndarray:
    """Inner products of the parts of two trees in every case, shape `(parts, cases)`."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return np.stack([np.sum((x * y).reshape(len(x), -1), axis=1) for x, y in pairs])


def _where_solved(found: Motion, error: np.ndarray) -> np.ndarray:
    return np.where(found.solved.reshape(-1, *[1] * (error.ndim - 1)), error, 0.0)


def _require_solved(
    words: str, record: SolverRecord, here: Motion, there: Motion, *advice: str
) -> None:
    lost = here.solved & ~there.solved
    if np.any(lost):
        law = f"{words} are solved where those in double precision and units of one are"
        raise _violated(law, record, int(np.argmax(lost)), f"  in {np.sum(lost)} cases", *advice)
