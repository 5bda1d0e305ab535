"""Integrals along a step, by the sum that the solver itself takes."""

from functools import singledispatch
from typing import NamedTuple

import diffrax
from jaxtyping import Array, Float


class Nodes(NamedTuple):
    """Points of one step of a solver, and the weights with which values there add up to an integral
    over the step: what a rule of [`noetherax.solvers.quadrature`][] returns.

    - `t`: times, shape `(nodes,)`.
    - `q`, `v`: states at these times, shape `(nodes, points, space)`.
    - `weights`: of the sum, in units of time, shape `(nodes,)`.

    !!! example

        Those of a step of two stages, which integrates polynomials of degree three without error:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        solver, t0, t1 = nx.VariationalGauss4(), jnp.array(0.0), jnp.array(0.2)
        q0, q1 = jnp.array([[0.0]]), jnp.array([[0.2]])  # a free motion, at v = 1
        p, moves = jnp.array([[1.0]]), jnp.full((2, 1, 1), 0.2)
        dense = dict(y0=(q0, p), y1=(q1, p), increments=(moves, 0 * moves))
        nodes = nx.solvers.quadrature(solver, dense, t0, t1)
        assert jnp.isclose(jnp.sum(nodes.weights), t1 - t0)
        assert jnp.isclose(jnp.sum(nodes.weights * nodes.t**3), 0.2**4 / 4)
        assert jnp.allclose(nodes.q[:, 0, 0], nodes.t)  # the positions at these times
        ```
    """

    t: Float[Array, " nodes"]
    q: Float[Array, "nodes points space"]
    v: Float[Array, "nodes points space"]
    weights: Float[Array, " nodes"]


@singledispatch
def quadrature(solver: diffrax.AbstractSolver, dense: dict, t0, t1) -> Nodes | None:
    """The points at which a step has evaluated the forces, and their weights.

    With them the balance of a charge holds to rounding, as it does for the solver. Variational solvers
    have a rule; another solver that keeps charges registers one, or its balances are those of a fine
    integration.

    !!! example

        A solver that evaluates the forces once in a step, at its end:

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx


        class OneForce(diffrax.SemiImplicitEuler):
            "A step of q along the velocity, then one of p along the force."


        @nx.solvers.quadrature.register
        def _(solver: OneForce, dense, t0, t1):
            (q0, _), (q1, _) = dense["y0"], dense["y1"]
            h = t1 - t0
            return nx.solvers.Nodes(t1[None], q1[None], (q1 - q0)[None] / h, h[None])


        q, p, h = jnp.array([[1.0]]), jnp.array([[2.0]]), jnp.array(0.1)
        dense = dict(y0=(q, p), y1=(q + h * p, p - h * (q + h * p)))  # as its `step` gives
        nodes = nx.solvers.quadrature(OneForce(), dense, jnp.array(0.0), h)
        assert jnp.allclose(nodes.q, 1.2) and jnp.allclose(nodes.v, 2.0)
        ```

    **Arguments:**

    - `solver`: by whose type this is dispatched.
    - `dense`: what its `step` returns for dense output.
    - `t0`, `t1`: the times of the step, arrays without axes.

    **Returns:**

    [`noetherax.solvers.Nodes`][], or `None` for a solver without a rule.
    """
    return None
