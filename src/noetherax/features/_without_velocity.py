from typing import final

from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._configuration import ConfigurationFeatures


@final
class WithoutVelocity(InvariantFeatures):
    """Features of the configuration where features of the state are expected: S(q, v) = S(q).

    **Arguments:**

    - `features`: the [`noetherax.ConfigurationFeatures`][].
    """

    features: ConfigurationFeatures

    def __init__(self, features: ConfigurationFeatures):
        self.features = features

    @property
    def num_features(self) -> int:
        return self.features.num_features

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        return self.features(q)
