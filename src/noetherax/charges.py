"""Conserved quantities: the Noether charges of a field of generators, and the energy."""

import abc
from collections.abc import Callable
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._precision import PRECISION
from ._summaries import one_line
from ._types import Configuration, GeneratorField, Time, Velocity, check_state
from .dynamics import energy, momentum


class NoetherCharge(eqx.Module):
    """A quantity I(q, v, t) that is constant along the solutions of a Lagrangian.

    To write your own, define `__call__`; [`noetherax.drift`][] measures it along a trajectory.

    !!! example

        Kepler's problem keeps more than its symmetries say, the vector of Laplace, Runge and Lenz:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class RungeLenz(nx.NoetherCharge):
            def __call__(self, q, v, t=0.0):
                x, p = q[0], v[0]
                return jnp.cross(p, jnp.cross(x, p)) - x / jnp.linalg.norm(x)


        q, v = jnp.array([[1.0, 0.5, 0.0]]), jnp.array([[0.0, 0.8, 0.3]])
        a = -q / jnp.linalg.norm(q) ** 3
        _, rate = jax.jvp(RungeLenz(), (q, v), (v, a))
        assert jnp.allclose(rate, 0, atol=1e-6)
        ```
    """

    def __repr__(self) -> str:
        return one_line(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration, v: Velocity, t: Time = 0.0) -> Float[Array, " charges"]:
        """Evaluates the charges.

        **Arguments:**

        - `q`, `v`: configuration and velocity, shape `(points, space)`.
        - `t`: time.

        **Returns:**

        The charges, shape `(charges,)`.
        """


@final
class MomentumMap(NoetherCharge):
    """The charges of the generators ξ_a that leave a Lagrangian invariant (Noether 1918),

        I_a = p · ξ_a(q, t) − K_a(q, t),    p = ∂L/∂v

    (Müller 2023, Eq. 2). They are constant along solutions if L is invariant under ξ_a (K_a = 0), or
    changes by the total derivative dK_a/dt. For a Lagrangian without the symmetry the same formula
    measures how much of the charge it loses.

    Usually obtained from `group.noether_charge(lagrangian)`.

    !!! example

        A charge in a magnetic field, L = v²/2 + x v_y. A shift along x adds v_y, the rate of K = y:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def magnetic(q, v):
            return jnp.sum(v**2) / 2 + q[0, 0] * v[0, 1]


        shifts = nx.Translations(2, axes=(0,)).generators
        charge = nx.MomentumMap(magnetic, shifts, lambda q, t: q[0, 1:])
        q, v = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])
        assert charge(q, v).tolist() == [1.0]  # p_x − y
        a = nx.acceleration(magnetic, q, v)
        _, rate = jax.jvp(charge, (q, v), (v, a))
        assert jnp.allclose(rate, 0)
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `generators`: the field `(q, t) -> (generators, points, space)`.
    - `boundary`: K, a function `(q, t) -> (generators,)`, or `None` for zero. For the Galilean boosts
        ξ = t e_a of particles of mass m it is K_a = Σ_i m_i q_{i,a}.
    """

    lagrangian: Callable
    generators: GeneratorField
    boundary: Callable | None = None

    def __call__(self, q: Configuration, v: Velocity, t: Time = 0.0) -> Float[Array, " charges"]:
        with jax.default_matmul_precision(PRECISION):
            return self.at_momentum(q, momentum(self.lagrangian, q, v, t), t)

    def at_momentum(
        self, q: Configuration, p: Float[Array, "points space"], t: Time = 0.0
    ) -> Float[Array, " charges"]:
        """The charges of a state given by its momentum, as variational integrators carry it."""
        with jax.default_matmul_precision(PRECISION):
            charges = jnp.einsum("aij,ij->a", self.generators(q, t), p)
            return charges if self.boundary is None else charges - self.boundary(q, t)


@final
class Energy(NoetherCharge):
    """The energy v · ∂L/∂v − L as a charge, shape `(1,)`: the charge of time translations.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        charge = nx.Energy(pendulum)
        assert charge(jnp.zeros((1, 1)), jnp.array([[2.0]])).tolist() == [1.0]  # 2 − 1
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    """

    lagrangian: Callable

    def __call__(self, q: Configuration, v: Velocity, t: Time = 0.0) -> Float[Array, " charges"]:
        with jax.default_matmul_precision(PRECISION):
            return energy(self.lagrangian, q, v, t)[None]


def lift(
    generators: GeneratorField, q: Configuration, v: Velocity, t: Time = 0.0
) -> tuple[Float[Array, "generators points space"], Float[Array, "generators points space"]]:
    """How generators act on a state: ξ on q, and on v the derivative of ξ along the motion,

        δq = ξ(q, t),    δv = (∂ξ/∂q) v + ∂ξ/∂t.

    !!! example

        A rotation turns velocities as it turns positions:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        q, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]])
        dq, dv = nx.lift(nx.Rotations(2).generators, q, v)
        assert dq[0].tolist() == [[0.0, 1.0]]
        assert dv[0].tolist() == [[-2.0, 0.0]]
        ```

    **Arguments:**

    - `generators`: the field `(q, t) -> (generators, points, space)`.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.
    - `t`: time.

    **Returns:**

    `(δq, δv)`, each of shape `(generators, points, space)`.

    **Raises:**

    `ValueError` or `TypeError` if `q` and `v` are not arrays of one such shape.
    """
    check_state(q, v)
    q, v = jnp.asarray(q), jnp.asarray(v)
    t = jnp.asarray(t, q.dtype)
    return jax.jvp(generators, (q, t), (v, jnp.ones_like(t)))
