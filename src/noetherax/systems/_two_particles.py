from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .._types import Configuration, FloatArray
from ..groups import Rotations, SymmetryGroup, Translations
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts, check_pair, check_positive
from ._starts import fixed_normals
from ._trajectories import integrated, sample_trajectory


@final
class TwoParticlesLagrangian(SeparableLagrangian):
    """L = m₁ v₁²/2 + m₂ v₂²/2 − V(|q₁ − q₂|), V(r) = −(μ/2) r² + (κ/4) r⁴ (Müller 2023, Eq. 22)."""

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
class TwoParticles(eqx.Module):
    """Two particles in D dimensions that attract each other from afar and repel at close range.

    The distance r moves in a double well, V(r) = −(μ/2) r² + (κ/4) r⁴, with its minimum at
    r = √(μ/κ). (Müller 2023, Eq. 23, prints the opposite signs. Those are unbounded below, and are not
    what its code and figures have.) Total momentum and total angular momentum are conserved.

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

    def reference(
        self, ts: Real[FloatArray, " times"]
    ) -> tuple[Float[Array, "times 2 space"], Float[Array, "times 2 space"]]:
        """The motion from the initial state at t = 0, integrated in float64 with a tolerance of
        1e-13 and given in the precision of `ts`."""
        return integrated(self, ts)

    def sampler(
        self,
        batch_size: int = 128,
        noise: float = 1e-3,
        samples: int = 10_000,
        interval: float = 0.1,
    ):
        """Noisy observations along the true trajectory.

        The paper runs on along the trajectory for ever, takes a sample every 0.1 and shuffles some
        16,000 of them. Here the trajectory is computed once and samples are drawn from it at random.

        **Arguments:**

        - `batch_size`: samples per batch.
        - `noise`: standard deviation of the Gaussian noise on q, v and a, drawn afresh.
        - `samples`, `interval`: states on the trajectory to draw from, and the time between them.

        **Returns:**

        A function `key -> (q, v, a)`, each of shape `(batch_size, 2, space)`.
        """
        return sample_trajectory(self, batch_size, noise, samples, interval)
