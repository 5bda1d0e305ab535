from collections.abc import Callable
from typing import Any, final

import equinox as eqx
from jaxtyping import Array, Float

from .._summaries import one_line
from .._types import Configuration, Velocity
from ..lagrangians import takes_new_attributes, with_attributes
from ._arguments import arguments_of


@final
class Forced(eqx.Module):
    """A Lagrangian and the forces beside it, after Lagrange and d'Alembert,

        d/dt ∂L/∂v − ∂L/∂q = Q₁ + Q₂ + …

    (Goldstein, Poole & Safko 2002, Eq. 1.58). It goes wherever a Lagrangian goes: `acceleration`,
    `rollout` with any solver, `fit`, `polish`, charges, `save`. Momentum, energy and charges are those
    of L; the forces change them, and [`noetherax.balance`][] keeps the account.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        damped = nx.Forced(pendulum, lambda q, v: -0.1 * v)
        q, v = jnp.array([[1.0]]), jnp.array([[0.5]])
        a = nx.acceleration(damped, q, v)
        assert jnp.allclose(a, -jnp.sin(q) - 0.1 * v)
        assert nx.energy(damped, q, v) == nx.energy(pendulum, q, v)
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function of (q, v), (q, v, t) or (q, v, t, u);
        of one that is forced already, more forces are added to its own.
    - `forces`: [`noetherax.Force`][]s or functions of (q, v), (q, v, t) or (q, v, t, u), at least one.

    **Raises:**

    `ValueError` if there is no force, `TypeError` if one is no function.
    """

    lagrangian: Callable
    forces: tuple[Any, ...]

    def __init__(self, lagrangian: Any, *forces: Any):
        if not forces:
            raise ValueError("Forced needs at least one force, but got none.")
        for part in (lagrangian, *forces):
            if not callable(part):
                raise TypeError(
                    "Forced takes a Lagrangian and forces, functions of (q, v) or of time and inputs "
                    f"as well, but got {part!r}."
                )
        inside = lagrangian.forces if isinstance(lagrangian, Forced) else ()
        self.lagrangian = lagrangian.lagrangian if isinstance(lagrangian, Forced) else lagrangian
        self.forces = (*inside, *forces)

    def __repr__(self) -> str:
        return one_line(self)

    def __call__(self, q: Configuration, v: Velocity, *instant) -> Float[Array, ""]:
        """The value of the Lagrangian alone."""
        return self.lagrangian(q, v, *instant)


@arguments_of.register
def _(function: Forced) -> int:
    return arguments_of(function.lagrangian)


@takes_new_attributes.register
def _(model: Forced) -> bool:
    return any(map(takes_new_attributes, (model.lagrangian, *model.forces)))


@with_attributes.register
def _(model: Forced, attributes):
    parts = (model.lagrangian, *model.forces)
    if not takes_new_attributes(model):
        return with_attributes(model.lagrangian, attributes)  # which says so
    return Forced(
        *(with_attributes(x, attributes) if takes_new_attributes(x) else x for x in parts)
    )
