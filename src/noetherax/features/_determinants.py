import itertools
import math
from typing import final

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._vectors import StateVectors

UNROLLED = 64
"""Terms up to which an expansion is written out number by number. All of it then is one loop over
states, which saves some 15 % of a training step; more terms take long to compile."""


@final
class Determinants(InvariantFeatures):
    """All determinants det(x_{i₁}, …, x_{i_D}), i₁ < … < i_D, of D vectors of a state in R^D.

    They distinguish SO(D) from O(D) (Müller 2023, Eq. 41), and are the only invariants of SL(D).
    Evaluated by multilinear (Laplace) expansion along the coordinates, sharing minors:
    `jnp.linalg.det` divides by pivots, and its second derivatives are NaN at singular states such as
    a particle at rest.

    Their number is binomial(vectors, D) and explodes: 12,870 for 16 vectors in R⁸.

    !!! example

        The area between position and velocity changes its sign in a mirror:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        area = nx.Determinants(nx.StateVectors(points=1, space=2))
        q, v = jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]])
        mirror = jnp.array([1.0, -1.0])
        assert area(q, v)[0] == -4.0
        assert area(mirror * q, mirror * v)[0] == 4.0
        ```

    **Arguments:**

    - `vectors`: which vectors of the state to take, [`noetherax.StateVectors`][]. Their number of axes
        is D.
    """

    vectors: StateVectors

    def __init__(self, vectors: StateVectors):
        self.vectors = vectors

    @property
    def num_features(self) -> int:
        return math.comb(self.vectors.num_vectors, self.vectors.dim)

    @property
    def subsets(self) -> list[tuple[int, ...]]:
        """The vectors of each determinant, in the order of the features."""
        return list(itertools.combinations(range(self.vectors.num_vectors), self.vectors.dim))

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        x = self.vectors(q, v)
        if self.num_features and 0 < _terms_written_out(*x.shape) <= UNROLLED:
            return jnp.stack(list(_written_out(x).values()))
        # minors[S] is the determinant of the vectors of the subset S in the first `order` axes.
        minors = x[:, 0]
        for order in range(2, self.vectors.dim + 1):
            minors = _wedge(x[:, order - 1], minors, order)
        return minors


def _written_out(x) -> dict[tuple[int, ...], Array]:
    """The determinant of each subset of vectors, from minors in the first half of the axes and
    complementary ones in the other."""
    count, dim = x.shape
    if dim == 1:
        return {(i,): x[i, 0] for i in range(count)}
    first, second = _written_out(x[:, : dim // 2]), _written_out(x[:, dim // 2 :])
    minors = {}
    for subset in itertools.combinations(range(count), dim):
        terms = []
        for part in itertools.combinations(subset, dim // 2):
            rest = tuple(i for i in subset if i not in part)
            inversions = sum(i > j for i in part for j in rest)
            terms.append((inversions % 2, first[part] * second[rest]))
        minor = terms[0][1]  # without inversions
        for odd, term in terms[1:]:
            minor = minor - term if odd else minor + term
        minors[subset] = minor
    return minors


def _terms_written_out(count: int, dim: int) -> int:
    if dim == 1:
        return 0
    parts = _terms_written_out(count, dim // 2) + _terms_written_out(count, dim - dim // 2)
    return parts + math.comb(count, dim) * math.comb(dim, dim // 2)


def _wedge(column, minors, order: int):
    """Σ_k ± column[S_k] minors[S without S_k] for each subset S of `order` vectors."""
    subsets, removed = _expansion(len(column), order)
    signs = (-1.0) ** (order - 1 - np.arange(order))
    terms = jnp.asarray(signs, column.dtype) * column[subsets] * minors[removed]
    return jnp.sum(terms, axis=-1)


def _expansion(count: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """For each subset of `order` of `count` vectors: its members, and the index of each subset
    that lacks one member among the subsets of `order - 1`."""
    lower = {s: i for i, s in enumerate(itertools.combinations(range(count), order - 1))}
    subsets = list(itertools.combinations(range(count), order))
    removed = [[lower[s[:k] + s[k + 1 :]] for k in range(order)] for s in subsets]
    return (
        np.array(subsets, int).reshape(len(subsets), order),
        np.array(removed, int).reshape(len(subsets), order),
    )
