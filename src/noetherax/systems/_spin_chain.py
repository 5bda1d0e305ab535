from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .._types import Configuration, FloatArray
from ..groups import Translations
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts, check_positive
from ._trajectories import integrated, sample_trajectory


@final
class SpinChainLagrangian(SeparableLagrangian):
    """L = (a/2) Σ_i φ̇_i² − (1/a) Σ_i (1 − cos(φ_{i+1} − φ_i)) on a ring, a the lattice spacing."""

    spacing: float

    def inertia(self):
        return self.spacing

    def potential(self, q: Configuration) -> Float[Array, ""]:
        bonds = 1 - jnp.cos(jnp.roll(q, -1, axis=0) - q)
        return jnp.sum(bonds) / self.spacing


@final
class SpinChain(eqx.Module):
    """The XY model on a ring: n planar spins of angle φ_i, each coupled to its two neighbours.

    One coordinate per point, shape `(spins, 1)`. From the code that accompanies Müller 2023; the
    paper itself has no figures of it. Angles are not wrapped to (−π, π]: the ring may turn on and on.

    **Arguments:**

    - `spins`: number of spins, at least two.
    - `spacing`: the lattice spacing a; 1/n if not given, so that the ring has unit length and tends to
        a continuous field as n grows.

    Beside the group below, the law is invariant under the `shifts` along the ring, a finite group:
    [`noetherax.AveragedLagrangian`][] builds that in.

    **Raises:**

    `ValueError` if `spins` is less than two or `spacing` is not positive.
    """

    spins: int = eqx.field(static=True)
    spacing: float

    def __init__(self, spins: int = 8, spacing: float | None = None):
        check_counts(2, spins=spins)
        spacing = 1 / spins if spacing is None else spacing
        check_positive(spacing=spacing)
        self.spins = int(spins)
        self.spacing = float(spacing)

    @property
    def lagrangian(self) -> SpinChainLagrangian:
        """The true law."""
        return SpinChainLagrangian(self.spacing)

    @property
    def group(self) -> Translations:
        """The shift of all angles alike; the charge is the total angular momentum a Σ_i φ̇_i."""
        return Translations(1)

    @property
    def shifts(self) -> tuple[tuple[int, ...], ...]:
        """The cyclic shifts along the ring, as permutations of the spins."""
        return tuple(
            tuple((i + shift) % self.spins for i in range(self.spins))
            for shift in range(self.spins)
        )

    def initial_state(self) -> tuple[Float[Array, "spins 1"], Float[Array, "spins 1"]]:
        """All angles zero, and φ̇_i = i/n for i = 0, …, n − 1."""
        v = jnp.arange(self.spins, dtype=jnp.result_type(float))[:, None] / self.spins
        return jnp.zeros_like(v), v

    def random_state(
        self, key: PRNGKeyArray
    ) -> tuple[Float[Array, "spins 1"], Float[Array, "spins 1"]]:
        """Angles uniform on the circle, normally distributed rates."""
        keys = jax.random.split(key)
        q = jax.random.uniform(keys[0], (self.spins, 1), minval=-jnp.pi, maxval=jnp.pi)
        return q, jax.random.normal(keys[1], (self.spins, 1))

    def reference(
        self, ts: Real[FloatArray, " times"]
    ) -> tuple[Float[Array, "times spins 1"], Float[Array, "times spins 1"]]:
        """The motion from the initial state at t = 0, integrated in float64 with a tolerance of
        1e-13 and given in the precision of `ts`.

        Motions of high energy are chaotic: errors grow exponentially with time.
        """
        return integrated(self, ts)

    def sampler(
        self,
        batch_size: int = 128,
        noise: float = 1e-3,
        samples: int = 10_000,
        interval: float = 0.1,
    ):
        """Noisy observations along the true trajectory.

        **Arguments:** as [`noetherax.systems.TwoParticles`][] has them.

        **Returns:**

        A function `key -> (q, v, a)`, each of shape `(batch_size, spins, 1)`.
        """
        return sample_trajectory(self, batch_size, noise, samples, interval)
