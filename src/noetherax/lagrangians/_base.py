import abc

import equinox as eqx
from jaxtyping import Array, Float

from .._summaries import one_line
from .._types import Configuration, Velocity, check_static


class Lagrangian(eqx.Module):
    """A Lagrangian L(q, v) without explicit time; its Euler–Lagrange equations are the dynamics.

    To write your own, define `__call__`; fields that are arrays are its parameters and train, Python
    numbers do not. Everything else derives: [`noetherax.momentum`][], [`noetherax.energy`][],
    [`noetherax.acceleration`][], and the charges of any group. Where you know their derivatives in a
    faster form, [register it](../lagrangians.md).

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class HarmonicOscillator(nx.Lagrangian):
            stiffness: float

            def __call__(self, q, v):
                return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


        q, v = jnp.array([[1.5]]), jnp.array([[2.0]])
        assert nx.acceleration(HarmonicOscillator(4.0), q, v) == -6.0
        ```
    """

    def __check_init__(self):
        check_static(self)

    def __repr__(self) -> str:
        return one_line(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        """Evaluates L(q, v).

        **Arguments:**

        - `q`: configuration, shape `(points, space)`.
        - `v`: velocity, shape `(points, space)`.

        **Returns:**

        A scalar.
        """
