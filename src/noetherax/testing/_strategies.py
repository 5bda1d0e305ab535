from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np


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
    - `bound`: largest coordinate, in units of each generator.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy; give the drawn coefficients to `group.act`.
    """
    entries = st.floats(-bound, bound, width=32, allow_subnormal=False)
    return hnp.arrays(np.dtype(dtype), (group.dimension,), elements=entries)
