import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import PRNGKeyArray

from .._types import State, check_static
from ..groups import SymmetryGroup


class System(eqx.Module):
    """A mechanical system with a known law: the truth that learned dynamics are judged by.

    To write your own, define its four members. References, training data and families of orbits
    derive from them, see [`noetherax.systems.Orbits`][].

    !!! example

        ```python
        import math

        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Pendulum(nx.systems.System):
            length: float = 1.0

            @property
            def lagrangian(self):
                return lambda q, v: jnp.sum(self.length * v**2 / 2 + 9.81 * jnp.cos(q))

            @property
            def group(self):
                return nx.Trivial(1)

            def initial_state(self):
                return jnp.array([[2.0]]), jnp.array([[0.0]])

            def random_state(self, key):
                angle = jax.random.uniform(key, (1, 1), minval=-3.0, maxval=3.0)
                return angle, jnp.zeros((1, 1))


        draw = nx.systems.Orbits(Pendulum(), math.inf).sampler(batch_size=8, noise=1e-6)
        q, v, a = draw(jax.random.key(0))  # each on an orbit of its own, for nx.fit
        assert jnp.allclose(a, -9.81 * jnp.sin(q), atol=1e-4)
        ```
    """

    def __check_init__(self):
        check_static(self)

    @property
    @abc.abstractmethod
    def lagrangian(self) -> Callable:
        """The true law, a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`; with forces a
        [`noetherax.Forced`][], and with inputs a [`noetherax.Driven`][]."""

    @property
    @abc.abstractmethod
    def group(self) -> SymmetryGroup:
        """Its symmetry; `Trivial` if there is none beyond the shift of time."""

    @abc.abstractmethod
    def initial_state(self) -> State:
        """The state at t = 0 of the one orbit that `reference`, `sampler` and `windows` follow.

        **Returns:**

        `(q, v)`, each of shape `(points, space)`.
        """

    @abc.abstractmethod
    def random_state(self, key: PRNGKeyArray) -> State:
        """A state at random, of the same shape: where other orbits start."""

    # Properties, so that their arguments stand in one place, Orbits.

    @property
    def reference(self):
        """As [`noetherax.systems.Orbits.reference`][], of the orbit from the initial state."""
        return self._orbit.reference

    @property
    def sampler(self):
        """As [`noetherax.systems.Orbits.sampler`][], of the orbit from the initial state."""
        return self._orbit.sampler

    @property
    def windows(self):
        """As [`noetherax.systems.Orbits.windows`][], of the orbit from the initial state."""
        return self._orbit.windows

    @property
    def _orbit(self):
        from ._orbits import Orbits

        return Orbits(self)
