from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration
from ..groups import AffineGroup, Periodic, Translations
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts, check_positive
from ._system import System


@final
class SpinChainLagrangian(SeparableLagrangian):
    """L = (a/2) Σ_i φ̇_i² − (1/a) Σ_i (1 − cos(φ_{i+1} − φ_i)) on a ring, a the lattice spacing.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        lagrangian = nx.systems.SpinChain(spins=3, spacing=0.5).lagrangian
        aligned, rest = jnp.full((3, 1), 0.7), jnp.zeros((3, 1))
        assert lagrangian(aligned, rest) == 0.0  # at any common angle
        opposite = jnp.array([[0.0], [0.0], [jnp.pi]])
        assert jnp.isclose(lagrangian(opposite, rest), -8.0)  # two bonds, 2/a each
        ```

    **Arguments:**

    - `spacing`: a.
    """

    spacing: float

    def inertia(self):
        return self.spacing

    def potential(self, q: Configuration) -> Float[Array, ""]:
        bonds = 1 - jnp.cos(jnp.roll(q, -1, axis=0) - q)
        return jnp.sum(bonds) / self.spacing


@final
class SpinChain(System):
    """The XY model on a ring: n planar spins of angle φ_i, each coupled to its two neighbours.

    One coordinate per point, shape `(spins, 1)`. From the code that accompanies Müller 2023; the
    paper itself has no figures of it. Angles are not wrapped to (−π, π]: the ring may turn on and on.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.SpinChain(spins=4)
        q, v = system.random_state(jax.random.key(0))
        energy = nx.energy(system.lagrangian, q, v)
        for shift in system.shifts:
            order = jnp.array(shift)
            assert jnp.isclose(nx.energy(system.lagrangian, q[order], v[order]), energy)
        charge = system.group.noether_charge(system.lagrangian)
        assert jnp.allclose(charge(q, v), jnp.sum(v) / 4)  # a = 1/4
        ```

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
    def group(self) -> AffineGroup:
        """The shift of all angles alike; the charge is the total angular momentum a Σ_i φ̇_i. Every
        angle comes back after 2π."""
        return Translations(1) * Periodic(1)

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
