import equinox as eqx
import jax
import numpy as np

STANDARDISATION_SAMPLES = 4096
"""Samples drawn from a sampler to set the standardisation."""


def first_batches(draw, key):
    """Enough fresh batches for the standardisation, stacked."""
    shapes = jax.tree.leaves(jax.eval_shape(draw, key))
    size = shapes[0].shape[0] if shapes and shapes[0].shape else 1
    return _draw(draw, jax.random.split(key, max(1, STANDARDISATION_SAMPLES // max(1, size))))


@eqx.filter_jit
def _draw(draw, keys):
    return jax.vmap(draw)(keys)


def states_of(drawn):
    """The states that set the standardisation, from stacked batches."""
    states = drawn[:2] if isinstance(drawn, tuple | list) else ()
    if len(states) != 2 or any(np.ndim(x) != 4 for x in states):
        batch = jax.tree.map(lambda x: x[0], drawn)
        raise TypeError(
            "To standardise the features, fit takes q and v, each of shape (samples, points, space), "
            f"as the first two members of a batch, but the batch is {eqx.tree_pformat(batch)}. Pass "
            "standardise=False, and call noetherax.standardise(lagrangian, q, v) before."
        )
    return tuple(x.reshape(-1, *x.shape[2:]) for x in states)
