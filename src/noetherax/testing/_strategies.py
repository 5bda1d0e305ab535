from typing import Any, TypeVar

import equinox as eqx
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from ..training import trainable

_Model = TypeVar("_Model")


def states(
    points: int, space: int, *, bound: float = 2.0, dtype: Any = np.float64
) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Strategy for states `(q, v)`, each of shape `(points, space)`.

    Entries lie in [−bound, bound]. Half of the draws are generic, normally distributed; the others are
    what Hypothesis finds interesting: zeros, equal velocities, points on top of each other.

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `bound`: largest entry.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy.
    """
    shape = (2, points, space)
    entries = st.floats(-bound, bound, width=32, allow_subnormal=False)
    special = hnp.arrays(np.dtype(dtype), shape, elements=entries)

    def generic(seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=shape)
        return np.clip(noise, -bound, bound).astype(dtype)

    both = st.one_of(st.integers(0, 2**32 - 1).map(generic), special)
    return both.map(lambda array: (array[0], array[1]))


def group_elements(
    group: Any, *, bound: float = 1.0, dtype: Any = np.float64
) -> st.SearchStrategy[np.ndarray]:
    """Strategy for group elements in exponential coordinates, shape `(group.dimension,)`.

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].
    - `bound`: largest coordinate. Generators with entries above one get less, in proportion, so that
        what they move at distance one moves by `bound` at most.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy; give the drawn coefficients to `group.act`.
    """
    entries = st.floats(-bound, bound, width=32, allow_subnormal=False)
    drawn = hnp.arrays(np.dtype(dtype), (group.dimension,), elements=entries)
    if not group.dimension:
        return drawn
    # Corners of a cube see the largest rows of a matrix.
    corners = np.random.default_rng(0).choice([-1.0, 1.0], size=(16, 1, group.space)).astype(dtype)
    fields = np.array([group.generators(corner) for corner in corners])
    size = np.abs(fields).max(axis=(0, 2, 3))
    return drawn.map(lambda x: (x / np.maximum(size, 1.0)).astype(dtype))


def weights(model: _Model) -> st.SearchStrategy[_Model]:
    """Strategy for models with the weights of `model` drawn afresh: normal, of the size that they have
    (one where they are zero). What is no weight ([`noetherax.trainable`][]) stays; an array that
    stands at several places gets the same new values at all of them.

    **Arguments:**

    - `model`: any PyTree; a plain function has no weights and is returned as it is.

    **Returns:**

    A Hypothesis strategy.
    """
    parameters, constants = eqx.partition(model, trainable(model))
    leaves, structure = jax.tree.flatten(parameters)
    if not leaves:
        return st.just(model)

    def draw(seed: int) -> _Model:
        rng = np.random.default_rng(seed)
        drawn: dict[int, jax.Array] = {}
        for leaf in leaves:
            if id(leaf) not in drawn:
                size = float(jnp.sqrt(jnp.mean(jnp.square(leaf)))) if leaf.size else 0.0
                noise = rng.normal(size=leaf.shape) * (size if size > 0 else 1.0)
                drawn[id(leaf)] = jnp.asarray(noise, leaf.dtype)
        return eqx.combine(structure.unflatten([drawn[id(leaf)] for leaf in leaves]), constants)

    return st.integers(0, 2**32 - 1).map(draw)
