import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .._types import Configuration, FloatArray
from ..groups import Rotations
from ..lagrangians import SeparableLagrangian
from ._checks import check_batches, check_eccentricity, check_positive, check_real
from ._trajectories import check_times, observe, precision_of


@final
class KeplerLagrangian(SeparableLagrangian):
    """L = m v²/2 + α/|q| for one point (Müller 2023, Eq. 13)."""

    mass: float
    strength: float

    def inertia(self):
        return self.mass

    def potential(self, q: Configuration) -> Float[Array, ""]:
        return -self.strength / jnp.linalg.norm(q)


@final
class Kepler(eqx.Module):
    """A particle in Newton's potential in three dimensions, on an ellipse in the x-y plane.

    **Arguments:**

    - `mass`, `strength`: m and α of the Lagrangian.
    - `eccentricity`: of the orbit, at least 0 and less than 1.
    - `angular_momentum`: L_z of the orbit, not zero.

    The defaults are those of Müller 2023, section 3.1.1. At angle φ from perihelion the radius is
    r = (L²/mα) / (1 + ε cos φ).

    **Raises:**

    `ValueError` if a parameter is out of range or not finite, `TypeError` if it is no number.
    """

    mass: float
    strength: float
    eccentricity: float
    angular_momentum: float

    def __init__(
        self,
        mass: float = 1.0,
        strength: float = 1.0,
        eccentricity: float = 0.8,
        angular_momentum: float = 1.0,
    ):
        check_positive(mass=mass, strength=strength)
        self.mass = float(mass)
        self.strength = float(strength)
        self.eccentricity = check_real("eccentricity", eccentricity)
        check_eccentricity(self.eccentricity)
        self.angular_momentum = check_real("angular_momentum", angular_momentum)
        if not 0 < abs(self.angular_momentum) < math.inf:
            raise ValueError(
                "angular_momentum must be finite and not zero, or the orbit would hit the origin, but "
                f"it is {angular_momentum!r}."
            )

    @property
    def lagrangian(self) -> KeplerLagrangian:
        """The true law."""
        return KeplerLagrangian(self.mass, self.strength)

    @property
    def group(self) -> Rotations:
        """Rotations about the origin; the charge is the angular momentum."""
        return Rotations(3)

    @property
    def semi_major_axis(self) -> float:
        """Half the longer axis of the ellipse, (L²/mα) / (1 − ε²)."""
        return self.parameter / (1 - self.eccentricity**2)

    @property
    def parameter(self) -> float:
        """Radius a quarter turn (in angle) from perihelion, L²/mα."""
        return self.angular_momentum**2 / (self.mass * self.strength)

    @property
    def period(self) -> float:
        """Time of one revolution, 2π √(m a³/α) (Kepler's third law)."""
        return 2 * math.pi * (self.mass * self.semi_major_axis**3 / self.strength) ** 0.5

    def initial_state(self) -> tuple[Float[Array, "1 3"], Float[Array, "1 3"]]:
        """Position and velocity at perihelion, on the x axis."""
        return self.state(jnp.zeros(()))

    def state(
        self, angle: Float[FloatArray, ""]
    ) -> tuple[Float[Array, "1 3"], Float[Array, "1 3"]]:
        """Position and velocity at an angle from perihelion, each of shape `(1, 3)`."""
        return orbit_state(
            angle, self.eccentricity, self.angular_momentum, self.mass, self.strength
        )

    def reference(
        self, ts: Real[FloatArray, " times"]
    ) -> tuple[Float[Array, "times 1 3"], Float[Array, "times 1 3"]]:
        """The exact orbit from perihelion at t = 0, by Kepler's equation E − ε sin E = M.

        Evaluated at the precision of `ts`, JAX's default one for integers: pass float64 for a
        reference. Relative errors are some units of rounding over 1 − ε.
        """
        ts = jnp.asarray(check_times(ts), precision_of(ts))
        mean = math.copysign(2 * math.pi / self.period, self.angular_momentum) * ts
        angle = angle_of_mean_anomaly(mean, jnp.asarray(self.eccentricity, mean.dtype))
        return jax.vmap(self.state)(angle)

    def sampler(self, batch_size: int = 128, noise: float = 1e-3):
        """Noisy observations of the orbit, uniform in angle: the paper's training data.

        **Returns:**

        A function `key -> (q, v, a)`, each of shape `(batch_size, 1, 3)`, with Gaussian noise of
        standard deviation `noise` drawn afresh on all three.
        """
        check_batches(batch_size, noise)

        def sample(key: PRNGKeyArray):
            angle_key, noise_key = jax.random.split(key)
            angles = jax.random.uniform(angle_key, (batch_size,), minval=-jnp.pi, maxval=jnp.pi)
            q, v = jax.vmap(self.state)(angles)
            return observe(noise_key, newton(q, v, self.mass, self.strength), noise)

        return sample


def mean_anomaly(angle, eccentricity):
    """M = E − ε sin E at an angle from perihelion: the time since then, as an angle."""
    eccentric = 2 * jnp.arctan2(
        jnp.sqrt(1 - eccentricity) * jnp.sin(angle / 2),
        jnp.sqrt(1 + eccentricity) * jnp.cos(angle / 2),
    )
    return eccentric - eccentricity * jnp.sin(eccentric)


def angle_of_mean_anomaly(mean, eccentricity):
    """The angle from perihelion at a mean anomaly M, by Kepler's equation E − ε sin E = M."""
    mean = mean - 2 * jnp.pi * jnp.round(mean / (2 * jnp.pi))

    def newton(_, e):
        return e - (e - eccentricity * jnp.sin(e) - mean) / (1 - eccentricity * jnp.cos(e))

    # From π·sign(M) Newton's iteration is monotone; 60 steps reach rounding up to ε = 0.999.
    eccentric = jax.lax.fori_loop(0, 60, newton, jnp.copysign(jnp.pi, mean))
    return 2 * jnp.arctan2(
        jnp.sqrt(1 + eccentricity) * jnp.sin(eccentric / 2),
        jnp.sqrt(1 - eccentricity) * jnp.cos(eccentric / 2),
    )


def orbit_state(angle, eccentricity, angular_momentum, mass, strength):
    """Position and velocity on a Kepler ellipse at an angle from perihelion, in the x-y plane."""
    parameter = angular_momentum**2 / (mass * strength)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    zero = jnp.zeros_like(cosine)
    radius = parameter / (1 + eccentricity * cosine)
    speed = strength / angular_momentum
    q = jnp.stack([radius * cosine, radius * sine, zero])
    v = jnp.stack([-speed * sine, speed * (eccentricity + cosine), zero])
    return q[None, :], v[None, :]


def newton(q, v, mass, strength):
    """Exact states `(samples, 1, 3)` with the true acceleration beside them, `(q, v, a)`."""
    radius = jnp.linalg.norm(q, axis=-1, keepdims=True)
    return q, v, -strength / mass * q / radius**3
