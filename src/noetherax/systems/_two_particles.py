from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration
from ..groups import Rotations, SymmetryGroup, Translations
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts, check_pair, check_positive
from ._starts import fixed_normals
from ._system import System


@final
class TwoParticlesLagrangian(SeparableLagrangian):
    """L = m₁ v₁²/2 + m₂ v₂²/2 − V(|q₁ − q₂|), V(r) = −(μ/2) r² + (κ/4) r⁴ (Müller 2023, Eq. 22).

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        lagrangian = nx.systems.TwoParticles(masses=(1.0, 4.0), space=2).lagrangian
        q, v = jnp.array([[3.0, 0.0], [0.0, 0.0]]), jnp.zeros((2, 2))
        a = nx.acceleration(lagrangian, q, v)
        assert jnp.allclose(a[0] + 4 * a[1], 0.0, atol=1e-5)  # action and reaction
        assert jnp.isclose(a[0, 0], 3.0 - 3.0**3)  # they attract each other from afar
        ```

    **Arguments:**

    - `masses`: m₁ and m₂.
    - `mu`, `kappa`: μ and κ.
    """

    masses: tuple[float, float]
    mu: float
    kappa: float

    def inertia(self):
        return self.masses

    def potential(self, q: Configuration) -> Float[Array, ""]:
        # A polynomial of r²: no square root, which has no derivative where the particles meet.
        squared = jnp.sum(jnp.square(q[0] - q[1]))
        return squared * (self.kappa / 4 * squared - self.mu / 2)


@final
class TwoParticles(System):
    """Two particles in D dimensions that attract each other from afar and repel at close range.

    The distance r moves in a double well, V(r) = −(μ/2) r² + (κ/4) r⁴, with its minimum at
    r = √(μ/κ). (Müller 2023, Eq. 23, prints the opposite signs. Those are unbounded below, and are not
    what its code and figures have.) Total momentum and total angular momentum are conserved.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.TwoParticles(space=3)
        charge = system.group.noether_charge(system.lagrangian)
        values = charge(*system.initial_state())
        assert values.shape == (6,)  # three momenta, three angular momenta
        assert jnp.allclose(values[:3], 0.0, atol=1e-6)  # the centre of mass rests
        ```

    **Arguments:**

    - `masses`: m₁ and m₂.
    - `mu`, `kappa`: μ and κ of the potential.
    - `space`: the dimension D, at least two.

    The defaults are those of Müller 2023, section 3.1.3, with its initial state: the total momentum is
    zero and the particles start near each other.

    **Raises:**

    `ValueError` if a parameter is not positive or `space` is less than two.
    """

    masses: tuple[float, float]
    mu: float
    kappa: float
    space: int = eqx.field(static=True)

    def __init__(
        self,
        masses: tuple[float, float] = (1.0, 0.8),
        mu: float = 1.0,
        kappa: float = 1.0,
        space: int = 4,
    ):
        self.masses = check_pair("masses", masses)
        check_positive(mu=mu, kappa=kappa)
        check_counts(2, space=space)
        self.mu = float(mu)
        self.kappa = float(kappa)
        self.space = int(space)

    @property
    def lagrangian(self) -> TwoParticlesLagrangian:
        """The true law."""
        return TwoParticlesLagrangian(self.masses, self.mu, self.kappa)

    @property
    def group(self) -> SymmetryGroup:
        """Translations and rotations; the charges are total momentum and total angular momentum."""
        return Translations(self.space) * Rotations(self.space)

    def initial_state(self) -> tuple[Float[Array, "2 space"], Float[Array, "2 space"]]:
        """Positions and velocities, each of shape `(2, space)`; the paper's for `space` up to 4.

        Momentum and positions are fixed numbers of the normal distribution.
        """
        momentum, first, second = fixed_normals(3 * self.space).reshape(3, self.space)
        q = np.stack([first, second])
        v = np.stack([momentum / self.masses[0], -momentum / self.masses[1]])
        return jnp.asarray(q), jnp.asarray(v)

    def random_state(
        self, key: PRNGKeyArray
    ) -> tuple[Float[Array, "2 space"], Float[Array, "2 space"]]:
        """A state of the same kind: normally distributed positions and relative momentum, no total
        momentum."""
        keys = jax.random.split(key)
        q = jax.random.normal(keys[0], (2, self.space))
        momentum = jax.random.normal(keys[1], (self.space,))
        return q, jnp.stack([momentum / self.masses[0], -momentum / self.masses[1]])
