"""Models trained for a moment, to see which of several starts will learn."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from .._programs import run
from ..losses import AccelerationLoss, Loss, RelativeAccelerationLoss, law_of
from ._default_loss import relative_floor
from ._optimizer import default_optimizer
from ._trainable import chosen_leaves

STEPS = 600
"""Steps, with the schedule of that many: by then the starts of which training makes something, and
those of which it makes nothing, were told apart."""

BATCH = 128


def trained_briefly(loss: Callable, model: PyTree, states: tuple) -> PyTree:
    """A model trained on states with the accelerations there, whatever the loss will compare.

    Steps that are not finite are left out, as in [`noetherax.fit`][]."""
    squares = np.sum(np.square(np.asarray(states[2], float)), axis=(1, 2))
    floor = relative_floor(squares)
    accelerations = AccelerationLoss() if floor is None else RelativeAccelerationLoss(floor)
    unit = np.mean(squares) / states[0][0].size if floor is None else 1.0
    parameters, rest = eqx.partition(model, chosen_leaves(model, None))
    limits = jnp.finfo(states[2].dtype)
    unit = jnp.asarray(np.clip(unit, float(limits.tiny), float(limits.max)), limits.dtype)
    trained = run(_trained, loss, accelerations, rest, parameters, states, unit)
    return eqx.combine(trained, rest)


def _trained(loss: Callable, accelerations: Loss, rest, parameters, states, unit):
    optimizer = optax.with_extra_args_support(default_optimizer(STEPS))
    count = len(states[0])

    def step(carry, key):
        parameters, moments = carry
        of_batch = jax.random.randint(key, (BATCH,), 0, count)
        batch = jax.tree.map(lambda x: x[of_batch], states)

        def objective(parameters):
            return accelerations(law_of(loss, eqx.combine(parameters, rest)), batch) / unit

        value, gradient = jax.value_and_grad(objective)(parameters)
        with jax.numpy_dtype_promotion("standard"):
            updates, after = optimizer.update(gradient, moments, parameters, value=value)
            changed = optax.apply_updates(parameters, updates)
        finite = jnp.isfinite(optax.tree.norm(updates)) & jnp.isfinite(value)
        return jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (changed, after), carry
        ), None

    start = parameters, optimizer.init(parameters)
    keys = jax.random.split(jax.random.key(0), STEPS)
    return jax.lax.scan(step, start, keys)[0][0]
