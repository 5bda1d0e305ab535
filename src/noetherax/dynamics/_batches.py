"""Functions of one state, mapped over the states of a batch."""

from collections.abc import Callable

import jax


def over_batch(function: Callable, array) -> Callable:
    """`function` of unbatched states, mapped over all leading axes of `array`."""
    for _ in range(array.ndim - 2):
        function = jax.vmap(function)
    return function
