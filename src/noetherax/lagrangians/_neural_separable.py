from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration
from ..features import (
    ConfigurationFeatures,
    Standardisation,
    Unit,
    WithoutVelocity,
    linear_weights,
    standardisation_of,
    standardised_part,
)
from ._masses import Masses, kinetic_size
from ._perceptron import OF_CONFIGURATIONS, perceptron
from ._separable import SeparableLagrangian, inertia_of


@final
class NeuralSeparableLagrangian(SeparableLagrangian):
    """L = vᵀ M v/2 − V(S(q)) with constant masses and a neural potential V of invariant features S of
    the configuration.

    For particles and vibrations, where the kinetic energy is known in form: the network learns forces
    alone, and L determines the motion for any weights. It holds for no mass that changes with q (for
    that there is [`noetherax.NeuralMechanicalLagrangian`][]), and for no force that depends on v.

    V is invariant under the group that S belongs to. So then is L, for any weights, if the group keeps
    vᵀ M v: rotations, reflections, translations and periods do, with one mass for each point; Lorentz
    or symplectic groups and other changes of length do not, and `noetherax.testing.check_lagrangian`
    finds that.

    Given masses fix the scale of L. The equations of motion alone do not tell the scale of trained
    ones, only their ratios: their common unit stays near that of the masses given.

    !!! example

        Two bodies of masses one and three: their forces are opposite for any weights.

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Euclidean(2).configuration_features(points=2)
        masses = jnp.array([1.0, 3.0])
        law = nx.NeuralSeparableLagrangian(
            features, width=8, masses=masses, key=jax.random.key(0)
        )
        q, v = jax.random.normal(jax.random.key(1), (2, 2, 2))
        force = masses[:, None] * nx.acceleration(law, q, v)
        assert jnp.allclose(force[0], -force[1], rtol=1e-4)
        ```

    **Arguments:**

    - `features`: of the configuration, from `group.configuration_features(points)` or your own.
    - `width`, `depth`, `activation`, `dtype`, `key`: of the network, as in
        [`noetherax.NeuralLagrangian`][].
    - `masses`: a number, one for each point, or a symmetric, positive definite matrix over all
        components, points first.
    - `train_masses`: whether these are where training starts, positive for any weights; if not, they
        are constants. A single number trains as one factor of all points: give one for each,
        `(1.0, 1.0)`, where their ratio is to be found.

    Features pass through a standardisation, and V has a unit, the kinetic energy of the data: both
    are set once by [`noetherax.fit`][] and never train.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.NeuralLagrangian`][], or if the masses are not positive.
    """

    features: ConfigurationFeatures
    standardisation: Standardisation
    energy_unit: Unit
    masses: Masses
    network: eqx.nn.MLP

    def __init__(
        self,
        features: ConfigurationFeatures,
        width: SupportsIndex = 128,
        depth: SupportsIndex = 2,
        *,
        masses: Any = 1.0,
        train_masses: bool = False,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        self.network = perceptron(
            features,
            width,
            depth,
            activation=activation,
            dtype=dtype,
            key=key,
            kind=OF_CONFIGURATIONS,
        )
        dtype = self.network.layers[0].weight.dtype
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        self.energy_unit = Unit.of("energy", 1.0, dtype)
        self.masses = Masses(masses, train_masses, dtype)

    def inertia(self) -> Any:
        return self.masses()

    def potential(self, q: Configuration) -> Float[Array, ""]:
        with full_precision():
            x = self.standardisation(self.features(q))
            return self.energy_unit.value * self.network(x)


@standardisation_of.register
def _(lagrangian: NeuralSeparableLagrangian):
    return lagrangian.standardisation


@standardised_part.register
def _(lagrangian: NeuralSeparableLagrangian, q, v, bend):
    fitted = Standardisation.fit(WithoutVelocity(lagrangian.features), q, v, bend=bend)
    size = kinetic_size(inertia_of(lagrangian, *v.shape[1:]), v)
    unit = Unit.of("energy", size, fitted.unit.dtype)
    return eqx.tree_at(lambda x: (x.standardisation, x.energy_unit), lagrangian, (fitted, unit))


@linear_weights.register
def _(lagrangian: NeuralSeparableLagrangian):
    return [lagrangian.network.layers[-1].weight]
