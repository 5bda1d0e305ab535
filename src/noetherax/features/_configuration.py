import abc

import equinox as eqx
from jaxtyping import Array, Float

from .._types import Configuration, check_static


class ConfigurationFeatures(eqx.Module):
    """Invariant features S(q) of the configuration alone, which a symmetry group leaves unchanged,

        S(h·q) = S(q)   for every group element h.

    Friction made of them and of their rates dS/dt keeps every charge of the group: its force
    Q = −(∂R/∂Ṡ) ∂S/∂q has no part along a generator, since ∂S/∂q · ξ_a = 0.

    Usually obtained from [`SymmetryGroup.configuration_features`][noetherax.SymmetryGroup]. To write
    your own, define `num_features` and `__call__`. They never train: constants that a subclass holds
    as array fields are left alone by [`noetherax.fit`][]. There may be none, as of one point under
    all translations.
    """

    num_features: eqx.AbstractVar[int]
    """Number of features, zero or more."""

    def __check_init__(self):
        check_static(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration) -> Float[Array, " features"]:
        """Evaluates the features.

        **Arguments:**

        - `q`: configuration, shape `(points, space)`.

        **Returns:**

        The features, shape `(num_features,)`. First and second derivatives, forward and reverse, must
        be finite wherever the system can be.
        """
