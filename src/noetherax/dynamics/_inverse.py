"""Inverse dynamics: what forces a motion takes."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import FloatArray, Time, check_motion
from ._equations import euler_lagrange_residual, euler_lagrange_terms
from ._forced import forces_of, total_force
from ._time import at_time

States = Float[FloatArray, "*batch points space"]
Forces = Float[Array, "*batch points space"]
Times = Time | Float[FloatArray, "*batch"] | None
InputsAt = Float[FloatArray, "*batch inputs"] | None


class ForceParts(NamedTuple):
    """What the force of a motion is made of, each of the shape of the state. Their sum is
    [`noetherax.generalised_force`][].

    - `inertial`: (∂²L/∂v²) a.
    - `coriolis`: what motion adds at a = 0, Coriolis and centrifugal forces and any other part of L
        that depends on velocity; zero at v = 0.
    - `potential`: what holds the system at rest, −∂L/∂q at v = 0.
    - `forces`: the model's own forces, with the opposite sign.

    In a field that depends on time, what ∂²L/∂v∂t does at v = 0 is part of `potential`.

    !!! example

        What a motor has to give to swing a pendulum with friction:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + 10 * jnp.sum(jnp.cos(q))


        damped = nx.Forced(pendulum, lambda q, v: -0.5 * v)
        q, v, a = (jnp.array([[x]]) for x in (jnp.pi / 2, 2.0, 3.0))
        parts = nx.force_parts(damped, q, v, a)
        assert jnp.allclose(parts.inertial, 3.0)
        assert jnp.allclose(parts.potential, 10.0)  # against the weight
        assert jnp.allclose(parts.forces, 1.0)  # against the friction
        ```
    """

    inertial: Forces
    coriolis: Forces
    potential: Forces
    forces: Forces


def generalised_force(
    model: Callable, q: States, v: States, a: States, t: Times = None, u: InputsAt = None
) -> Forces:
    """The force that a motion takes beside those of its model: inverse dynamics,

        d/dt ∂L/∂v − ∂L/∂q − Q(q, v, t, u),

    for a robot the torques of its motors. It is zero along the model's own motions.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def arm(q, v):
            return jnp.sum(v**2) / 2 + 9.81 * jnp.sum(jnp.cos(q))


        q, v, a = (jnp.array([[x]]) for x in (0.3, 1.0, -0.5))
        torque = nx.generalised_force(arm, q, v, a)
        assert jnp.allclose(torque, a + 9.81 * jnp.sin(q))
        ```

    **Arguments:**

    - `model`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or not.
    - `q`, `v`, `a`: configuration, velocity and acceleration, shape `(..., points, space)`.
    - `t`, `u`: time and inputs, of shapes `()` and `(inputs,)` or those of the batch, where the model
        depends on them.

    **Returns:**

    The force, of the shape of q. [`noetherax.ForceLoss`][] learns from what was measured of it, and
    [`noetherax.force_parts`][] takes it apart.

    **Raises:**

    `ValueError` or `TypeError` if `q`, `v` and `a` are not arrays of one such shape, or a time or
    inputs are needed and not given.
    """
    check_motion(q, v, a)
    return euler_lagrange_residual(at_time(model, t, u), q, v, a).reshape(jnp.shape(q))


def force_parts(
    model: Callable, q: States, v: States, a: States, t: Times = None, u: InputsAt = None
) -> ForceParts:
    """The parts of [`noetherax.generalised_force`][]: inertial, Coriolis, potential, and the model's
    own forces.

    !!! example

        A body that is led round a circle of radius two with φ̇ = 1. A spring gives half of the force:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def polar(q, v):
            (r, _), (r_dot, phi_dot) = q[0], v[0]
            return (r_dot**2 + (r * phi_dot) ** 2) / 2 - r**2 / 4


        q, v = jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 1.0]])
        parts = nx.force_parts(polar, q, v, jnp.zeros((1, 2)))
        assert parts.coriolis.tolist() == [[-2.0, 0.0]]  # −r φ̇²
        assert parts.potential.tolist() == [[1.0, 0.0]]
        needed = nx.generalised_force(polar, q, v, jnp.zeros((1, 2)))
        assert jnp.allclose(sum(parts), needed)
        ```

    **Arguments:** as there.

    **Returns:**

    [`noetherax.ForceParts`][], each of the shape of q.

    **Raises:** as there.
    """
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    model, shape = at_time(model, t, u), q.shape
    forces, rest = forces_of(model), jnp.zeros_like(v)

    def bare(v):
        """The mass matrix, and the force that L alone takes at a = 0."""
        mass_matrix, force = euler_lagrange_terms(model, q, v)
        own = total_force(forces, q, v) if forces else jnp.zeros_like(q)
        return mass_matrix, own.reshape(force.shape) - force, own

    mass_matrix, moving, own = bare(v)
    _, potential, _ = bare(rest)
    flat = a.reshape(potential.shape)
    inertial = jnp.einsum("...ij,...j->...i", mass_matrix, flat, precision=PRECISION)
    parts = (inertial, moving - potential, potential, -own)
    return ForceParts(*(x.reshape(shape) for x in parts))
