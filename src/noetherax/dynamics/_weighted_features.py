"""Derivatives of a weighted sum of features, Σ_m w_m S_m: those of every L = f ∘ S are made of them."""

import jax

from ..features import InvariantFeatures
from ._batches import over_batch


def weighted_terms(features: InvariantFeatures, q, v, weights):
    """Terms of the sum of features with constant weights. It is taken before its derivatives are: the
    second derivatives of every feature would take more room and time than all else."""
    q, v = q.astype(weights.dtype), v.astype(weights.dtype)

    def slope(q, v):
        return weighted_slope(features, q, v, weights)

    curvature = jax.jacfwd(lambda v: slope(q, v)[1])(v)
    (force, _), (_, drag) = jax.jvp(lambda q: slope(q, v), (q,), (v,))
    return curvature.reshape(v.size, v.size), (force - drag).reshape(-1)


def residual_of_features(features: InvariantFeatures, motion, weights, change):
    """d/dt ∂/∂v − ∂/∂q of the sum of features with weights that change at the rate `change`."""

    def residual(q, v, a, weights, change):
        (force, _), (_, rate) = jax.jvp(
            lambda *state: weighted_slope(features, *state), (q, v, weights), (v, a, change)
        )
        return (rate - force).reshape(-1)

    return over_batch(residual, motion[0])(*motion, weights, change)


def weighted_slope(features: InvariantFeatures, q, v, weights):
    """Derivatives of Σ_m weights_m S_m by q and v."""
    _, pull_back = jax.vjp(lambda q, v: features(q, v).astype(weights.dtype), q, v)
    return pull_back(weights)
