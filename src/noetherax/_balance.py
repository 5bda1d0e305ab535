"""The account of a charge: what forces and explicit time have put into it along a trajectory."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ._drift import charge_along, without_padding
from ._impulses import impulses_along
from ._programs import run
from ._rates import rates
from ._trajectory import Trajectory
from .dynamics import has_rule


def balance(charge: Callable, trajectory: Trajectory) -> Float[Array, "times charges"]:
    """What is left of the change of a charge when the part of all forces is taken off,

        I_a(t) − I_a(0) − ∫ Q · ξ_a dt,    and for the energy    E(t) − E(0) − ∫ (Q · v − ∂L/∂t) dt.

    It vanishes for the charges of a symmetry of L, whatever forces act, friction, a drive and control
    together. Along a trajectory of a variational solver with fixed steps the integral is the sum
    h Σ_i b_i Q_i · ξ_a(q_i) that the solver itself takes, and for an affine group the balance is at
    rounding in float64 at any step. The energy's is as good as the solver's energy.

    Elsewhere the motion from each saved time to the next is integrated anew, finer than by a rollout:
    what is left then is the error of the trajectory. Where inputs of the kind `"hold"` make L jump,
    what the jump puts in is counted with ∂L/∂t.

    Along trajectories of variational solvers it has a derivative in forward mode (`jax.jvp`), along
    others none.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def central(q, v):
            return jnp.sum(v**2) / 2 + 1 / jnp.linalg.norm(q)


        damped = nx.Forced(central, lambda q, v: -0.01 * v)
        q, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
        ts = jnp.linspace(0, 5, 6)
        trajectory = nx.rollout(damped, q, v, ts=ts, dt=0.05, solver=nx.RK4())
        charge = nx.Rotations(2).noether_charge(damped)
        left = nx.balance(charge, trajectory)
        assert charge(trajectory.q[-1], trajectory.v[-1]) < 0.96  # 1 at the start
        assert jnp.max(jnp.abs(left)) < 1e-4  # and all of it went to the force
        ```

    **Arguments:**

    - `charge`: `group.noether_charge(model)` or [`noetherax.Energy`][] of the model whose motion it is,
        forces included.
    - `trajectory`: from [`noetherax.rollout`][].

    **Returns:**

    The balance at each time, in units of the charge, shape `(times, charges)`.

    **Raises:**

    `TypeError` for a charge of which it is not known how forces change it.
    """
    _check(charge)
    return run(_account, charge, trajectory)[0]


def impulses(charge: Callable, trajectory: Trajectory) -> Float[Array, "times parts charges"]:
    """What each force has put into a charge since the start, ∫ Q_k · ξ_a dt: its impulse or, for the
    energy, its work.

    !!! example

        A body in free fall: what gravity put in, and what the air took, make its momentum.

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def free(q, v):
            return jnp.sum(v**2) / 2


        falling = nx.Forced(free, lambda q, v: -9.81 + 0 * q, lambda q, v: -0.5 * v)
        rest = jnp.zeros((1, 1))
        ts = jnp.linspace(0.0, 2.0, 5)
        trajectory = nx.rollout(falling, rest, rest, ts=ts, dt=0.05, solver=nx.RK4())
        charge = nx.Translations(1).noether_charge(falling)
        parts = nx.impulses(charge, trajectory)
        assert parts.shape == (5, 2, 1)  # times, forces, charges
        assert jnp.allclose(parts[:, 0, 0], -9.81 * ts)
        assert jnp.allclose(jnp.sum(parts, axis=1), trajectory.v[:, 0], rtol=1e-4)
        ```

    **Arguments:** as [`noetherax.balance`][].

    **Returns:**

    One part for each force, in the order of [`noetherax.Forced`][]; of a model that depends on time one
    more, for the explicit change of L, its jumps included. Shape `(times, parts, charges)`.

    **Raises:** as there.
    """
    _check(charge)
    return run(_account, charge, trajectory)[1]


def _check(charge: Any) -> None:
    if not has_rule(rates, type(charge)):
        rates(charge, None, None, None)  # which says so


def _account(charge, trajectory: Trajectory):
    """The balance and the impulses: one program for both, since who asks for one asks for the other."""
    if trajectory.solver is None:  # an event, or times of Diffrax' own, may leave entries unused
        trajectory = without_padding(trajectory)
    values, parts = charge_along(charge, trajectory), impulses_along(charge, trajectory)
    return values - values[0] - jnp.sum(parts, axis=1), parts


__all__ = ["balance", "impulses"]
