"""What rounding of generators is relative to, beyond what slopes show: terms that cancel within them,
as in 1 − tanh² q."""

import warnings

import numpy as np

from ._records import GroupRecord
from ._sizes import Units

STEPS = tuple(range(-4, 5))
"""Where generators are taken, in steps along the state: for several fourth differences, since the
errors in one may cancel."""

FOURTH = (1.0, -4.0, 6.0, -4.0, 1.0)
"""Weights of a fourth difference. With steps of ε^(1/4) of the state, that of a smooth function is as
small as its rounding, and rounding of anything larger stands out."""

QUARTILE = 0.25
"""Of the cases whose neighbours scatter: a case below may scatter less by chance, or not at all. With a
higher one a few cases with large terms would speak for all."""

STEP_SEED = 7
"""Of the steps, each entry its own."""


def terms_of_fields(record: GroupRecord, direction: np.ndarray) -> np.ndarray:
    """What rounding of the generators and of the rate of `act` along `direction` is relative to, by how
    they scatter among neighbouring states; the shape is that of the generators.

    What scatters counts up to the largest generator at any state and no further: else all that is
    rounded to few digits would pass as rounding. By chance neighbours may scatter less, or not at all,
    where a term is rounded to the same steps everywhere, as 1 − cos q near zero: the lower quartile of
    the cases that do scatter counts at least.
    """
    cases = record.cases
    fields, rates = _nearby(record, direction)
    epsilon = float(np.finfo(cases.q.dtype).eps)
    scatter = np.fmax(_scatter(fields), _scatter(rates)[:, None]) / epsilon
    seen = np.where(scatter > 0, scatter, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where none scatters
        least = np.nan_to_num(np.nanquantile(seen, QUARTILE, axis=0))
    scatter = np.maximum(scatter, least)
    largest = np.abs(record.moves.here["fields"].astype(float)).max(axis=(0, 3), keepdims=True)
    terms = np.minimum(scatter, largest)
    # A generator that is constant to its last digit has slopes that are less than a digit.
    constant = np.all(fields[:, :, :, 0] == fields[0][:, :, 0], axis=0)
    q, v = _units(record)
    slope = np.abs(fields[0][:, :, 0]) * np.sum(v / q, axis=(1, 2))[:, None, None, None]
    terms[:, :, 1] += np.where(constant, slope, 0)
    return terms


def _nearby(record: GroupRecord, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generators and rates at the drawn states and at neighbours of them, one after the other."""
    state, moves = record.cases.state, record.moves
    step = float(np.finfo(state.dtype).eps) ** 0.25
    steps = step * np.random.default_rng(STEP_SEED).uniform(0.5, 1, size=state.shape)
    none = np.zeros_like(record.cases.coefficients)
    known = [
        moves.at(none, direction, (state * (1 + k * steps)).astype(state.dtype)) for k in STEPS
    ]
    fields, rates = (np.stack([x[name] for x in known]) for name in ("fields", "rate"))
    return fields.astype(float), rates.astype(float)


def _scatter(values: np.ndarray) -> np.ndarray:
    """The largest of the fourth differences."""
    windows = (values[i : i + len(FOURTH)] for i in range(len(STEPS) - len(FOURTH) + 1))
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.max([np.abs(np.tensordot(FOURTH, x, 1)) for x in windows], axis=0)
    return np.nan_to_num(found, nan=0.0, posinf=0.0)


def _units(record: GroupRecord) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of positions and velocities, axis by axis, where nothing is zero."""
    size = np.maximum(Units(record.cases).state, record.sizes.centre)
    q, v = size.swapaxes(0, 1)
    return q, v
