from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._programs import run
from .._types import Configuration, Velocity, check_state
from ..features import (
    ConfigurationFeatures,
    Standardisation,
    Unit,
    WithoutVelocity,
    linear_weights,
    standardisation_of,
    standardised_part,
)
from ._base import Lagrangian
from ._masses import Masses, kinetic_size
from ._perceptron import OF_CONFIGURATIONS, perceptron, triangular
from ._separable import inertia_of, inertia_times


@final
class NeuralMechanicalLagrangian(Lagrangian):
    """L = vᵀ M(q) v/2 − V(S(q)), the Lagrangian of a machine: linkages, robots, pendulums on carts.
    With x = x(S(q)), standardised features of the configuration, and ẋ their rates,

        L = Σ_i m_i |v_i|²/2 + |B(x)ᵀ ẋ|²/2 − V(x),
        M(q) = diag(m) + (∂x/∂q)ᵀ B(x) B(x)ᵀ (∂x/∂q),

    B a lower triangular matrix and V a scalar, each a network of x. M is positive definite for any
    weights, so that L always determines the motion. It is the structure that Deep Lagrangian Networks
    (Lutter, Ritter and Peters 2019) assume, on invariant features. It holds for no L with a part that
    is linear in v (a magnetic field, a rotating frame), nor for relativity: for those there is
    [`noetherax.NeuralLagrangian`][].

    With the features of `Trivial`, the coordinates themselves, M(q) is any positive definite matrix
    above diag(m). The second and third term are invariant under the group that S belongs to, whatever
    it is, since x and ẋ are. So then is L, for any weights, if the group keeps Σ_i m_i |v_i|²:
    rotations, reflections, translations and periods do; Lorentz or symplectic groups and other changes
    of length do not, and `noetherax.testing.check_lagrangian` finds that. Along the orbits of the group
    x is constant: there the inertia is that of the masses m alone.

    !!! example

        An arm of two links. For any weights its mass matrix is positive definite, and differs from one
        position to another:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        angles = nx.Periodic(2).configuration_features(points=1)
        arm = nx.NeuralMechanicalLagrangian(angles, width=8, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 5, 1, 2))
        mass_matrix, _ = nx.euler_lagrange_terms(arm, q, v)  # at five states
        assert jnp.all(jnp.linalg.eigvalsh(mass_matrix) > 0)
        assert not jnp.allclose(mass_matrix[0], mass_matrix[1])
        ```

    **Arguments:**

    - `features`: of the configuration, from `group.configuration_features(points)` or your own. B has
        as many rows as there are features: choose few.
    - `width`, `depth`, `activation`, `dtype`, `key`: of both networks, as in
        [`noetherax.NeuralLagrangian`][].
    - `masses`: m, a number, one for each point, or a symmetric, positive definite matrix over all
        components, points first. Their unit is that of M.
    - `train_masses`: whether these are where training starts, positive for any weights; if not, they
        are constants, a lower bound of M.

    Features pass through a standardisation; B Bᵀ and V have units such that all three terms are of the
    size of the data's kinetic energy. All are set once by [`noetherax.fit`][] and never train.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.NeuralLagrangian`][], or if the masses are not positive.
    """

    features: ConfigurationFeatures
    standardisation: Standardisation
    energy_unit: Unit
    rate_unit: Unit
    masses: Masses
    potential_network: eqx.nn.MLP
    inertia_network: eqx.nn.MLP

    def __init__(
        self,
        features: ConfigurationFeatures,
        width: SupportsIndex = 128,
        depth: SupportsIndex = 2,
        *,
        masses: Any = 1.0,
        train_masses: bool = True,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key)
        self.potential_network = perceptron(
            features,
            width,
            depth,
            activation=activation,
            dtype=dtype,
            key=keys[0],
            kind=OF_CONFIGURATIONS,
        )
        self.inertia_network = triangular(self.potential_network, activation, keys[1])
        dtype = self.potential_network.layers[0].weight.dtype
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        self.energy_unit = Unit.of("energy", 1.0, dtype)
        self.rate_unit = Unit.of("rates of features", 1.0, dtype)
        self.masses = Masses(masses, train_masses, dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v)
        q, v = jnp.asarray(q), jnp.asarray(v)
        with full_precision():
            x, rate = jax.jvp(self.coordinates, (q,), (v,))
            momentum = inertia_times(inertia_of(self, *v.shape), v)
            return jnp.sum(v * momentum) / 2 + self.reduced(x, rate)

    def inertia(self) -> Any:
        """The masses m, of the shape that was given."""
        return self.masses()

    def coordinates(self, q: Configuration) -> Float[Array, " features"]:
        """The standardised features x of a configuration."""
        return self.standardisation(self.features(q))

    def factor(self, x: Float[Array, " features"]) -> Float[Array, "features features"]:
        """B(x), in units in which |Bᵀ ẋ|² is an energy."""
        return self.triangle(self.inertia_network(x))

    def triangle(self, entries: Float[Array, "*batch entries"]) -> Float[Array, "*batch n n"]:
        """The lower triangular matrix, in its units, of what the network gives."""
        size = self.features.num_features
        rows, columns = np.tril_indices(size)
        place = np.zeros((size, size), int)
        place[rows, columns] = np.arange(len(rows))
        unit = jnp.sqrt(self.energy_unit.value) / self.rate_unit.value
        return entries[..., place] * (unit * np.tril(np.ones_like(place)).astype(entries.dtype))

    def potential(self, x: Float[Array, " features"]) -> Float[Array, ""]:
        """V of standardised features."""
        return self.energy_unit.value * self.potential_network(x)

    def reduced(
        self, x: Float[Array, " features"], rate: Float[Array, " features"]
    ) -> Float[Array, ""]:
        """|B(x)ᵀ ẋ|²/2 − V(x), what depends on the features alone."""
        return jnp.sum(jnp.square(rate @ self.factor(x))) / 2 - self.potential(x)


@standardisation_of.register
def _(lagrangian: NeuralMechanicalLagrangian):
    return lagrangian.standardisation


@standardised_part.register
def _(lagrangian: NeuralMechanicalLagrangian, q, v, bend):
    fitted = Standardisation.fit(WithoutVelocity(lagrangian.features), q, v, bend=bend)
    dtype = fitted.unit.dtype
    model = eqx.tree_at(lambda x: x.standardisation, lagrangian, fitted)
    rates = np.asarray(run(_rates, model, q, v), float)
    size = kinetic_size(inertia_of(model, *v.shape[1:]), v)
    units = (
        Unit.of("energy", size, dtype),
        Unit.of("rates of features", float(np.sqrt(np.mean(np.sum(rates**2, axis=1)))), dtype),
    )
    return eqx.tree_at(lambda x: (x.energy_unit, x.rate_unit), model, units)


def _rates(lagrangian: NeuralMechanicalLagrangian, q, v):
    """ẋ over states."""
    return jax.vmap(lambda q, v: jax.jvp(lagrangian.coordinates, (q,), (v,))[1])(q, v)


@linear_weights.register
def _(lagrangian: NeuralMechanicalLagrangian):
    return [lagrangian.potential_network.layers[-1].weight]
