"""Networks of one point or of two, with what they see."""

from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._programs import run
from ..features import (
    Bend,
    ConfigurationFeatures,
    Standardisation,
    WithoutVelocity,
    generic_pairs,
)
from ._pairs import Neighbourhood
from ._perceptron import OF_CONFIGURATIONS, perceptron

DEPENDS = 1e-3
"""Least relative part of a gradient that is no rounding of single precision."""

STATES = 8
"""Generic pairs at which features are judged."""


@final
class LocalNetwork(eqx.Module):
    """A scalar of the features of a few points and of their attributes."""

    features: ConfigurationFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP

    def __init__(
        self,
        features: ConfigurationFeatures,
        attributes: int,
        *,
        width: SupportsIndex,
        depth: SupportsIndex,
        activation: Callable,
        dtype: Any,
        key: PRNGKeyArray,
    ):
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        self.network = perceptron(
            features,
            width,
            depth,
            activation=activation,
            dtype=dtype,
            key=key,
            kind=OF_CONFIGURATIONS,
            more=attributes,
        )

    def inputs(
        self, states: Float[Array, "many points space"], attributes
    ) -> Float[Array, "many in"]:
        """What the network sees of each state: features, in units of the data, then attributes."""
        x = self.standardisation(jax.vmap(self.features)(states))
        return jnp.concatenate([x, attributes.astype(x.dtype)], axis=-1)

    def __call__(self, states, attributes) -> Float[Array, " many"]:
        """Its value at each of many states."""
        return jax.vmap(self.network)(self.inputs(states, attributes))

    def standardised(self, q, v, bend: Bend) -> "LocalNetwork":
        """With the standardisation set from states, shape `(many, points, space)`."""
        fitted = Standardisation.fit(WithoutVelocity(self.features), q, v, bend=bend)
        return eqx.tree_at(lambda x: x.standardisation, self, fitted)


def check_local(features: ConfigurationFeatures, space: int, neighbourhood: Neighbourhood) -> None:
    """Raises a `ValueError` if a cut-off distance or a box are none of the symmetry: if r² is no
    function of the features, or features of a pair change when both points move along a closed axis."""
    if neighbourhood.cutoff is None and neighbourhood.box is None:
        return
    states = generic_pairs(STATES, space)
    slopes = np.asarray(run(_slopes, features, states), float).reshape(STATES, -1, 2, space)
    apart = np.asarray(states[:, 1] - states[:, 0], float)
    if neighbourhood.cutoff is not None:
        distance = 2 * np.stack([-apart, apart], axis=1).reshape(STATES, -1)
        missing = max(map(_missing, slopes.reshape(STATES, -1, 2 * space), distance))
        if missing > DEPENDS:
            raise ValueError(
                "A cut-off needs distances that the group keeps, but the distance of two points is no "
                f"function of its invariants of them: {missing:.2g} of its gradient is missing."
            )
    if neighbourhood.box is not None:
        moved = np.sum(slopes, axis=2)[..., np.isfinite(neighbourhood.box)]
        change = np.max(np.abs(moved)) / np.max(np.abs(slopes))
        if change > DEPENDS:
            raise ValueError(
                "In a box pairs see each other's nearest image, but the invariants of two points "
                f"change if both are moved along one of its axes (by {change:.2g}, relative): "
                "multiply the group by noetherax.Translations of these axes."
            )


def check_no_vertex(
    features: ConfigurationFeatures, space: int, neighbourhood: Neighbourhood
) -> None:
    """Raises a `ValueError` if invariants of one point depend on an axis along which a box closes."""
    if neighbourhood.box is None or not features.num_features:
        return
    states = generic_pairs(STATES, space)[:, :1]
    slopes = np.abs(np.asarray(run(_slopes, features, states), float)).reshape(STATES, -1, space)
    closed = slopes[..., np.isfinite(neighbourhood.box)]
    if np.max(closed) > DEPENDS * np.max(slopes):
        raise ValueError(
            "In a box no point may be told by its place along an axis that closes, but invariants of "
            "one point do: multiply the group by noetherax.Translations of these axes."
        )


def _slopes(features, states):
    return jax.vmap(jax.jacfwd(features))(states)


def _missing(slopes, wanted) -> float:
    """The part of a gradient that is no combination of others, relative."""
    size = np.linalg.norm(slopes, axis=1, keepdims=True)
    rows = slopes / np.where(size > 0, size, 1)
    weights = np.linalg.lstsq(rows.T, wanted, rcond=DEPENDS)[0]
    return float(np.linalg.norm(rows.T @ weights - wanted) / np.linalg.norm(wanted))
