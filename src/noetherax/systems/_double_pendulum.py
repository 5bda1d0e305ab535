import math
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration, Velocity
from ..groups import Periodic
from ..lagrangians import Lagrangian
from ._checks import check_pair, check_positive
from ._system import System


@final
class DoublePendulumLagrangian(Lagrangian):
    """L = (m₁ + m₂) l₁² θ̇₁²/2 + m₂ l₂² θ̇₂²/2 + m₂ l₁ l₂ θ̇₁ θ̇₂ cos(θ₁ − θ₂)
    − (m₁ + m₂) g l₁ (1 − cos θ₁) − m₂ g l₂ (1 − cos θ₂).

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        lagrangian = nx.systems.DoublePendulum(gravity=9.81).lagrangian
        level, rest = jnp.full((2, 1), jnp.pi / 2), jnp.zeros((2, 1))
        a = nx.acceleration(lagrangian, level, rest)
        # Both bobs fall freely, and the lower rod stays level.
        assert jnp.allclose(a, jnp.array([[-9.81], [0.0]]), atol=1e-4)
        ```

    **Arguments:**

    - `masses`, `lengths`: of the upper and the lower rod, (m₁, m₂) and (l₁, l₂).
    - `gravity`: g.
    """

    masses: tuple[float, float]
    lengths: tuple[float, float]
    gravity: float

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        (upper, lower), (upper_rate, lower_rate) = q[:, 0], v[:, 0]
        (first, second), (l1, l2) = self.masses, self.lengths
        kinetic = (
            (first + second) / 2 * jnp.square(l1 * upper_rate)
            + second / 2 * jnp.square(l2 * lower_rate)
            + second * l1 * l2 * upper_rate * lower_rate * jnp.cos(upper - lower)
        )
        heights = (first + second) * l1 * (1 - jnp.cos(upper)) + second * l2 * (1 - jnp.cos(lower))
        return kinetic - self.gravity * heights


@final
class DoublePendulum(System):
    """A pendulum hung from a pendulum: chaotic, with a mass matrix that depends on the angles.

    One coordinate per point, shape `(2, 1)`: the angles of the two rods from the downward vertical,
    the upper one first. Only the energy is conserved. From the code that accompanies Müller 2023; the
    paper itself has no figures of it. Angles are not wrapped to (−π, π]: a rod may go over the top.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.DoublePendulum(masses=(1.0, 1.0), lengths=(1.0, 1.0))
        q, v = system.initial_state()  # both rods level, at rest
        assert jnp.isclose(nx.energy(system.lagrangian, q, v), 3 * 9.81)
        features = system.group.invariant_features(points=2)
        assert features.num_features == 6  # a sine, a cosine and a rate for each angle
        ```

    **Arguments:**

    - `masses`: m₁ and m₂ of the bobs; the rods have none.
    - `lengths`: l₁ and l₂ of the rods.
    - `gravity`: g.

    **Raises:**

    `ValueError` if a parameter is not positive.
    """

    masses: tuple[float, float]
    lengths: tuple[float, float]
    gravity: float

    def __init__(
        self,
        masses: tuple[float, float] = (1.0, 1.0),
        lengths: tuple[float, float] = (1.0, 1.0),
        gravity: float = 9.81,
    ):
        check_positive(gravity=gravity)
        self.masses = check_pair("masses", masses)
        self.lengths = check_pair("lengths", lengths)
        self.gravity = float(gravity)

    @property
    def lagrangian(self) -> DoublePendulumLagrangian:
        """The true law."""
        return DoublePendulumLagrangian(self.masses, self.lengths, self.gravity)

    @property
    def group(self) -> Periodic:
        """Both angles come back after 2π. No charge but the energy, of the shift of time."""
        return Periodic(1)

    def initial_state(self) -> tuple[Float[Array, "2 1"], Float[Array, "2 1"]]:
        """Both rods level, at rest."""
        q = jnp.full((2, 1), math.pi / 2)
        return q, jnp.zeros_like(q)

    def random_state(self, key: PRNGKeyArray) -> tuple[Float[Array, "2 1"], Float[Array, "2 1"]]:
        """Angles uniform on the circle, normally distributed rates."""
        keys = jax.random.split(key)
        q = jax.random.uniform(keys[0], (2, 1), minval=-jnp.pi, maxval=jnp.pi)
        return q, jax.random.normal(keys[1], (2, 1))
