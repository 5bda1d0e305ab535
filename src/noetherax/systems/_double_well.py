from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration
from ..groups import Rotations
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts, check_positive
from ._starts import fixed_normals
from ._system import System


@final
class DoubleWellLagrangian(SeparableLagrangian):
    """L = m v²/2 − V(|q|) for one point, V(r) = −(μ/2) r² + (κ/4) r⁴.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        lagrangian = nx.systems.DoubleWell(mu=4.0, kappa=1.0, space=2).lagrangian
        bottom, rest = jnp.array([[0.0, 2.0]]), jnp.zeros((1, 2))
        depth = nx.energy(lagrangian, 0 * bottom, rest) - nx.energy(lagrangian, bottom, rest)
        assert jnp.isclose(depth, 4.0)  # μ²/(4κ), what it takes to reach the origin
        ```

    **Arguments:**

    - `mass`, `mu`, `kappa`: m, μ and κ.
    """

    mass: float
    mu: float
    kappa: float

    def inertia(self):
        return self.mass

    def potential(self, q: Configuration) -> Float[Array, ""]:
        squared = jnp.sum(jnp.square(q))
        return squared * (self.kappa / 4 * squared - self.mu / 2)


@final
class DoubleWell(System):
    """A particle in D dimensions in the double well V(r) = −(μ/2) r² + (κ/4) r⁴.

    The origin is an unstable equilibrium, the sphere of radius √(μ/κ) the bottom of the well. From the
    code that accompanies Müller 2023; the paper itself has no figures of it.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.DoubleWell(mu=4.0, kappa=1.0, space=2)
        q, v = jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 1.0]])
        a = nx.acceleration(system.lagrangian, q, v)
        assert jnp.allclose(a, 0.0, atol=1e-5)  # no force at r = √(μ/κ)
        angular_momentum = system.group.noether_charge(system.lagrangian)
        assert jnp.allclose(angular_momentum(q, v), 2.0)
        ```

    **Arguments:**

    - `mass`, `mu`, `kappa`: m, μ and κ.
    - `space`: the dimension D, at least two.

    **Raises:**

    `ValueError` if a parameter is not positive or `space` is less than two.
    """

    mass: float
    mu: float
    kappa: float
    space: int = eqx.field(static=True)

    def __init__(self, mass: float = 1.0, mu: float = 1.0, kappa: float = 1.0, space: int = 4):
        check_positive(mass=mass, mu=mu, kappa=kappa)
        check_counts(2, space=space)
        self.mass = float(mass)
        self.mu = float(mu)
        self.kappa = float(kappa)
        self.space = int(space)

    @property
    def lagrangian(self) -> DoubleWellLagrangian:
        """The true law."""
        return DoubleWellLagrangian(self.mass, self.mu, self.kappa)

    @property
    def group(self) -> Rotations:
        """Rotations about the origin; the charge is the angular momentum."""
        return Rotations(self.space)

    def initial_state(self) -> tuple[Float[Array, "1 space"], Float[Array, "1 space"]]:
        """Position and velocity, fixed numbers of the normal distribution."""
        q, v = fixed_normals(2 * self.space).reshape(2, 1, self.space)
        return jnp.asarray(q), jnp.asarray(v)

    def random_state(
        self, key: PRNGKeyArray
    ) -> tuple[Float[Array, "1 space"], Float[Array, "1 space"]]:
        """Normally distributed position and velocity."""
        q, v = jax.random.normal(key, (2, 1, self.space))
        return q, v
