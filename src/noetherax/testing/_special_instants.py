"""Times and inputs at and between the values that stand in a program: no draw would find a narrow
window between two of them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice, pairwise

import numpy as np

from ._special_states import BEYOND

SEED = 8
"""Of what is not special in them."""

SUREST = 6
"""Special values that are met in further ways; thresholds come first among them."""

Interval = tuple[float, float]


def special_times(special: Sequence[float], count: int) -> np.ndarray:
    """`count` times of both signs: one in every interval between special values, then these."""
    rng = np.random.default_rng(SEED)
    intervals = [*_between(special), *((x, x) for x in special)]
    found = [_inside(rng, x, 1) * sign for sign in (1.0, -1.0) for x in intervals]
    return np.concatenate(list(islice(cycle(found), count)))


def special_inputs(inputs: int, special: Sequence[float], count: int) -> np.ndarray:
    """`count` inputs that are special in one way after the other, shape `(count, inputs)`."""
    rng = np.random.default_rng(SEED)
    if not inputs:
        return np.zeros((count, 0))
    turns = islice(cycle(list(_ways(inputs, special))), count)
    return np.stack([way(rng, rng.normal(size=inputs), interval) for way, interval in turns])


def _ways(inputs: int, special: Sequence[float]) -> Iterator[tuple[Callable, Interval]]:
    """Those first that are met most."""
    between, at = _between(special), [(x, x) for x in special[:SUREST]]
    for way in (_entries, _squared_length):
        yield from ((way, x) for x in between)
    if inputs > 1:  # of one, the length is the entry
        yield from ((_length, x) for x in between[:SUREST])
    yield from ((_negative_entries, x) for x in between)
    yield from ((_some_entries, x) for x in at)


def _between(special: Sequence[float]) -> list[Interval]:
    """From every special value to the next larger one, and from zero to the smallest."""
    ordered = sorted(special)
    following = dict(pairwise(ordered))
    above = [(x, following.get(x, BEYOND[-1] * x)) for x in special]
    return [*above, (0.0, ordered[0])]


def _inside(rng: np.random.Generator, interval: Interval, count: int) -> np.ndarray:
    """Numbers in the middle half of an interval."""
    low, high = interval
    return low + (high - low) * rng.uniform(0.25, 0.75, size=count)


# Ways for inputs to be in an interval, of a random generator, the inputs and the interval.


def _entries(rng, u, interval):
    return _inside(rng, interval, len(u))


def _negative_entries(rng, u, interval):
    return -_inside(rng, interval, len(u))


def _some_entries(rng, u, interval):
    sign = rng.choice([-1.0, 1.0], size=len(u))
    some = rng.random(len(u)) < 0.5
    return np.where(some if some.any() else True, sign * _inside(rng, interval, len(u)), u)


def _length(rng, u, interval):
    return u * _inside(rng, interval, 1) / np.linalg.norm(u)


def _squared_length(rng, u, interval):
    return u * _inside(rng, interval, 1) ** 0.5 / np.linalg.norm(u)
