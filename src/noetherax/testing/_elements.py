"""Strategies for group elements, small and large, and for times."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import matrix_balance

from ._special_states import BEYOND

ELEMENT_DECADES = (-3.0, 3.0)
"""Powers of ten of group elements, as angles or, without any, as distances."""

LARGEST_ELEMENT = 10.0 ** ELEMENT_DECADES[1]

GROWTH = 1.5
"""Largest exponent by which an element may stretch a state: beyond it, rounding hides what it does."""

TURNING = 1e-6
"""Eigenvalues, in units of the largest entry, below which a generator turns nothing: those of a shear
are zero up to a root of rounding. Entries are those in balanced units."""

SHEAR = 1e-2
"""Eigenvalues in units of the entries of a matrix, in balanced units, below which it is a shear."""

TIME_DECADES = (-2.0, 1.0)

PLAIN = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Values that are special everywhere."""


def group_elements(
    group: Any, *, bound: float = 1.0, special: Sequence[float] = (), dtype: Any = np.float64
) -> st.SearchStrategy[np.ndarray]:
    """Strategy for group elements in exponential coordinates, shape `(group.dimension,)`.

    Half of them move what is at distance one by `bound` at most, whatever the unit of a generator; the
    others are of sizes over decades, up to a thousand radians or units of length, as long as they do
    not stretch a state by more than 4.5.

    !!! example

        ```python
        import hypothesis
        import numpy as np
        import noetherax as nx

        group = nx.Rotations(2)
        elements = nx.testing.group_elements(group, dtype=np.float32)


        @hypothesis.settings(max_examples=10, deadline=None)
        @hypothesis.given(elements)
        def test_rotations_keep_lengths(coefficients):
            q, v = np.array([[3.0, 4.0]], np.float32), np.zeros((1, 2), np.float32)
            moved, _ = group.act(coefficients, q, v)
            assert np.isclose(np.linalg.norm(moved), 5.0, rtol=1e-4)


        test_rotations_keep_lengths()  # pytest does this
        ```

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
    turns, entries = (x.max(axis=0) for x in turning(slopes))
    # Generators that turn nothing, such as translations, have a distance in place of an angle.
    angle = np.where(turns > TURNING * entries, turns, distance)
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
        shear = balanced(combined).max()
        if np.abs(values).max() < SHEAR * shear:
            growth = max(growth, shear)
        return c * min(1.0, GROWTH / growth) if growth > 0 else c

    return st.integers(0, 2**32 - 1).map(lambda seed: draw(seed).astype(dtype))


def turning(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalue of matrices `(..., space, space)`, and their largest entry in balanced
    units: one axis may be in seconds, another in metres, and their ratio the speed of light."""
    return np.abs(np.linalg.eigvals(slopes)).max(axis=-1), balanced(slopes)


def balanced(slopes: np.ndarray) -> np.ndarray:
    """The largest entry of each matrix, in units of the axes in which rows and columns are alike."""
    flat = slopes.reshape(-1, *slopes.shape[-2:])
    found = [np.abs(matrix_balance(x, permute=False)[0]).max() for x in flat]
    return np.reshape(found, slopes.shape[:-2])


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
