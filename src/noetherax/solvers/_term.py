from collections.abc import Callable
from typing import NamedTuple, final

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._programs import traced_once
from ..dynamics import at_time, constant_inertia, lagrangian_gradient, leading_inertia


class LagrangianSlopes(NamedTuple):
    """The two first derivatives of a Lagrangian, and its masses where they are known.

    - `force`: ∂L/∂q, and with it the forces beside L, shape `(points, space)`.
    - `momentum`: ∂L/∂v, the canonical momentum, shape `(points, space)`.
    - `inertia`: m where ∂L/∂v = m v at every state, `None` where that is not known.
    - `leading`: masses that ∂²L/∂v² is near to, the same as those if they are known, or `None`.
    """

    force: Float[Array, "*shape"]
    momentum: Float[Array, "*shape"]
    inertia: Float[Array, "*shape"] | None = None
    leading: Float[Array, "*shape"] | None = None


@final
class LagrangianTerm(diffrax.AbstractTerm):
    """A Lagrangian as a Diffrax term, for the variational solvers.

    Its vector field takes (q, v) and returns (∂L/∂q, ∂L/∂v). That is no rate of change of a state: only
    solvers that know it, such as [`noetherax.VariationalMidpoint`][], may integrate this term, and
    Runge–Kutta methods stop with an error because its structure differs from that of their state.

    !!! example

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0]]), jnp.array([[0.0]])
        solution = diffrax.diffeqsolve(
            nx.LagrangianTerm(spring),
            nx.VariationalMidpoint(),
            t0=0.0,
            t1=2.0,
            dt0=0.1,
            y0=(q0, nx.momentum(spring, q0, v0)),
        )
        q, p = solution.ys
        assert jnp.allclose(q[-1] ** 2 + p[-1] ** 2, 1.0)  # the energy of the start
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or not.
    """

    lagrangian: Callable

    def vf(self, t, y: PyTree, args) -> LagrangianSlopes:
        q, v, *_ = y  # Diffrax also shows it whole states
        return traced_once(_slopes, self.lagrangian, t, q, v)

    def contr(self, t0, t1, **kwargs):
        return t1 - t0

    def prod(self, vf: LagrangianSlopes, control) -> LagrangianSlopes:
        return jax.tree.map(lambda x: jnp.asarray(control, x.dtype) * x, vf)


def _slopes(lagrangian, t, q, v) -> LagrangianSlopes:
    lagrangian = at_time(lagrangian, t)
    masses = (
        None if m is None else jnp.broadcast_to(jnp.asarray(m, q.dtype), q.shape)
        for m in (constant_inertia(lagrangian, q), leading_inertia(lagrangian, q))
    )
    return LagrangianSlopes(*lagrangian_gradient(lagrangian, q, v), *masses)
