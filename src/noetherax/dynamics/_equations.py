"""The Euler–Lagrange equations and the gradient of L, with the rules that hold for any function of
(q, v): automatic differentiation, which is the referee of all others."""

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import PRECISION, full_precision
from .._types import Configuration, FloatArray, Velocity, check_motion, check_state
from ._batches import over_batch
from ._registration import has_rule


class EulerLagrangeTerms(NamedTuple):
    """The equations of motion as a linear system for the acceleration, `mass_matrix @ a = force`.

    With the n = points × space components of the state flattened:

    - `mass_matrix`: ∂²L/∂v∂v, shape `(..., n, n)`, symmetric.
    - `force`: ∂L/∂q − (∂²L/∂v∂q) v, shape `(..., n)`.

    !!! example

        What a rule for a type of your own returns, here of a particle of mass 2 on a spring:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Spring(nx.Lagrangian):
            stiffness: jax.Array

            def __call__(self, q, v):
                return jnp.sum(v**2) - self.stiffness * jnp.sum(q**2) / 2


        @nx.euler_lagrange_terms.register
        def _(lagrangian: Spring, q, v):
            force = -lagrangian.stiffness * q.reshape(*q.shape[:-2], -1)
            matrix = 2 * jnp.eye(force.shape[-1])
            return nx.EulerLagrangeTerms(
                jnp.broadcast_to(matrix, (*force.shape, force.shape[-1])), force
            )


        q, v = jnp.array([[3.0]]), jnp.array([[1.0]])
        assert jnp.allclose(nx.acceleration(Spring(jnp.array(4.0)), q, v), -6.0)
        ```
    """

    mass_matrix: Float[Array, "*batch n n"]
    force: Float[Array, "*batch n"]


@singledispatch
def euler_lagrange_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """Terms of the Euler–Lagrange equations d/dt ∂L/∂v = ∂L/∂q,

        (∂²L/∂v²) a = ∂L/∂q − (∂²L/∂v∂q) v.

    (Müller 2023, Eq. 9, prints ∂L/∂v for the first term on the right, a misprint.)

    Any callable of (q, v) is differentiated automatically. Types with a faster rule register it,
    `euler_lagrange_terms.register(MyLagrangian)`; [`noetherax.NeuralLagrangian`][] has a closed one.

    !!! example

        A free particle in polar coordinates, m = 1: r̈ = r φ̇² and r² φ̈ = −2 r ṙ φ̇.

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def polar(q, v):
            (r, _), (r_dot, phi_dot) = q[0], v[0]
            return (r_dot**2 + (r * phi_dot) ** 2) / 2


        q, v = jnp.array([[2.0, 0.0]]), jnp.array([[1.0, 3.0]])
        terms = nx.euler_lagrange_terms(polar, q, v)
        assert terms.mass_matrix.tolist() == [[1.0, 0.0], [0.0, 4.0]]
        assert terms.force.tolist() == [18.0, -12.0]
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`. This function, unlike the
        others, takes leading batch axes, since that is where the time of training goes.

    **Returns:**

    A named tuple `(mass_matrix, force)`, [`noetherax.EulerLagrangeTerms`][].

    **Raises:**

    `ValueError` or `TypeError` if `q` and `v` are not arrays of one such shape.
    """
    check_state(q, v, batched=True)
    return over_batch(lambda q, v: _terms(lagrangian, q, v), q)(q, v)


@singledispatch
def euler_lagrange_residual(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    a: Float[FloatArray, "*batch points space"],
) -> Float[Array, "*batch n"]:
    """The Euler–Lagrange expression of a motion that is at q with velocity v and acceleration a,

        d/dt ∂L/∂v − ∂L/∂q = (∂²L/∂v²) a + (∂²L/∂v∂q) v − ∂L/∂q,

    zero where the motion is one of L. It takes one derivative of ∂L/∂v, along (v, a), where
    [`noetherax.euler_lagrange_terms`][] takes one for every coordinate.

    A type with rules for these terms and none for this function goes by the terms.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q, v = jnp.array([[0.7]]), jnp.array([[1.0]])
        assert nx.euler_lagrange_residual(spring, q, v, -q) == 0  # a motion of it
        assert nx.euler_lagrange_residual(spring, q, v, 0 * q) == q[0]  # held by a force
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`, `a`: configuration, velocity and acceleration, shape `(..., points, space)`.

    **Returns:**

    An array of shape `(..., points·space)`.

    **Raises:**

    `ValueError` or `TypeError` if `q`, `v` and `a` are not arrays of one such shape.
    """
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    if has_rule(euler_lagrange_terms, type(lagrangian)):
        mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
        a = a.reshape(force.shape)
        return jnp.einsum("...ij,...j->...i", mass_matrix, a, precision=PRECISION) - force
    return over_batch(lambda *motion: _residual(lagrangian, *motion), q)(q, v, a)


@singledispatch
def lagrangian_gradient(
    lagrangian: Callable, q: Configuration, v: Velocity
) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
    """The generalised force and the momentum, (∂L/∂q, ∂L/∂v).

    What solvers that move (q, p) evaluate at every step. An implicit one also takes their Jacobian, by
    forward mode: a rule is worth having if its own derivatives are cheap.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return 3 * jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        q, v = jnp.array([[jnp.pi / 2]]), jnp.array([[2.0]])
        force, p = nx.dynamics.lagrangian_gradient(pendulum, q, v)
        assert jnp.allclose(force, -1.0) and jnp.allclose(p, 6.0)
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.

    **Returns:**

    Two arrays of that shape.
    """
    with full_precision():
        return jax.grad(lagrangian, argnums=(0, 1))(q, v)


def autodiff_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """[`noetherax.euler_lagrange_terms`][] by automatic differentiation, whatever the type."""
    return euler_lagrange_terms.dispatch(object)(lagrangian, q, v)


@full_precision()
def _terms(lagrangian, q, v):
    q, v = jnp.asarray(q), jnp.asarray(v)
    size = v.size
    momentum = jax.grad(lagrangian, argnums=1)
    mass_matrix = jax.jacfwd(momentum, argnums=1)(q, v).reshape(size, size)
    _, transport = jax.jvp(lambda q: momentum(q, v), (q,), (v,))
    force = jax.grad(lagrangian, argnums=0)(q, v) - transport
    return EulerLagrangeTerms(mass_matrix, force.reshape(size))


@full_precision()
def _residual(lagrangian, q, v, a):
    slope, momentum = (jax.grad(lagrangian, argnums=index) for index in (0, 1))
    _, rate = jax.jvp(momentum, (q, v), (v, a))
    return (rate - slope(q, v)).reshape(-1)
