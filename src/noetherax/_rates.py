"""How fast forces and explicit time change a charge."""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._precision import PRECISION
from .charges import Energy, MomentumMap
from .dynamics import at_time, covector, depends_on_time, forces_of


@singledispatch
def rates(charge: Any, q, v, t) -> Float[Array, "parts charges"]:
    """How fast each force and, last, explicit time change a charge at a state. A charge of your own
    registers a rule, `noetherax.rates.register`; [`noetherax.balance`][] then takes it, too.

    !!! example

        Friction takes 0.1 v² from the energy of a free particle:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def free(q, v):
            return jnp.sum(v**2) / 2


        damped = nx.Forced(free, lambda q, v: -0.1 * v)
        q, v = jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]])
        power = nx.rates(nx.Energy(damped), q, v, 0.0)
        assert power.shape == (1, 1)  # of one force and one charge
        assert jnp.allclose(power, -2.5)
        ```

    **Arguments:**

    - `charge`: as for [`noetherax.balance`][].
    - `q`, `v`: configuration and velocity, shape `(points, space)`.
    - `t`: time, a scalar.

    **Returns:**

    The rates, in units of the charge by those of time, shape `(parts, charges)`. Parts are as in
    [`noetherax.impulses`][].

    **Raises:**

    `TypeError` for a type of charge that has registered no rule.
    """
    raise TypeError(
        f"How forces change a {type(charge).__name__} is not known. Pass group.noether_charge(model) "
        "or noetherax.Energy(model), or register it: noetherax.rates.register."
    )


@rates.register
def _(charge: MomentumMap, q, v, t):
    generators = charge.generators(q, t)
    parts = [
        jnp.einsum("aij,ij->a", generators, force, precision=PRECISION)
        for force in _forces(charge.lagrangian, q, v, t)
    ]
    explicit = [jnp.zeros(len(generators), q.dtype)] * depends_on_time(charge.lagrangian)
    return _stacked(parts + explicit, len(generators), q.dtype)


@rates.register
def _(charge: Energy, q, v, t):
    model = charge.lagrangian
    parts = [jnp.sum(force * v)[None] for force in _forces(model, q, v, t)]
    if depends_on_time(model):
        change = jax.grad(lambda t: at_time(model, t)(q, v))(jnp.asarray(t, q.dtype))
        parts.append(-change[None])
    return _stacked(parts, 1, q.dtype)


def _forces(model, q, v, t) -> list:
    return [covector(force, q, v) for force in forces_of(at_time(model, t))]


def _stacked(parts: list, charges: int, dtype):
    return jnp.stack(parts) if parts else jnp.zeros((0, charges), dtype)


__all__ = ["rates"]
