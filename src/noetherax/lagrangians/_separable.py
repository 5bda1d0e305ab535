import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, Velocity
from ._base import Lagrangian


class SeparableLagrangian(Lagrangian):
    """L = vᵀ M v/2 − V(q) with a constant mass matrix M: kinetic energy of velocities, potential energy
    of positions.

    The acceleration is −M⁻¹ ∂V/∂q. One gradient of V takes the place of all second derivatives of L,
    and no linear system is left to be solved at every step: a constant matrix is inverted once, while
    JAX compiles. To write your own, define `inertia` and `potential`; as for every
    [`noetherax.Lagrangian`][], fields that are arrays train, a network in the potential for instance,
    and Python numbers do not.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Pendulums(nx.SeparableLagrangian):
            masses: tuple[float, ...]
            stiffness: float

            def inertia(self):
                return self.masses

            def potential(self, q):
                return -self.stiffness * jnp.sum(jnp.cos(q))


        law = Pendulums((1.0, 2.0), 4.0)
        q, v = jnp.array([[0.5], [0.5]]), jnp.zeros((2, 1))
        a = nx.acceleration(law, q, v)
        assert jnp.allclose(a[:, 0], -jnp.sin(0.5) * jnp.array([4.0, 2.0]))
        ```

    **Raises:**

    `ValueError`, when evaluated, if `inertia` has none of the shapes below or is not finite, and
    `TypeError` if it is not made of numbers.
    """

    @abc.abstractmethod
    def inertia(self) -> Any:
        """The constant mass: a number, one for each point, shape `(points,)`, or a matrix over all
        components, points first, shape `(points·space, points·space)`, whose symmetric part counts.
        Array-like, in units of mass."""

    @abc.abstractmethod
    def potential(self, q: Configuration) -> Float[Array, ""]:
        """Evaluates the potential energy V(q), a scalar."""

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        momentum = inertia_times(inertia_of(self, *v.shape), v)
        return jnp.sum(v * momentum) / 2 - self.potential(q)


def inertia_of(lagrangian: Any, points: int, space: int):
    """Masses of all components, shape `(points·space,)`, or the symmetric matrix M: in NumPy's float64,
    unless JAX traces them."""
    inertia = lagrangian.inertia()
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(inertia))
    library = jnp if traced else np
    if not all(
        isinstance(x, int | float | np.number | np.ndarray | jax.Array)
        for x in jax.tree.leaves(inertia, is_leaf=lambda x: x is None)
    ):
        raise TypeError(f"inertia must be a number or numbers, but it is {inertia!r}.")
    array = jnp.asarray(inertia) if traced else np.asarray(inertia, float)
    if not traced and not np.all(np.isfinite(array)):
        raise ValueError(f"inertia must be finite, but it is {inertia!r}.")
    size = points * space
    if array.shape not in ((), (points,), (size, size)):
        raise ValueError(
            f"inertia must be a number, {points} numbers, one per point, or a matrix of shape "
            f"({size}, {size}) for states of shape ({points}, {space}), but it has shape {array.shape}."
        )
    if array.ndim == 2:
        return (array + array.T) / 2
    return library.repeat(library.broadcast_to(array, points), space)


def inertia_times(inertia, v: Velocity):
    """M v, for what `inertia_of` returns."""
    inertia, flat = jnp.asarray(inertia, v.dtype), jnp.ravel(v)
    if inertia.ndim == 1:
        return (inertia * flat).reshape(v.shape)
    return jnp.matmul(inertia, flat, precision=PRECISION).reshape(v.shape)
