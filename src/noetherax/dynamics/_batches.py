"""Functions of one state, mapped over the states of a batch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def over_batch(function: Callable, array) -> Callable:
    """`function` of unbatched states, mapped over all leading axes of `array`."""
    for _ in range(array.ndim - 2):
        function = jax.vmap(function)
    return function


def for_batch(array, own: int, batch):
    """An array whose axes before its own lead those of a batch, for the whole batch."""
    ahead, inner = array.shape[: array.ndim - own], array.shape[array.ndim - own :]
    spread = array.reshape(*ahead, *[1] * (len(batch) - len(ahead)), *inner)
    return jnp.broadcast_to(spread, (*batch, *inner))
