import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..training import Windows
from ._checks import check_batches, check_count, check_eccentricity, check_positive, check_range
from ._kepler import angle_of_mean_anomaly, mean_anomaly, newton, orbit_state
from ._trajectories import observe, observed_windows


@final
class KeplerFamily(eqx.Module):
    """Kepler orbits of many shapes in one plane, the x-y plane, every orientation in it.

    **Arguments:**

    - `eccentricity`, `angular_momentum`: ranges of the orbits, uniform; the first within [0, 1), the
        second without zero.
    - `mass`, `strength`: as for [`noetherax.systems.Kepler`][].

    **Raises:**

    `ValueError` if a parameter is out of range or not finite, `TypeError` if it is no number.
    """

    eccentricity: tuple[float, float]
    angular_momentum: tuple[float, float]
    mass: float
    strength: float

    def __init__(
        self,
        eccentricity: tuple[float, float] = (0.5, 0.9),
        angular_momentum: tuple[float, float] = (0.8, 1.2),
        mass: float = 1.0,
        strength: float = 1.0,
    ):
        check_positive(mass=mass, strength=strength)
        self.mass = float(mass)
        self.strength = float(strength)
        self.eccentricity = check_range("eccentricity", eccentricity)
        check_eccentricity(*self.eccentricity)
        self.angular_momentum = check_range("angular_momentum", angular_momentum)
        if self.angular_momentum[0] <= 0 <= self.angular_momentum[1]:
            raise ValueError(
                "angular_momentum must be a range without zero, where orbits hit the origin, but it is "
                f"{angular_momentum!r}."
            )

    def sampler(self, batch_size: int = 128, noise: float = 1e-3):
        """Noisy observations `key -> (q, v, a)` of a fresh random orbit for every sample."""
        check_batches(batch_size, noise)

        def sample(key: PRNGKeyArray):
            keys = jax.random.split(key, 5)
            angle, turn, eccentricity, momentum = self._draw(keys[:3], batch_size)
            q, v = jax.vmap(orbit_state, in_axes=(0, 0, 0, None, None))(
                angle, eccentricity, momentum, self.mass, self.strength
            )
            q, v = (jnp.einsum("sjk,spk->spj", about_z(turn), x) for x in (q, v))
            return observe(keys[3], newton(q, v, self.mass, self.strength), noise)

        return sample

    def windows(
        self,
        interval: float,
        *,
        times: int = 9,
        batch_size: int = 16,
        noise: float = 1e-3,
        velocities: bool = False,
        accelerations: bool = False,
    ):
        """Noisy observations at equal intervals, each window on a fresh random orbit.

        The middle of a window lies at an angle drawn uniformly, as in `sampler`; the other times follow
        from Kepler's equation.

        **Arguments:**

        - `interval`: time between observations.
        - `times`: observations per window.
        - `batch_size`: windows per batch.
        - `noise`: standard deviation of the Gaussian noise, drawn afresh.
        - `velocities`, `accelerations`: whether they are observed as well.

        **Returns:**

        A function `key ->` [`noetherax.Windows`][], for [`noetherax.TrajectoryLoss`][] or
        [`noetherax.smooth`][].
        """
        check_batches(batch_size, noise)
        check_count(times=times)
        check_positive(interval=interval)
        self._check_interval(interval)

        def sample(key: PRNGKeyArray) -> Windows:
            keys = jax.random.split(key, 4)
            middle, turn, eccentricity, momentum = self._draw(keys[:3], batch_size)
            ts = interval * (jnp.arange(times, dtype=middle.dtype) - times // 2)
            # dM/dt = 2π/period, in terms of what an orbit is given by.
            axis = momentum**2 / (self.mass * self.strength) / (1 - eccentricity**2)
            rate = jnp.sqrt(self.strength / self.mass / axis**3)
            mean = mean_anomaly(middle, eccentricity)[:, None] + rate[:, None] * ts
            angle = angle_of_mean_anomaly(mean, eccentricity[:, None])
            over_times = jax.vmap(orbit_state, in_axes=(0, None, None, None, None))
            over_orbits = jax.vmap(over_times, in_axes=(0, 0, 0, None, None))
            states = over_orbits(angle, eccentricity, momentum, self.mass, self.strength)
            q, v = (jnp.einsum("wjk,wtpk->wtpj", about_z(turn), x) for x in states)
            exact = newton(q, v, self.mass, self.strength)
            return observed_windows(keys[3], exact, noise, velocities, accelerations)

        return sample

    def _check_interval(self, interval: float) -> None:
        """Raises if no orbit moves within an interval, or if its phase is lost."""
        momentum = min(map(abs, self.angular_momentum))
        period = 2 * math.pi * momentum**3 / (self.mass * self.strength**2)  # of the shortest orbit
        period /= (1 - self.eccentricity[0] ** 2) ** 1.5
        resolution = float(jnp.finfo(jnp.result_type(float)).eps)
        if not resolution < interval / period < 1 / resolution:
            raise ValueError(
                f"interval must be a time in which orbits move, by less than {1 / resolution:.2g} "
                f"revolutions; the shortest period is {period:.3g}, but interval is {interval!r}."
            )

    def _draw(self, keys, count: int):
        """Angle from perihelion, orientation, eccentricity and angular momentum of random orbits."""
        angle, turn = jax.random.uniform(keys[0], (2, count), minval=-jnp.pi, maxval=jnp.pi)
        ranges = (self.eccentricity, self.angular_momentum)
        eccentricity, momentum = (
            jax.random.uniform(k, (count,), minval=low, maxval=high)
            for k, (low, high) in zip(keys[1:], ranges, strict=True)
        )
        return angle, turn, eccentricity, momentum


def about_z(angle):
    """Rotations about the z axis, shape `(angles, 3, 3)`."""
    cosine, sine, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)
    rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, zero + 1]]
    return jnp.moveaxis(jnp.array(rows), -1, 0)
