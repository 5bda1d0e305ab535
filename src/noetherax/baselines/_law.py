import abc
from typing import NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._summaries import one_line
from .._types import Configuration, Velocity, check_motion, check_state
from ..dynamics import (
    EulerLagrangeTerms,
    energy,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
    momentum,
    solve_motion,
)


class AccelerationLaw(eqx.Module):
    """A law of motion without a Lagrangian, a = F(q, v): it has no momentum and no charges.

    [`noetherax.fit`][], [`noetherax.acceleration`][], [`noetherax.rollout`][] and
    [`noetherax.evaluate`][] take it as they take a Lagrangian, since it has the equations of motion
    1 · a = F(q, v). To write your own, define `__call__`.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Damped(nx.AccelerationLaw):
            rate: jax.Array

            def __call__(self, q, v):
                return -q - self.rate * v


        q, v = jnp.ones((1, 2)), jnp.zeros((1, 2))
        path = nx.rollout(Damped(jnp.array(0.1)), q, v, ts=jnp.linspace(0, 6, 61))
        assert jnp.max(path.q[50:]) < 0.8  # of 1, after one turn
        ```
    """

    def __repr__(self) -> str:
        return one_line(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        """The acceleration.

        **Arguments:**

        - `q`, `v`: configuration and velocity, shape `(points, space)`.

        **Returns:**

        An array of shape `(points, space)`.
        """


@euler_lagrange_terms.register
def _(law: AccelerationLaw, q, v):
    force = _flat(law, q, v)
    unit = jnp.eye(force.shape[-1], dtype=force.dtype)
    return EulerLagrangeTerms(jnp.broadcast_to(unit, (*force.shape, force.shape[-1])), force)


@euler_lagrange_residual.register
def _(law: AccelerationLaw, q, v, a):
    check_motion(q, v, a)
    force = _flat(law, q, v)
    return jnp.reshape(a, force.shape) - force


@solve_motion.register
def _(law: AccelerationLaw, q, v, solve):
    a = _flat(law, q, v)
    return a, jnp.all(jnp.isfinite(a), axis=-1)


def _refuse(law: AccelerationLaw, q, v) -> NoReturn:
    raise TypeError(
        f"{type(law).__name__} gives accelerations and has no Lagrangian, so that it has neither "
        "energy nor charges, and a variational solver has no momentum to move. Take a solver of "
        "(q, v), such as nx.RK4() or diffrax.Tsit5()."
    )


for _function in (lagrangian_gradient, momentum, energy):
    _function.register(AccelerationLaw, _refuse)


def _flat(law: AccelerationLaw, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    function = law
    for _ in range(q.ndim - 2):
        function = jax.vmap(function)
    return function(q, v).reshape(*q.shape[:-2], -1)
