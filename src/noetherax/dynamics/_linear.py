"""Rules of L = Σ_m w_m x_m(S): those of a weighted sum of features.

Features that depend on velocities are not bent, and what is bent depends on positions alone. So x' is
constant where ∂S/∂v is not zero, and the sum has the weights w_m x'_m.
"""

import jax.numpy as jnp

from .._precision import full_precision
from .._programs import one_program
from .._types import check_motion, check_state
from ..lagrangians import LinearLagrangian
from ._batches import over_batch
from ._equations import EulerLagrangeTerms, euler_lagrange_residual, euler_lagrange_terms
from ._weighted_features import residual_of_features, weighted_terms


@euler_lagrange_terms.register
@one_program
def _(lagrangian: LinearLagrangian, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    with full_precision():
        terms = over_batch(lambda *state: weighted_terms(lagrangian.features, *state), q)
        return EulerLagrangeTerms(*terms(q, v, _weights(lagrangian, q, v)))


@euler_lagrange_residual.register
@one_program
def _(lagrangian: LinearLagrangian, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    with full_precision():
        weights = _weights(lagrangian, q, v)
        nothing = jnp.zeros_like(weights)
        return residual_of_features(lagrangian.features, (q, v, a), weights, nothing)


def _weights(lagrangian: LinearLagrangian, q, v):
    values = over_batch(lagrangian.features, q)(q, v)
    return lagrangian.weights[0] * lagrangian.standardisation.slope(values)
