"""Integrals along a step, by the sum that the solver itself takes."""

from functools import singledispatch
from typing import NamedTuple

import diffrax
from jaxtyping import Array, Float


class Nodes(NamedTuple):
    """Points of one step, and weights with which values there add up to an integral over it.

    - `t`, `q`, `v`: times and states, with the nodes first.
    - `weights`: of the sum, in units of time.
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

    **Arguments:**

    - `solver`: by whose type this is dispatched.
    - `dense`: what its `step` returns for dense output.
    - `t0`, `t1`: the times of the step.
    """
    return None
