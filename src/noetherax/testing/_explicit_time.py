"""Lagrangians that depend on time: what it adds to their equations of motion, and at which they are
judged."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import at_time, depends_on_time, forces_of, is_at_instant
from ._evidence import Drawn


def explicit_change(lagrangian: Callable, state, t) -> dict:
    """How L and its momentum change in time at fixed q and v, how the former does, and what it is a sum
    of, as far as second derivatives tell; zeros where L does not depend on time."""
    if not depends_on_time(lagrangian):
        none = jnp.zeros_like(t)
        return {
            "transport": jnp.zeros_like(state[1]).ravel(),
            "explicit": none,
            "explicit_rate": none,
            "explicit_size": none,
        }

    def change(state, t):
        def of_time(t):
            return jnp.reshape(at_time(lagrangian, t)(state[0], state[1]), ())

        return jax.grad(of_time)(t)

    explicit, (of_state, of_time) = jax.value_and_grad(change, argnums=(0, 1))(state, t)
    size = jnp.abs(explicit) + jnp.sum(jnp.abs(of_state * state)) + jnp.abs(of_time * t)
    return {
        "transport": of_state[1].ravel(),
        "explicit": explicit,
        "explicit_rate": of_time,
        "explicit_size": size,
    }


def at_own_instant(model: Any, drawn: Drawn, parameters: Any, own: bool) -> Drawn:
    """The cases, all at the instant of a model that is at one: the drawn times are not its own.

    `parameters` are those of the drawn models; an instant among them counts if the user drew them.
    """
    if not is_at_instant(model):
        return drawn
    if np.ndim(model.t):
        raise ValueError(
            "The laws judge a Lagrangian at one instant, but this one is at a batch of "
            f"{np.shape(model.t)} of them. Pass noetherax.at_time(lagrangian, t) with a scalar t, or "
            "the Lagrangian itself: the laws draw times."
        )
    t = np.asarray(parameters.t if own else model.t)
    return drawn._replace(t=np.broadcast_to(t, drawn.t.shape).astype(drawn.t.dtype))


def require_no_forces(model: Any) -> None:
    count = len(forces_of(model))
    if count:
        raise ValueError(
            "check_lagrangian and noetherax.testing.Lagrangian judge a Lagrangian without forces, but "
            f"this model has {count}, which change its charges. Judge model.lagrangian here, and the "
            "forces by noetherax.testing.check_force(model, …). check_charge judges charges that "
            "the forces keep."
        )
