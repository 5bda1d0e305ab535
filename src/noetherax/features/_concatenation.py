from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import InvariantFeatures


@final
class Concatenation(InvariantFeatures):
    """Several feature maps of the same state, one after the other.

    The invariants of a direct product of groups that act on different axes are those of its factors.

    !!! example

        Under reflections and rotations about the z axis: products across it, and coordinates along it.

        ```python
        import noetherax as nx

        across = nx.ScalarProducts(nx.StateVectors(1, 3, axes=(0, 1)))
        along = nx.Coordinates(1, 3, axes=(2,))
        features = nx.Concatenation((across, along))
        assert features.num_features == 3 + 2
        assert nx.feature_names(features)[-2:] == ("q[2]", "v[2]")
        ```

    **Arguments:**

    - `parts`: a tuple of [`noetherax.InvariantFeatures`][] for states of one shape.
    """

    parts: tuple[InvariantFeatures, ...]

    def __init__(self, parts: tuple[InvariantFeatures, ...]):
        self.parts = parts

    @property
    def num_features(self) -> int:
        return sum(part.num_features for part in self.parts)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        return jnp.concatenate([part(q, v) for part in self.parts])
