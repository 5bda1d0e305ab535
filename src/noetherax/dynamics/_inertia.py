"""Kinetic energy that is the same at every state and knows no coupling: masses instead of a matrix."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._types import FloatArray


@singledispatch
def constant_inertia(
    lagrangian: Callable, q: Float[FloatArray, "*batch points space"]
) -> Float[Array | np.ndarray, "*#batch points space"] | None:
    """The masses of all components where ∂L/∂v = m v with constants m at every state, zeros allowed;
    `None` where that is not known.

    A type that registers this function is never solved for with a matrix: its acceleration is a
    division, and a variational solver with many unknowns iterates instead of inverting a Jacobian.
    The cost of both then grows as that of one force.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Pendulums(nx.SeparableLagrangian):
            def inertia(self):
                return jnp.array([1.0, 3.0])  # of two points

            def potential(self, q):
                return -jnp.sum(jnp.cos(q))


        masses = nx.dynamics.constant_inertia(Pendulums(), jnp.zeros((2, 1)))
        assert masses.tolist() == [[1.0], [3.0]]
        assert nx.dynamics.constant_inertia(lambda q, v: 0.0, jnp.zeros((2, 1))) is None
        ```

    **Arguments:**

    - `lagrangian`: what moves, with forces or not, at an instant.
    - `q`: configuration, shape `(..., points, space)`.

    **Returns:**

    An array that broadcasts to `q`, or `None`.
    """
    return None


@singledispatch
def leading_inertia(
    lagrangian: Callable, q: Float[FloatArray, "*batch points space"]
) -> Float[Array | np.ndarray, "*#batch points space"] | None:
    """Masses of all components that ∂²L/∂v² is near to, where it is no constant, such as those of a law
    of many points whose pairs add to them; `None` where none are known.

    Systems of many unknowns are then solved without a matrix, iteratively, in units of these masses:
    accelerations by conjugate gradients, steps of variational solvers by iteration. Masses that are far
    off cost iterations, and change no result.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        law = nx.GeneralPairwiseLagrangian(
            nx.Euclidean(2), width=4, masses=2.0, key=jax.random.key(0)
        )
        q = jnp.zeros((3, 2))
        assert nx.dynamics.constant_inertia(law, q) is None  # pairs see velocities
        masses = jnp.broadcast_to(nx.dynamics.leading_inertia(law, q), q.shape)
        assert jnp.all(masses == 2.0)
        ```

    **Arguments:** as `constant_inertia`.

    **Returns:**

    An array that broadcasts to `q`, or `None`; by default what `constant_inertia` gives.
    """
    return constant_inertia(lagrangian, q)


def divides(inertia: Any) -> bool:
    """Whether a force can be divided by these masses: none is known to be zero."""
    return inertia is not None and (
        isinstance(inertia, Tracer) or not np.any(np.asarray(inertia) == 0)
    )
