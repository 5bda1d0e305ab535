"""Strategy for states: generic ones, ones in special relations, and ones like the user's own."""

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np

from ._special_states import RELATIONS, related_state

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

    !!! example

        ```python
        import hypothesis
        import numpy as np
        import noetherax as nx


        @hypothesis.given(nx.testing.states(points=2, space=3, bound=10.0))
        def test_cauchy_schwarz(state):
            q, v = state
            assert q.shape == v.shape == (2, 3)
            assert np.sum(q * v) ** 2 <= np.sum(q**2) * np.sum(v**2) * (1 + 1e-12)


        test_cauchy_schwarz()  # pytest does this
        ```

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `bound`: largest entry, none by default.
    - `like`: samples `(q, v)`, each of shape `(samples, points, space)`. States are then drawn at and
        around these, in the units that they have, and nowhere else.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy.

    **Raises:**

    `ValueError` if the samples of `like` have another shape, or are not finite.
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
            return related_state(rng, shape, int(rng.integers(len(RELATIONS))))

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
