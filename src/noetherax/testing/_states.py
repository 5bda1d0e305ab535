"""Strategies for states: generic ones, ones in special relations, and ones at given values."""

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np

STATE_DECADES = (-3.0, 2.0)
"""Powers of ten of the size of positions and, independently, of velocities."""

SMALLEST = 1e-9
"""Smallest entry that Hypothesis draws beside zero: the square of its square is still a number."""


def states(
    points: int,
    space: int,
    *,
    bound: float | None = None,
    like: tuple[Any, Any] | None = None,
    dtype: Any = np.float64,
) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Strategy for states `(q, v)`, each of shape `(points, space)`.

    Normally distributed ones of unit size and of sizes over decades, positions and velocities
    independently; ones whose entries all exceed one; ones in a special relation, such as parallel
    velocities, points on top of each other, rest; and what Hypothesis finds interesting.

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `bound`: largest entry, none by default.
    - `like`: samples `(q, v)`, each of shape `(samples, points, space)`. States are then drawn at and
        around these, in the units that they have, and nowhere else.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy.
    """
    shape = (2, points, space)
    if like is not None:
        around = _around(like, shape)
        draw = st.integers(0, 2**32 - 1).map(lambda seed: around(np.random.default_rng(seed)))
    else:

        def of_kind(seed: int) -> np.ndarray:
            rng = np.random.default_rng(seed)
            kind = rng.random()
            if kind < 0.4:
                return rng.normal(size=shape)
            if kind < 0.8:
                size = 10.0 ** rng.uniform(*STATE_DECADES, size=(2, 1, 1))
                return size * rng.normal(size=shape)
            return related(rng, shape, int(rng.integers(RELATIONS)))

        limit = float(np.float32(2.0 if bound is None else bound))
        entries = st.floats(-limit, limit, width=32 if np.dtype(dtype) == np.float32 else 64)
        interesting = hnp.arrays(np.dtype(dtype), shape, elements=entries)
        interesting = interesting.map(lambda x: np.where(np.abs(x) < SMALLEST, 0, x))
        seeds = st.integers(0, 2**32 - 1).map(of_kind)
        draw = st.one_of(*[seeds] * 5, interesting)

    def finish(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if bound is not None:
            array = np.clip(array, -bound, bound)
        q, v = array.astype(dtype)
        return q, v

    return draw.map(finish)


def _around(like: tuple, shape: tuple) -> Callable:
    q, v = (np.asarray(x, float) for x in like)
    if q.ndim != 3 or q.shape != v.shape or q.shape[1:] != shape[1:] or not len(q):
        raise ValueError(
            f"like must be samples (q, v), each of shape (samples, {shape[1]}, {shape[2]}), but the "
            f"shapes are {q.shape} and {v.shape}."
        )
    if not (np.all(np.isfinite(q)) and np.all(np.isfinite(v))):
        raise ValueError("like must be finite, but some samples are not.")
    data = np.stack([q, v])
    spread = data.std(axis=(1, 2), keepdims=True)[:, 0]

    def draw(rng):
        sample = data[:, rng.integers(len(q))]
        if rng.random() < 0.25:
            return sample
        if rng.random() < 0.25:
            sample = np.stack([sample[0], data[1, rng.integers(len(q))]])
        return sample + spread * 10.0 ** rng.uniform(-3, 0) * rng.normal(size=shape)

    return draw


RELATIONS = 12
"""Number of special relations below."""


def related(rng: np.random.Generator, shape: tuple, relation: int) -> np.ndarray:
    """A state in a relation that generic ones are never in, or all of whose entries exceed one."""
    q, v = rng.normal(size=shape)
    if relation < 3:
        size = 10.0 ** rng.uniform(0, STATE_DECADES[1] / 2, size=(2, 1, 1))
        sign = (1.0, -1.0, rng.choice([-1.0, 1.0], size=shape))[relation]
        return sign * (1 + size * np.abs(rng.normal(size=shape)))
    if relation == 3:
        v = q
    elif relation == 4:
        v = rng.normal() * q
    elif relation == 5:
        v = v - q * np.sum(q * v) / np.sum(q * q)
    elif relation == 6:
        q = np.broadcast_to(q[:1], q.shape)
    elif relation == 7:
        v = np.zeros_like(v)
    elif relation == 8:
        q = np.zeros_like(q)
    elif relation == 9:
        axis = rng.integers(shape[2])
        q, v = (x * (np.arange(shape[2]) == axis) for x in (q, v))
    elif relation == 10:
        q, v = (np.broadcast_to(x[:, :1], x.shape) for x in (q, v))
    else:
        q, v = np.rint(3 * q), np.rint(3 * v)
    return np.stack([q, v])


def marked(rng: np.random.Generator, shape: tuple, value: float, way: int) -> np.ndarray:
    """A state at a special value, or at its root: entries, lengths, products or distances."""
    q, v = state = rng.normal(size=shape) * 10.0 ** rng.uniform(-0.5, 0.5, size=(2, 1, 1))
    if way % 4 == 0:
        sign = rng.choice([-1.0, 1.0, 1.0], size=shape)
        return np.where(rng.random(shape) < 0.5, value * sign, state)
    length = value if way < 7 else value**0.5
    if way % 6 == 1:
        q = q * length / np.linalg.norm(q)
    elif way % 6 == 2:
        v = v * length / np.linalg.norm(v)
    elif way == 3 or len(q) == 1:
        v = v * value / np.sum(q * v)
    elif way in (6, 10):
        q, v = (x * length / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, v))
    else:
        apart = q[1:] - q[:1]
        q = np.concatenate([q[:1], q[:1] + length * apart / np.linalg.norm(apart)])
    return np.stack([q, v])


WAYS = (0, 1, 7, 2, 8, 3, 4, 5, 11, 6, 10)
"""The ways above, those first that are met most."""

BEYOND = (1.0, 1.01, 1.5)
"""By how much special values are met and passed."""


def special_states(shape: tuple, special: Sequence[float], count: int) -> np.ndarray:
    """States in special relations, and then at special values, one after the other."""
    rng = np.random.default_rng(2)
    found = [related(rng, shape, i % RELATIONS) for i in range(count // 3 if special else count)]
    turn = 0
    while len(found) < count:
        index, value = divmod(turn, len(special))
        factor, way = divmod(index, len(WAYS))
        beyond = BEYOND[factor % len(BEYOND)]
        found.append(marked(rng, shape, beyond * special[value], WAYS[way]))
        turn += 1
    return np.stack(found) if found else np.zeros((0, *shape))
