from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._programs import run
from .._types import Configuration
from ._configuration import ConfigurationFeatures

STATES = 64
"""Generic states at which features are compared, beside eight for every candidate."""

INDEPENDENT = 1e-3
"""Least part of a candidate that no combination of those before it gives, relative to its spread:
far above rounding in single precision, far below what independent polynomials differ by."""


VANISHING = 1e-5
"""A candidate in units of the terms that it adds up, below which it is rounding of zero: in float32 of
a difference 1e-7, of the square of one 1e-14."""


@final
class ExchangeFeatures(ConfigurationFeatures):
    """Invariants of two points that do not tell which of them is the first,

        (S(x, y) + S(y, x))/2    and    D_a D_b,    D = (S(x, y) − S(y, x))/2,

    of which every symmetric function of S is one. Those that are constant or a combination of others
    are left out: under all isometries of space |x − y|² alone is left.

    A potential of them is the same for both orders of a pair, so that identical particles may be
    numbered in any way, and one evaluation for each pair is enough.

    !!! example

        ```python
        import noetherax as nx

        of_two = nx.Euclidean(3).configuration_features(points=2)
        of_pairs = nx.features.ExchangeFeatures(of_two)
        assert of_pairs.num_features == 1  # the square of the distance
        ```

    **Arguments:**

    - `features`: [`noetherax.ConfigurationFeatures`][] of two points.
    - `space`: coordinates of a point, if the features do not have it as their `space`.
    """

    features: ConfigurationFeatures
    sums: tuple[int, ...] = eqx.field(static=True)
    products: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def __init__(self, features: ConfigurationFeatures, space: int | None = None):
        space = getattr(features, "space", None) if space is None else space
        if space is None:
            raise ValueError(
                f"{type(features).__name__} does not say how many coordinates a point has: "
                "noetherax.features.ExchangeFeatures(features, space=...)."
            )
        self.features = features
        count = features.num_features
        pairs = [(a, b) for a in range(count) for b in range(a, count)]
        candidates = terms = np.zeros((0, 0))
        if count:
            states = generic_pairs(STATES + 8 * (count + len(pairs)), space)
            found = run(_candidates, features, states)
            candidates, terms = (np.asarray(x, float) for x in found)
        kept = independent_columns(candidates, terms)
        self.sums = tuple(k for k in kept if k < count)
        self.products = tuple(pairs[k - count] for k in kept if k >= count)

    @property
    def num_features(self) -> int:
        return len(self.sums) + len(self.products)

    def __call__(self, q: Configuration) -> Float[Array, " features"]:
        q = jnp.asarray(q)
        there = self.features(q)
        if not self.products and not self.sums:
            return there[:0]
        back = self.features(q[::-1])
        even, odd = (there + back) / 2, (there - back) / 2
        first, second = (np.asarray([pair[k] for pair in self.products], int) for k in (0, 1))
        return jnp.concatenate([even[np.asarray(self.sums, int)], odd[first] * odd[second]])


def generic_pairs(count: int, space: int) -> Array:
    """States of two points at generic places, the same every time."""
    states = np.random.default_rng(0).normal(size=(count, 2, space))
    return jnp.asarray(states, jnp.result_type(float))


def _candidates(features, states):
    """All sums and products at each state, and the sizes of what they add up."""

    def at(q):
        there, back = features(q), features(q[::-1])
        even, odd = (there + back) / 2, (there - back) / 2
        size = (jnp.abs(there) + jnp.abs(back)) / 2
        rows, columns = np.triu_indices(len(odd))
        return (
            jnp.concatenate([even, odd[rows] * odd[columns]]),
            jnp.concatenate([size, size[rows] * size[columns]]),
        )

    return jax.vmap(at)(states)


def independent_columns(values: np.ndarray, terms: np.ndarray) -> list[int]:
    """Columns that no combination of earlier ones and a constant gives, nor rounding of their terms."""
    kept: list[int] = []
    basis = np.ones((len(values), 1)) / np.sqrt(max(len(values), 1))
    for k, column in enumerate(values.T):
        size = np.linalg.norm(column)
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        there = size > VANISHING * np.linalg.norm(terms[:, k])
        if there and np.linalg.norm(rest) > INDEPENDENT * size:
            kept.append(k)
            basis = np.concatenate([basis, rest[:, None] / np.linalg.norm(rest)], axis=1)
    return kept
