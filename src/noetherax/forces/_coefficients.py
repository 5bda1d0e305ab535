from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..features import (
    ConfigurationFeatures,
    InvariantFeatures,
    Standardisation,
    standardisation_of,
    standardised_part,
)
from ._networks import perceptron
from ._scale import ForceScale


@final
class Coefficients(eqx.Module):
    """A network of standardised invariants of the state, and the units of the force that it is for: the
    coefficients of a force to be learned.

    - `further`: numbers that the network takes beside the invariants.
    - `rates`: units that `scale` holds beside energy and power.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP

    def __init__(
        self,
        features: InvariantFeatures,
        outputs: int,
        width: SupportsIndex,
        depth: SupportsIndex,
        activation: Callable,
        dtype: Any,
        key: PRNGKeyArray,
        *,
        further: int = 0,
        rates: int = 1,
    ):
        if isinstance(features, ConfigurationFeatures):
            raise TypeError(
                "A force to be learned takes features of the state, group.invariant_features(points), "
                f"but got {features!r:.200}. Those of the configuration are for friction, nx.Friction."
            )
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        count = features.num_features
        self.features = features
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(rates, dtype)
        self.network = perceptron(count + further, outputs, width, depth, activation, dtype, key)

    def __call__(self, values: Float[Array, " features"], *further: Array) -> Array:
        """The outputs of the network at values of the features."""
        x = self.standardisation(values)
        return self.network(jnp.concatenate([x, *(y.astype(x.dtype) for y in further)]))


@standardisation_of.register
def _(part: Coefficients):
    return part.standardisation


@standardised_part.register
def _(part: Coefficients, q, v, bend):
    fitted = Standardisation.fit(part.features, q, v, bend=None)
    return eqx.tree_at(lambda x: x.standardisation, part, fitted)
