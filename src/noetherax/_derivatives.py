"""Parts of a computation that count as constants when it is differentiated."""

import equinox as eqx
import jax
from jaxtyping import PyTree


def without_derivatives(tree: PyTree) -> PyTree:
    """The same tree, whose arrays have no derivatives. What its functions close over keeps its own."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)
