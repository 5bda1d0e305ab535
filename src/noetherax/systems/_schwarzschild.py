import math
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration, Velocity
from ..groups import Rotations, SymmetryGroup, Translations
from ..lagrangians import Lagrangian
from ._checks import check_positive
from ._system import System


@final
class SchwarzschildLagrangian(Lagrangian):
    """The metric of a point mass, L = g(v, v), in Cartesian coordinates (x₁, x₂, x₃, τ),

        L = −(1 − r_s/r) τ̇² + ẋ² + (r_s/r)/(1 − r_s/r) (x·ẋ)²/r²

    (Müller 2023, Eq. 18, in other coordinates). Along a motion L is itself constant: it equals its
    energy.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.Schwarzschild(distance=6.0, speed=1.2)
        q, v = system.initial_state()
        lagrangian = system.lagrangian
        assert jnp.isclose(lagrangian(q, v), -1.0)  # the norm of the four-velocity
        assert jnp.isclose(nx.energy(lagrangian, q, v), lagrangian(q, v))
        ```

    **Arguments:**

    - `radius`: r_s, in the unit of the positions.
    """

    radius: float

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        x, velocity, rate = q[0, :3], v[0, :3], v[0, 3]
        squared = jnp.sum(jnp.square(x))
        s = self.radius / jnp.sqrt(squared)
        radial = s / (1 - s) * jnp.square(jnp.dot(x, velocity)) / squared
        return jnp.sum(jnp.square(velocity)) - (1 - s) * jnp.square(rate) + radial


@final
class Schwarzschild(System):
    """A massive particle about a black hole, a bound orbit in the x₁-x₂ plane.

    One point of space 4, (x₁, x₂, x₃, τ): position and the time τ of a distant observer, as functions
    of the particle's own time t. The speed of light is 1, so lengths and times share a unit.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.Schwarzschild()
        charge = system.group.noether_charge(system.lagrangian)
        q, v = system.initial_state()
        *momentum, of_time = charge(q, v)  # of three rotations, and of the shift of τ
        assert jnp.isclose(momentum[2], 2 * v[0, 1])  # 2 x × ẋ, at x = (1, 0, 0)
        assert jnp.isclose(of_time, -2 * (1 - 0.1) * v[0, 3])
        ```

    **Arguments:**

    - `radius`: the Schwarzschild radius r_s.
    - `distance`: where the particle starts, on the x₁ axis, in units of r_s.
    - `speed`: its speed dx₂/dt there, in units of √(r_s/2r) / √(1 − r_s/r). The particle escapes
        from √2 on.

    The defaults are those of Müller 2023, section 3.1.2: r_s = 0.1, and a start at 10 r_s with
    1.26 units of speed, which is the point of the orbit nearest to the centre. τ grows with t, to about
    1,000 over the samples of a sampler: a model that is told of the translations of τ never sees it.

    **Raises:**

    `ValueError` if a parameter is not positive, or if the particle escapes or falls in.
    """

    radius: float
    distance: float
    speed: float

    def __init__(self, radius: float = 0.1, distance: float = 10.0, speed: float = 1.26):
        check_positive(radius=radius, distance=distance, speed=speed)
        _check_bound(distance, speed)
        self.radius = float(radius)
        self.distance = float(distance)
        self.speed = float(speed)

    @property
    def lagrangian(self) -> SchwarzschildLagrangian:
        """The true law."""
        return SchwarzschildLagrangian(self.radius)

    @property
    def group(self) -> SymmetryGroup:
        """Rotations of space and translations of τ; the charges are twice the angular momentum x × ẋ
        and −2 (1 − r_s/r) τ̇."""
        return Rotations(4, axes=(0, 1, 2)) * Translations(4, axes=(3,))

    def initial_state(self) -> tuple[Float[Array, "1 4"], Float[Array, "1 4"]]:
        """Position and four-velocity, on the x₁ axis, at right angles to it, at τ = 0."""
        return self._start(jnp.asarray(self.distance), jnp.asarray(self.speed), jnp.zeros(()))

    def random_state(self, key: PRNGKeyArray) -> tuple[Float[Array, "1 4"], Float[Array, "1 4"]]:
        """The nearest point of another bound orbit, anywhere about the centre in the x₁-x₂ plane.

        Distance uniform from 8 to 12 r_s and speed from 1.1 to 1.35 in the units of the arguments,
        whatever the system's own are.
        """
        distance, speed, turn = jax.random.uniform(key, (3,))
        return self._start(8 + 4 * distance, 1.1 + 0.25 * speed, 2 * jnp.pi * turn)

    def _start(self, distance, speed, turn):
        factor = 1 - 1 / distance
        velocity = speed * jnp.sqrt(0.5 / (distance * factor))
        rate = jnp.sqrt((1 + jnp.square(velocity)) / factor)  # four-velocity of norm −1
        cosine, sine, zero = jnp.cos(turn), jnp.sin(turn), jnp.zeros_like(turn)
        r = self.radius * distance
        q = jnp.stack([r * cosine, r * sine, zero, zero])
        v = jnp.stack([-velocity * sine, velocity * cosine, zero, rate])
        return q[None, :], v[None, :]


def _check_bound(distance: float, speed: float) -> None:
    """Raises unless the start is a turning point of a bound orbit outside the horizon.

    With r_s = 1 and u = 1/r the orbit has (dr/dt)² = E² − (1 − u)(1 + L²u²). One zero of this cubic is
    the start; the others are those of u² − (1 − u₀) u + (1 − E²)/(L² u₀). The motion is bound if E < 1
    and they are real with the larger one, the edge of the capture zone, further in than the start.
    """
    if distance <= 1:
        raise ValueError(f"distance must be more than 1 (in units of r_s), but it is {distance!r}.")
    start, squared = 1 / distance, speed**2 / (2 * distance - 2)
    energy = math.sqrt((1 - start) * (1 + squared))
    orbit = f"the orbit with distance {distance!r} and speed {speed!r} (energy {energy:.4g})"
    if energy >= 1:
        raise ValueError(f"The particle must be bound, but {orbit} escapes.")
    discriminant = (1 - start) ** 2 - 4 * (1 - energy**2) / (distance * squared)
    if discriminant <= 0 or (1 - start + math.sqrt(discriminant)) / 2 <= start:
        raise ValueError(f"The particle must stay outside the horizon, but {orbit} falls in.")
