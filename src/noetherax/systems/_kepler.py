import math
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_real
from .._programs import run
from .._types import Configuration, FloatArray
from ..groups import Rotations
from ..lagrangians import SeparableLagrangian
from ._checks import check_eccentricity, check_positive, check_range
from ._draws import direct_draw
from ._motion import motion
from ._system import System

State = tuple[Float[Array, "1 3"], Float[Array, "1 3"]]


@final
class KeplerLagrangian(SeparableLagrangian):
    """L = m v²/2 + α/|q| for one point (Müller 2023, Eq. 13).

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        lagrangian = nx.systems.Kepler(mass=2.0, strength=3.0).lagrangian
        q, v = jnp.array([[2.0, 0.0, 0.0]]), jnp.zeros((1, 3))
        a = nx.acceleration(lagrangian, q, v)
        assert jnp.allclose(a, jnp.array([[-3.0 / 2.0 / 2.0**2, 0.0, 0.0]]))  # −α/(m r²)
        ```

    **Arguments:**

    - `mass`, `strength`: m and α, positive.
    """

    mass: float
    strength: float

    def inertia(self):
        return self.mass

    def potential(self, q: Configuration) -> Float[Array, ""]:
        return -self.strength / jnp.linalg.norm(q)


@final
class Kepler(System):
    """A particle in Newton's potential in three dimensions, on an ellipse in the x-y plane.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.Kepler(eccentricity=0.5)
        q, v = system.reference(jnp.array([0.0, system.period]))
        assert jnp.allclose(q[1], q[0], atol=1e-4)  # the orbit is closed
        charge = system.group.noether_charge(system.lagrangian)
        assert jnp.allclose(charge(q[0], v[0]), jnp.array([0.0, 0.0, 1.0]))
        ```

    **Arguments:**

    - `mass`, `strength`: m and α of the Lagrangian.
    - `eccentricity`: of the orbit, at least 0 and less than 1.
    - `angular_momentum`: L_z of the orbit, not zero.
    - `eccentricities`, `angular_momenta`: ranges of random orbits, uniform; the first within [0, 1),
        the second without zero, by default from 0.8 to 1.2 times `angular_momentum`.

    The defaults are those of Müller 2023, section 3.1.1. At angle φ from perihelion the radius is
    r = (L²/mα) / (1 + ε cos φ).

    Motions are exact, by Kepler's equation E − ε sin E = M; relative errors are some units of rounding
    over 1 − ε, and grow with the phase. Samplers draw states uniformly in angle, as the paper does;
    windows have such a state in the middle.

    **Raises:**

    `ValueError` if a parameter is out of range or not finite, `TypeError` if it is no number.
    """

    mass: float
    strength: float
    eccentricity: float
    angular_momentum: float
    eccentricities: tuple[float, float]
    angular_momenta: tuple[float, float]

    def __init__(
        self,
        mass: float = 1.0,
        strength: float = 1.0,
        eccentricity: float = 0.8,
        angular_momentum: float = 1.0,
        eccentricities: tuple[float, float] = (0.5, 0.9),
        angular_momenta: tuple[float, float] | None = None,
    ):
        check_positive(mass=mass, strength=strength)
        self.mass = float(mass)
        self.strength = float(strength)
        self.eccentricity = check_real("eccentricity", eccentricity)
        self.angular_momentum = check_real("angular_momentum", angular_momentum)
        self.eccentricities = check_range("eccentricities", eccentricities)
        check_eccentricity(self.eccentricity, *self.eccentricities)
        if not 0 < abs(self.angular_momentum) < math.inf:
            raise ValueError(
                "angular_momentum must be finite and not zero, or the orbit would hit the origin, but "
                f"it is {angular_momentum!r}."
            )
        if angular_momenta is None:
            low, high = sorted(factor * self.angular_momentum for factor in (0.8, 1.2))
            angular_momenta = low, high
        self.angular_momenta = check_range("angular_momenta", angular_momenta)
        if self.angular_momenta[0] <= 0 <= self.angular_momenta[1]:
            raise ValueError(
                "angular_momenta must be a range without zero, where orbits hit the origin, but it is "
                f"{angular_momenta!r}."
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

    def initial_state(self) -> State:
        """Position and velocity at perihelion, on the x axis."""
        return self.state(jnp.zeros(()))

    def random_state(self, key: PRNGKeyArray) -> State:
        """On a random ellipse in the x-y plane: its shape uniform in the ranges, its orientation and
        the angle from perihelion uniform on the circle."""
        q, v = self.random_places(jax.random.split(key, 3), 1)
        return q[0], v[0]

    def state(self, angle: Float[FloatArray, ""]) -> State:
        """Position and velocity at an angle from perihelion, each of shape `(1, 3)`."""
        return self._on_ellipse(angle, self.eccentricity, self.angular_momentum)

    def random_places(self, keys, count: int):
        """Random states, stacked, from three keys."""
        angle, turn = jax.random.uniform(keys[0], (2, count), minval=-jnp.pi, maxval=jnp.pi)
        shapes = (
            jax.random.uniform(key, (count,), minval=low, maxval=high)
            for key, (low, high) in zip(
                keys[1:], (self.eccentricities, self.angular_momenta), strict=True
            )
        )
        q, v = jax.vmap(self._on_ellipse)(angle, *shapes)
        turns = jax.vmap(_about_z)(turn)
        return tuple(jnp.einsum("sjk,spk->spj", turns, x) for x in (q, v))

    def _on_ellipse(self, angle, eccentricity, angular_momentum) -> State:
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        zero = jnp.zeros_like(cosine)
        parameter = angular_momentum**2 / (self.mass * self.strength)
        radius = parameter / (1 + eccentricity * cosine)
        speed = self.strength / angular_momentum
        q = jnp.stack([radius * cosine, radius * sine, zero])
        v = jnp.stack([-speed * sine, speed * (eccentricity + cosine), zero])
        return q[None, :], v[None, :]


@motion.register
def _(system: Kepler, q0, v0, ts):
    return run(_along_ellipses, system.strength / system.mass, q0, v0, jnp.asarray(ts, q0.dtype))


def _along_ellipses(attraction: float, q0, v0, ts):
    """From any state of negative energy, by its eccentric anomaly."""
    q0, v0 = q0[..., None, :, :], v0[..., None, :, :]
    ts = ts[:, None, None]

    def dot(x, y):
        return jnp.sum(x * y, axis=(-2, -1), keepdims=True)

    radius = jnp.sqrt(dot(q0, q0))
    axis = 1 / (2 / radius - dot(v0, v0) / attraction)  # vis viva
    unit = jnp.sqrt(axis / attraction)
    # ε cos E and ε sin E at the start.
    along, across = 1 - radius / axis, dot(q0, v0) * unit / axis
    eccentricity = jnp.hypot(along, across)
    start = jnp.arctan2(across, along)
    now = _eccentric_anomaly(start - across + ts / (unit * axis), eccentricity)

    # Unit vectors to perihelion, and at right angles to it in units of the ratio of the axes.
    cosine, sine = jnp.cos(start), jnp.sin(start)
    major = cosine / radius * q0 - sine * unit * v0
    minor = sine / radius * q0 + (cosine - eccentricity) * unit * v0
    cosine, sine = jnp.cos(now), jnp.sin(now)
    q = axis * ((cosine - eccentricity) * major + sine * minor)
    v = (cosine * minor - sine * major) / (unit * (1 - eccentricity * cosine))
    return q, v


def _eccentric_anomaly(mean, eccentricity):
    """E of Kepler's equation E − ε sin E = M."""
    mean = mean - 2 * jnp.pi * jnp.round(mean / (2 * jnp.pi))

    def newton(_, e):
        return e - (e - eccentricity * jnp.sin(e) - mean) / (1 - eccentricity * jnp.cos(e))

    # From π·sign(M) Newton's iteration is monotone; 60 steps reach rounding up to ε = 0.999.
    return jax.lax.fori_loop(0, 60, newton, jnp.copysign(jnp.pi, mean))


@direct_draw.register
def _(system: Kepler, fresh: bool, interval: float | None):
    """Uniform in angle, which is what the paper does."""
    if interval is not None:
        _check_interval(system, fresh, interval)

    def draw(key, count, times=None):
        *keys, noise_key = jax.random.split(key, 4 if fresh else 2)
        if fresh:
            q, v = system.random_places(keys, count)
        else:
            angle = jax.random.uniform(keys[0], (count,), minval=-jnp.pi, maxval=jnp.pi)
            q, v = jax.vmap(system.state)(angle)
        if times is not None:
            q, v = motion(system, q, v, interval * (np.arange(times) - times // 2))
        distance = jnp.linalg.norm(q, axis=-1, keepdims=True)
        return (q, v, -system.strength / system.mass * q / distance**3), noise_key

    return draw


def _check_interval(system: Kepler, fresh: bool, interval: float) -> None:
    """Raises if no orbit moves within an interval, or if its phase is lost."""
    period = system.period
    if fresh:  # the shortest
        momentum = min(map(abs, system.angular_momenta)) / abs(system.angular_momentum)
        rounder = (1 - system.eccentricity**2) / (1 - system.eccentricities[0] ** 2)
        period *= momentum**3 * rounder**1.5
    resolution = float(jnp.finfo(jnp.result_type(float)).eps)
    if not resolution < interval / period < 1 / resolution:
        raise ValueError(
            f"interval must be a time in which orbits move, by less than {1 / resolution:.2g} "
            f"revolutions; the shortest period is {period:.3g}, but interval is {interval!r}."
        )


def _about_z(angle):
    """The rotation about the z axis, shape `(3, 3)`."""
    cosine, sine, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)
    return jnp.array([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, zero + 1]])
