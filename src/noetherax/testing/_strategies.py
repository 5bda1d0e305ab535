from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import equinox as eqx
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import matrix_balance

from ..training import trainable

_Model = TypeVar("_Model")

STATE_DECADES = (-3.0, 2.0)
"""Powers of ten of the size of positions and, independently, of velocities."""

ELEMENT_DECADES = (-3.0, 3.0)
"""Powers of ten of group elements, as angles or, without any, as distances."""

LARGEST_ELEMENT = 10.0 ** ELEMENT_DECADES[1]

GROWTH = 1.5
"""Largest exponent by which an element may stretch a state: beyond it, rounding hides what it does."""

SHEAR = 1e-2
"""Eigenvalues in units of the entries of a matrix, in balanced units, below which it is a shear."""

TIME_DECADES = (-2.0, 1.0)

WEIGHT_DECADES = (-2.0, 2.0)
"""Powers of ten of weights, in units of the size that they have."""

SMALLEST = 1e-9
"""Smallest entry that Hypothesis draws beside zero: the square of its square is still a number."""

PLAIN = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Values that are special everywhere."""


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


def group_elements(
    group: Any, *, bound: float = 1.0, special: Sequence[float] = (), dtype: Any = np.float64
) -> st.SearchStrategy[np.ndarray]:
    """Strategy for group elements in exponential coordinates, shape `(group.dimension,)`.

    Half of them move what is at distance one by `bound` at most, whatever the unit of a generator; the
    others are of sizes over decades, up to a thousand radians or units of length, as long as they do
    not stretch a state by more than 4.5.

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].
    - `bound`: by how much the smaller ones move a state, at most.
    - `special`: values at which coordinates are drawn exactly.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy; give the drawn coefficients to `group.act`.
    """
    if not group.dimension:
        return st.just(np.zeros(0, dtype))

    # Corners of a cube see the largest rows of a matrix.
    corners = np.random.default_rng(0).choice([-1.0, 1.0], size=(16, 1, group.space)).astype(dtype)
    zero = jnp.zeros((), dtype)

    def at(q):
        return group.generators(q, zero), jax.jacfwd(group.generators)(q, zero)

    fields, slopes = (np.asarray(x, float) for x in jax.jit(jax.vmap(at))(corners))
    return elements_of(fields, slopes, bound, special, dtype)


def elements_of(fields, slopes, bound, special, dtype) -> st.SearchStrategy[np.ndarray]:
    """As above, from the generators and their slopes at corners, `(corners, generators, 1, space)` and
    `(corners, generators, 1, space, 1, space)`."""
    fields, slopes = np.asarray(fields, float), np.asarray(slopes, float)[:, :, 0, :, 0]
    distance = np.abs(fields).max(axis=(0, 2, 3))
    distance = np.where(distance > 0, distance, 1)
    turns = np.abs(np.linalg.eigvals(slopes)).max(axis=(0, 2))
    # Generators that turn nothing, such as translations, have a distance in place of an angle.
    angle = np.where(turns > 1e-6 * np.abs(slopes).max(axis=(0, 2, 3)), turns, distance)
    count = len(distance)

    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        kind = rng.random()
        if kind < 0.5:
            return rng.uniform(-bound, bound, size=count) / distance
        if kind < 0.6:
            return np.where(rng.random(count) < 0.5, rng.integers(-1, 2, size=count) / distance, 0)
        c = rng.normal(size=count)
        if kind < 0.8:  # one generator
            c = c * (np.arange(count) == rng.integers(count))
        elif kind < 0.9 and special:
            c = np.where(rng.random(count) < 0.5, rng.choice(special, size=count), c)
            c = c * angle * rng.choice(BEYOND)
        else:
            c = c * 10.0 ** rng.uniform(*ELEMENT_DECADES)
        return limited(np.clip(c, -LARGEST_ELEMENT, LARGEST_ELEMENT) / angle)

    def limited(c: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            combined = np.einsum("a,cajk->cjk", c, slopes)
        values = np.linalg.eigvals(combined)
        growth = np.abs(values.real).max()
        # A shear stretches by its size, and by powers of it; its eigenvalues are zero.
        shear = np.max([np.abs(matrix_balance(x, permute=False)[0]).max() for x in combined])
        if np.abs(values).max() < SHEAR * shear:
            growth = max(growth, shear)
        return c * min(1.0, GROWTH / growth) if growth > 0 else c

    return st.integers(0, 2**32 - 1).map(lambda seed: draw(seed).astype(dtype))


def times(special: Sequence[float] = (), dtype: Any = np.float64) -> st.SearchStrategy[np.ndarray]:
    """Strategy for times: zero, and both signs over decades."""

    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        kind = rng.random()
        size = 10.0 ** rng.uniform(*TIME_DECADES)
        if kind < 0.2:
            size = 0.0
        elif kind < 0.5:
            size = rng.choice(special or PLAIN) * rng.choice(BEYOND)
        return np.asarray(size * rng.choice([-1.0, 1.0]), dtype)

    return st.integers(0, 2**32 - 1).map(draw)


def weights(model: _Model, *, special: Sequence[float] = ()) -> st.SearchStrategy[_Model]:
    """Strategy for models with the weights of `model` drawn afresh: as they are; normal, of the size
    that they have (one where they are zero); of sizes over decades; whole numbers; and special values.
    What is no weight ([`noetherax.trainable`][]) stays, such as arrays of integers; an array that
    stands at several places gets the same new values at all of them.

    **Arguments:**

    - `model`: any PyTree; a plain function has no weights and is returned as it is.
    - `special`: values that weights are drawn at.

    **Returns:**

    A Hypothesis strategy.
    """
    parameters, constants = eqx.partition(model, trainable(model))
    leaves, structure = jax.tree.flatten(parameters)
    if not leaves:
        return st.just(model)
    sizes = [
        float(np.sqrt(np.mean(np.square(np.asarray(x, float))))) if x.size else 0.0 for x in leaves
    ]

    def draw(seed: int) -> _Model:
        rng = np.random.default_rng(seed)
        kind = rng.random()
        if kind < 0.15:
            return model
        drawn: dict[int, jax.Array] = {}
        for leaf, size in zip(leaves, sizes, strict=True):
            if id(leaf) in drawn:
                continue
            noise = rng.normal(size=leaf.shape) * (size if size > 0 else 1.0)
            if kind < 0.35:
                noise = noise * 10.0 ** rng.uniform(*WEIGHT_DECADES)
            elif kind < 0.45:
                noise = np.rint(3 * noise / (size if size > 0 else 1.0))
            elif kind < 0.55 and special:
                chosen = rng.choice(special, size=leaf.shape) * rng.choice([-1.0, 1.0])
                noise = np.where(rng.random(leaf.shape) < 0.5, chosen, noise)
            drawn[id(leaf)] = jnp.asarray(noise, leaf.dtype)
        return eqx.combine(structure.unflatten([drawn[id(leaf)] for leaf in leaves]), constants)

    return st.integers(0, 2**32 - 1).map(draw)
