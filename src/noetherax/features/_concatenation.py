from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import InvariantFeatures


@final
class Concatenation(InvariantFeatures):
    """Several feature maps of the same state, one after the other.

    The invariants of a direct product of groups that act on different axes are those of its factors.
    """

    parts: tuple[InvariantFeatures, ...]

    def __init__(self, parts: tuple[InvariantFeatures, ...]):
        self.parts = parts

    @property
    def num_features(self) -> int:
        return sum(part.num_features for part in self.parts)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        return jnp.concatenate([part(q, v) for part in self.parts])
