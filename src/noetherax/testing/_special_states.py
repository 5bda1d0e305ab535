"""States that no generic draw meets: in a special relation, or at a value that stands in a program."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

DECADES_BEYOND_ONE = (0.0, 1.0)
"""Powers of ten of the entries of states that all exceed one."""

BOTH_EVERY = 6
"""Every how many-th state has positions and velocities at one value together."""

BEYOND = (1.0, 1.01, 1.5)
"""By how much special values are met and passed, when all ways have had their turn."""

FAR_BEYOND = (1.1, 2.0)
"""Times a special value, where every entry is beyond it: behind a wall that stands there."""

SHARE_AT_VALUE = 0.6
"""Of the entries of positions or velocities, where some are at a value and others are not."""

TOGETHER = 4
"""Special values that have the same number of turns; those before them have one more."""

MOVING_SEED = 7
"""Of the velocities in the place of rest."""

ABOVE = 1 + 1e-12
"""Times a special value, a length is just above it: at the value itself, rounding would decide on which
side of a threshold it is."""


def special_states(shape: tuple, special: Sequence[float], count: int) -> np.ndarray:
    """`count` states of shape `(2, points, space)`, in special relations and then at special values, of
    which the first are met in the most ways."""
    rng = np.random.default_rng(2)
    related = count // 3 if special else count
    found = [related_state(rng, shape, i % len(RELATIONS)) for i in range(related)]
    ways = WAYS if shape[1] > 1 else WAYS_OF_ONE_POINT
    at, later, both = (turns(special, count) for _ in range(3))
    next(later, None)  # so that positions and velocities are at unlike values
    for i in range(count - len(found)):
        state = rng.normal(size=shape) * 10.0 ** rng.uniform(-0.5, 0.5, size=(2, 1, 1))
        if i % BOTH_EVERY == BOTH_EVERY - 1:
            turn, value = next(both)
            found.append(WAYS_OF_BOTH[turn % len(WAYS_OF_BOTH)](rng, state, value))
        else:
            chosen = zip(state, (at, later), strict=True)
            found.append(np.stack([_at_value(rng, x, ways, *next(turn)) for x, turn in chosen]))
    return np.stack(found) if found else np.zeros((0, *shape))


def moving(v: np.ndarray) -> np.ndarray:
    """Velocities `(cases, points, space)`, others of the same size where a point is at rest or two move
    alike."""
    random = np.random.default_rng(MOVING_SEED).normal(size=v.shape).astype(v.dtype)
    speed = np.abs(v).max(axis=(1, 2), keepdims=True)
    random = random * np.where(speed > 0, speed, 1)
    apart = np.abs(v[:, :, None] - v[:, None]).max(axis=3)
    apart = apart + np.where(np.eye(v.shape[1]), np.inf, 0)
    still = np.any(np.abs(v).max(axis=2) == 0, axis=1) | np.any(apart == 0, axis=(1, 2))
    return np.where(still[:, None, None], random, v)


def _at_value(rng, x, ways: Sequence[Callable], turn: int, value: float) -> np.ndarray:
    factor, way = divmod(turn, len(ways))
    return ways[way](rng, x, BEYOND[factor % len(BEYOND)] * value)


def turns(special: Sequence[float], most: int) -> Iterator[tuple[int, float]]:
    """Values, and how often each has had its turn before, for as long as one may want."""
    for round_ in range(most + 1 if special else 0):
        for i, value in enumerate(special):
            if i // TOGETHER <= round_:
                yield round_ - i // TOGETHER, value


def related_state(rng: np.random.Generator, shape: tuple, relation: int) -> np.ndarray:
    """A random state, brought into one of the `RELATIONS`."""
    return np.stack(RELATIONS[relation](rng, *rng.normal(size=shape)))


# Relations, of a random generator, positions and velocities.


def _all_above_one(rng, q, v):
    return _beyond_one(rng, q)[0]


def _all_below_minus_one(rng, q, v):
    return -_beyond_one(rng, q)[0]


def _all_beyond_one(rng, q, v):
    size, sign = _beyond_one(rng, q)
    return sign * size


def _beyond_one(rng, q) -> tuple[np.ndarray, np.ndarray]:
    """Numbers above one for positions and velocities, and signs for them."""
    size = 10.0 ** rng.uniform(*DECADES_BEYOND_ONE, size=(2, 1, 1))
    sign = rng.choice([-1.0, 1.0], size=(2, *q.shape))
    return 1 + size * np.abs(rng.normal(size=(2, *q.shape))), sign


def _equal(rng, q, v):
    return q, q


def _parallel(rng, q, v):
    return q, rng.normal() * q


def _orthogonal(rng, q, v):
    return q, v - q * np.sum(q * v) / np.sum(q * q)


def _coinciding_points(rng, q, v):
    return np.broadcast_to(q[:1], q.shape), v


def _at_rest(rng, q, v):
    return q, np.zeros_like(v)


def _at_the_origin(rng, q, v):
    return np.zeros_like(q), v


def _on_one_axis(rng, q, v):
    axis = np.arange(q.shape[1]) == rng.integers(q.shape[1])
    return q * axis, v * axis


def _equal_entries(rng, q, v):
    return np.broadcast_to(q[:, :1], q.shape), np.broadcast_to(v[:, :1], v.shape)


def _whole_numbers(rng, q, v):
    return np.rint(3 * q), np.rint(3 * v)


RELATIONS: tuple[Callable, ...] = (
    _all_above_one,
    _all_below_minus_one,
    _all_beyond_one,
    _equal,
    _parallel,
    _orthogonal,
    _coinciding_points,
    _at_rest,
    _at_the_origin,
    _on_one_axis,
    _equal_entries,
    _whole_numbers,
)


# Ways for positions, or velocities, to be at a value: of a random generator, them and the value.


def _every_entry(rng, x, value):
    return np.full(x.shape, value)


def _entries(rng, x, value):
    sign = rng.choice([-1.0, 1.0, 1.0, 1.0], size=x.shape)
    return np.where(rng.random(x.shape) < SHARE_AT_VALUE, value * sign, x)


def _entries_beyond(rng, x, value):
    return _entries(rng, x, value * rng.uniform(*FAR_BEYOND))


def _every_entry_beyond(sign: float) -> Callable:
    return lambda rng, x, value: sign * value * rng.uniform(*FAR_BEYOND, size=x.shape)


def _length(rng, x, value):
    return x * ABOVE * value / np.linalg.norm(x)


def _distance_from_the_first_point(rng, x, value):
    apart = x[1:] - x[:1]
    return np.concatenate([x[:1], x[:1] + ABOVE * value * apart / np.linalg.norm(apart)])


def _length_of_every_vector(rng, x, value):
    return x * ABOVE * value / np.linalg.norm(x, axis=-1, keepdims=True)


def _squared(way: Callable) -> Callable:
    """The square of a length at the value."""
    return lambda rng, x, value: way(rng, x, value**0.5)


WAYS_OF_ONE_POINT: tuple[Callable, ...] = (
    _every_entry,
    _every_entry_beyond(1.0),
    _length,
    _squared(_length),
    _entries,
    _every_entry_beyond(-1.0),
    _entries_beyond,
)
"""Those first that are met most."""

WAYS: tuple[Callable, ...] = (
    *WAYS_OF_ONE_POINT[:4],
    _distance_from_the_first_point,
    _squared(_distance_from_the_first_point),
    *WAYS_OF_ONE_POINT[4:],
    _length_of_every_vector,
    _squared(_length_of_every_vector),
)


# Ways for a state to be at a value.


def _product(rng, state, value):
    q, v = state
    return np.stack([q, v * ABOVE * value / np.sum(q * v)])


def _lengths(rng, state, value):
    return np.stack([_length(rng, x, value) for x in state])


WAYS_OF_BOTH: tuple[Callable, ...] = (_product, _lengths, _squared(_lengths))
