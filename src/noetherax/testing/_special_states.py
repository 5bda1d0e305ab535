"""States that no generic draw meets: in a special relation, or at a value that stands in a program."""

from collections.abc import Callable, Sequence

import numpy as np

DECADES_BEYOND_ONE = (0.0, 1.0)
"""Powers of ten of the entries of states that all exceed one."""

BEYOND = (1.0, 1.01, 1.5)
"""By how much special values are met and passed."""

ABOVE = 1 + 1e-12
"""Times a special value, a length is just above it: at the value itself, rounding would decide on which
side of a threshold it is."""


def special_states(shape: tuple, special: Sequence[float], count: int) -> np.ndarray:
    """`count` states of shape `(2, points, space)`, in special relations and then at special values,
    one after the other."""
    rng = np.random.default_rng(2)
    related = count // 3 if special else count
    found = [related_state(rng, shape, i % len(RELATIONS)) for i in range(related)]
    ways = WAYS if shape[1] > 1 else WAYS_OF_ONE_POINT
    turn = 0
    while len(found) < count:
        index, value = divmod(turn, len(special))
        factor, way = divmod(index, len(ways))
        beyond = BEYOND[factor % len(BEYOND)]
        state = rng.normal(size=shape) * 10.0 ** rng.uniform(-0.5, 0.5, size=(2, 1, 1))
        found.append(ways[way](rng, state, beyond * special[value]))
        turn += 1
    return np.stack(found) if found else np.zeros((0, *shape))


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


# Ways for a state to be at a value, of a random generator, the state and the value.


def _entries(rng, state, value):
    sign = rng.choice([-1.0, 1.0, 1.0], size=state.shape)
    return np.where(rng.random(state.shape) < 0.5, value * sign, state)


def _length_of_positions(rng, state, value):
    q, v = state
    return np.stack([q * ABOVE * value / np.linalg.norm(q), v])


def _length_of_velocities(rng, state, value):
    q, v = state
    return np.stack([q, v * ABOVE * value / np.linalg.norm(v)])


def _product(rng, state, value):
    q, v = state
    return np.stack([q, v * ABOVE * value / np.sum(q * v)])


def _distance_from_the_first_point(rng, state, value):
    q, v = state
    apart = q[1:] - q[:1]
    q = np.concatenate([q[:1], q[:1] + ABOVE * value * apart / np.linalg.norm(apart)])
    return np.stack([q, v])


def _length_of_every_vector(rng, state, value):
    return state * ABOVE * value / np.linalg.norm(state, axis=-1, keepdims=True)


def _squared(way: Callable) -> Callable:
    """The square of a length at the value."""
    return lambda rng, state, value: way(rng, state, value**0.5)


WAYS_OF_ONE_POINT: tuple[Callable, ...] = (
    _entries,
    _length_of_positions,
    _squared(_length_of_positions),
    _length_of_velocities,
    _entries,
    _squared(_length_of_velocities),
    _entries,
    _product,
)
"""Those first that are met most: every special value is met in the first way, then in the second, as
far as there are cases. Of the entries only half are at it each time."""

WAYS: tuple[Callable, ...] = (
    *WAYS_OF_ONE_POINT,
    _distance_from_the_first_point,
    _squared(_distance_from_the_first_point),
    _length_of_every_vector,
    _squared(_length_of_every_vector),
)
