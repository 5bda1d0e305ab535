import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jaxtyping import Array, Float

from .._summaries import one_line
from .._types import Configuration, Velocity, check_static


class Force(eqx.Module):
    """A generalised force Q(q, v, t, u), a covector: Q · δq is the work of a displacement δq.

    It stands beside a Lagrangian in [`noetherax.Forced`][], and the motion is that of Lagrange and
    d'Alembert,

        d/dt ∂L/∂v − ∂L/∂q = Q.

    To write your own, define `__call__` with the arguments that it needs, `(self, q, v)`,
    `(self, q, v, t)` or `(self, q, v, t, u)`; fields that are arrays are its parameters and train. A
    plain function of these arguments is a force as well.

    !!! example

        A drag that grows with the square of the speed:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class AirDrag(nx.Force):
            coefficient: float

            def __call__(self, q, v):
                speed = jnp.sqrt(jnp.sum(v**2, axis=-1, keepdims=True) + 1e-12)
                return -self.coefficient * speed * v


        q, v = jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]])
        force = AirDrag(0.1)(q, v)  # of size 0.1 · 5², against the motion
        assert jnp.allclose(force, jnp.array([[-1.5, -2.0]]))
        ```
    """

    def __check_init__(self):
        check_static(self)

    def __repr__(self) -> str:
        return one_line(self)

    if TYPE_CHECKING:
        # Subclasses take as many of (q, v, t, u) as they need, which a type checker would refuse.
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    else:

        @abc.abstractmethod
        def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
            """Evaluates Q.

            **Arguments:**

            - `q`, `v`: configuration and velocity, shape `(points, space)`.
            - `t`: time, a scalar, if the method has a third argument.
            - `u`: inputs, shape `(inputs,)`, if it has a fourth.

            **Returns:**

            The force, shape `(points, space)`, in units of energy by those of q.
            """
