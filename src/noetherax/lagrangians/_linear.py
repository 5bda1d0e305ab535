from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import PRECISION
from .._types import Configuration, Velocity, check_state
from ..features import (
    InvariantFeatures,
    Standardisation,
    linear_weights,
    standardisation_of,
    standardised_part,
)
from ._base import Lagrangian


@final
class LinearLagrangian(Lagrangian):
    """A linear combination of invariant features, L = Σ_m w_m x_m(S), with x the standardisation.

    The kinetic energy of a particle and the energy of its coupling to a uniform magnetic field are
    features of rotations, v·v and q ∧ v; a bent one may be nearly its potential. What is linear in
    features, least squares find at once ([`noetherax.regular_start`][]), and a network beside it learns
    what is left:

        nx.LagrangianSum(nx.NeuralLagrangian(features, key=key), nx.LinearLagrangian(features, key=key))

    has the symmetry of the features for any weights, as its terms have, and is no narrower than the
    network alone. Where no term of L is nearly linear, as where v·v is no feature but the square of
    one, it gains nothing.

    !!! example

        An oscillator in a magnetic field is linear in features, and known after the preparation:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 2))
        turned = jnp.stack([v[..., 1], -v[..., 0]], axis=-1)
        law = nx.LinearLagrangian(nx.Rotations(2).invariant_features(1), key=jax.random.key(1))
        law, _ = nx.prepare(law, nx.Observations(q, v, a=-q + 0.3 * turned))
        a = nx.acceleration(law, q[0], v[0])
        assert jnp.allclose(a, -q[0] + 0.3 * turned[0], atol=0.05)
        ```

    **Arguments:**

    - `features`: the invariant features, from `group.invariant_features(points)` or your own.
    - `dtype`: of the weights; JAX's default floating dtype if not given.
    - `key`: random key for the weights, which start normal.

    **Raises:**

    `ValueError` if there are no features.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    weights: Float[Array, "1 features"]

    def __init__(self, features: InvariantFeatures, *, dtype: Any = None, key: PRNGKeyArray):
        count = features.num_features
        if count < 1:
            raise ValueError("A Lagrangian of features needs at least one, but there are none.")
        self.features = features
        self.weights = jax.random.normal(key, (1, count), dtype)
        self.standardisation = Standardisation.identity(count, self.weights.dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v)
        x = self.standardisation(self.features(q, v))
        return jnp.dot(self.weights[0], x, precision=PRECISION)


@standardisation_of.register
def _(lagrangian: LinearLagrangian):
    return lagrangian.standardisation


@standardised_part.register
def _(lagrangian: LinearLagrangian, q, v, bend):
    fitted = Standardisation.fit(lagrangian.features, q, v, bend=bend)
    return eqx.tree_at(lambda linear: linear.standardisation, lagrangian, fitted)


@linear_weights.register
def _(lagrangian: LinearLagrangian):
    return [lagrangian.weights]
