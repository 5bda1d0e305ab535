from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._vectors import StateVectors

FEW = 4
"""Vectors up to which each is multiplied on its own, which runs faster. Of more, one product of all is
taken, and half of it thrown away: it compiles five times faster, and runs as fast."""


@final
class ScalarProducts(InvariantFeatures):
    """All products x_i·G x_j (i ≤ j) of the vectors of a state with an invariant metric G.

    For rotations G is the identity and these are the dot products (Müller 2023, Eq. 40); for one
    point q·q, q·v, v·v. For the Lorentz group G = diag(1, 1, 1, −1). They generate *all* polynomial
    invariants of the orthogonal group of G, reflections included (Weyl, The Classical Groups,
    theorem 2.9.A).

    Of relative positions x_i = q_i − q_n, the squares of their differences stand in the place of the
    products x_i·G x_j with i < j, of which each is a combination of squares. So all pairs of points
    have their distance among the features, and a force between any two of them is as easy to learn.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        vectors = nx.StateVectors(points=1, space=2)
        q, v = jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]])
        assert nx.ScalarProducts(vectors)(q, v).tolist() == [25.0, 3.0, 1.0]
        minkowski = nx.ScalarProducts(vectors, metric=((1.0, 0.0), (0.0, -1.0)))
        assert minkowski(q, v).tolist() == [-7.0, 3.0, 1.0]
        ```

    **Arguments:**

    - `vectors`: which vectors of the state to multiply.
    - `metric`: symmetric matrix G as nested tuples; `None` is the identity.
    """

    vectors: StateVectors
    metric: tuple[tuple[float, ...], ...] | None = eqx.field(static=True)

    def __init__(self, vectors: StateVectors, metric: tuple[tuple[float, ...], ...] | None = None):
        self.vectors = vectors
        self.metric = metric

    @property
    def num_features(self) -> int:
        count = self.vectors.num_vectors
        return count * (count + 1) // 2

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        x = self.vectors(q, v)
        y = self._lowered(x)
        if len(x) > FEW:
            products = jnp.matmul(y, x.T, precision=PRECISION)[np.triu_indices(len(x))]
        else:
            # By matrix times vector: XLA's small products of two matrices cost a call for every state.
            rows = [jnp.matmul(y[i:], x[i], precision=PRECISION) for i in range(x.shape[0])]
            products = jnp.concatenate(rows)
        first, second = np.triu_indices(self.vectors.num_differences, 1)
        if not len(first):
            return products
        # Of the points themselves: sums of products would lose the digits of a close pair.
        apart = self.vectors.between(q, first, second)
        squares = jnp.sum(self._lowered(apart) * apart, axis=1)
        return jnp.concatenate([products, squares])[self._places()]

    def _places(self) -> np.ndarray:
        """Where every feature is among all products and, behind them, the squares of differences."""
        rows, columns = np.triu_indices(self.vectors.num_vectors)
        replaced = (rows < columns) & (columns < self.vectors.num_differences)
        places = np.arange(len(rows))
        places[replaced] = len(rows) + np.arange(np.sum(replaced))
        return places

    def _lowered(self, x: Float[Array, "vectors dim"]) -> Float[Array, "vectors dim"]:
        """G x, of every vector."""
        if self.metric is None:
            return x
        return jnp.matmul(x, jnp.asarray(self.metric, x.dtype), precision=PRECISION)
