import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_real
from .._types import Configuration, Velocity
from ..groups import Translations
from ..lagrangians import Lagrangian
from ._checks import check_numbers, check_positive
from ._draws import usual_samples
from ._system import System

Vector = tuple[float, float, float]


@final
class RelativisticChargeLagrangian(Lagrangian):
    """L = (m/2)(τ̇² − ẋ²) + e (A⁰ τ̇ − A·ẋ) in the coordinates (x₁, x₂, x₃, τ), with A = B × x / 2 and

    - A⁰ = −E·x for the uniform field E,
    - A⁰ = (E·x)²/(2|E|) for the field −E (E·x)/|E|, which grows linearly.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        field = (0.0, 0.0, 2.0)
        system = nx.systems.RelativisticCharge(electric=(0.0, 0.0, 0.0), magnetic=field)
        q, v = system.initial_state()
        a = nx.acceleration(system.lagrangian, q, v)
        assert jnp.allclose(a[0, :3], jnp.cross(v[0, :3], jnp.array(field)), atol=1e-5)
        assert jnp.isclose(a[0, 3], 0.0)  # a magnetic field does no work
        ```

    **Arguments:**

    - `mass`, `charge`: m and e.
    - `electric`, `magnetic`: the vectors E and B.
    - `uniform`: whether the electric field is the uniform one.
    """

    mass: float
    charge: float
    electric: Vector
    magnetic: Vector
    uniform: bool = eqx.field(static=True)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        x, velocity, rate = q[0, :3], v[0, :3], v[0, 3]
        electric, magnetic = (jnp.asarray(x, q.dtype) for x in (self.electric, self.magnetic))
        along = jnp.dot(electric, x)
        strength = math.hypot(*self.electric)
        scalar = -along if self.uniform else jnp.square(along) / (2 * strength)
        free = self.mass / 2 * (jnp.square(rate) - jnp.sum(jnp.square(velocity)))
        bound = scalar * rate - jnp.dot(jnp.cross(magnetic, x), velocity) / 2
        return free + self.charge * bound


@final
class RelativisticCharge(System):
    """A fast charged particle in an electric and a uniform magnetic field.

    One point of space 4, (x₁, x₂, x₃, τ): position and time of the laboratory, as functions of the
    particle's own time t. The speed of light is 1. The mass matrix is indefinite,
    m diag(−1, −1, −1, 1), and the norm τ̇² − ẋ² = 1 of the four-velocity is conserved. From the code
    that accompanies Müller 2023, which puts τ first and starts with τ̇ = 1 instead of norm 1; the
    paper itself has no figures of it.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.RelativisticCharge(velocity=(0.6, 0.0, 0.0))
        q, v = system.initial_state()
        assert jnp.isclose(v[0, 3], 1.25)  # dτ/dt, 1/√(1 − 0.6²)
        assert jnp.isclose(v[0, 3] ** 2 - jnp.sum(v[0, :3] ** 2), 1.0)
        energy = system.group.noether_charge(system.lagrangian)
        assert jnp.allclose(energy(q, v), 1.25)  # m τ̇ at the origin, where A⁰ = 0
        ```

    **Arguments:**

    - `mass`, `charge`: m, positive, and e, not zero.
    - `electric`, `magnetic`: the vectors E and B.
    - `uniform`: whether the electric field is E everywhere, or −E (E·x)/|E|, which pulls a positive
        charge back to the plane E·x = 0.
    - `velocity`: dx/dτ at the start, below the speed of light.

    **Raises:**

    `ValueError` if a parameter is out of range.

    A uniform electric field accelerates the particle without end, its four-velocity grows
    exponentially, and so samplers take no more than 100 samples unless more are asked for.
    """

    mass: float
    charge: float
    electric: Vector
    magnetic: Vector
    uniform: bool = eqx.field(static=True)
    velocity: Vector

    def __init__(
        self,
        mass: float = 1.0,
        charge: float = 1.0,
        electric: Vector = (0.7, -1.2, 0.3),
        magnetic: Vector = (1.1, 0.7, 2.3),
        uniform: bool = True,
        velocity: Vector = (0.5, 0.0, 0.0),
    ):
        check_positive(mass=mass)
        if not 0 < abs(check_real("charge", charge)) < math.inf:
            raise ValueError(f"charge must be finite and not zero, but it is {charge!r}.")
        self.mass = float(mass)
        self.charge = float(charge)
        self.electric = _vector("electric", electric)
        self.magnetic = _vector("magnetic", magnetic)
        if not isinstance(uniform, bool | np.bool_):
            raise TypeError(f"uniform must be True or False, but it is {uniform!r}.")
        self.uniform = bool(uniform)
        self.velocity = _vector("velocity", velocity)
        if not uniform and not any(self.electric):
            raise ValueError("electric must not be zero for a field that grows along it.")
        if math.hypot(*self.velocity) >= 1:
            raise ValueError(
                "velocity must be below the speed of light, 1, but its size is "
                f"{math.hypot(*self.velocity):.6g}."
            )

    @property
    def lagrangian(self) -> RelativisticChargeLagrangian:
        """The true law."""
        return RelativisticChargeLagrangian(
            self.mass, self.charge, self.electric, self.magnetic, self.uniform
        )

    @property
    def group(self) -> Translations:
        """Translations of τ; the charge is m τ̇ + e A⁰, kinetic and potential energy."""
        return Translations(4, axes=(3,))

    def initial_state(self) -> tuple[Float[Array, "1 4"], Float[Array, "1 4"]]:
        """At the origin at τ = 0, with a four-velocity of norm 1."""
        return self._start(jnp.asarray(self.velocity))

    def random_state(self, key: PRNGKeyArray) -> tuple[Float[Array, "1 4"], Float[Array, "1 4"]]:
        """From the origin with the same speed in a random direction."""
        direction = jax.random.normal(key, (3,))
        return self._start(math.hypot(*self.velocity) * direction / jnp.linalg.norm(direction))

    def _start(self, velocity):
        boost = 1 / jnp.sqrt(1 - jnp.sum(jnp.square(velocity)))
        v = boost * jnp.concatenate([velocity, jnp.ones_like(velocity[:1])])[None, :]
        return jnp.zeros_like(v), v


@usual_samples.register
def _(system: RelativisticCharge) -> int:
    return 100


def _vector(name: str, values) -> Vector:
    x, y, z = check_numbers(name, values, 3)
    return x, y, z
