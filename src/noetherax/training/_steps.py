"""Steps of training, compiled: what a loop calls a second or so at a time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

from ._plan import Placement
from ._sharding import constrained, on_devices, whole

LONGEST_CHUNK = 1000
"""Most steps between two looks at the run; a chunk aims at a second."""


class State(NamedTuple):
    parameters: PyTree
    average: PyTree
    optimizer: PyTree
    step: Int[Array, ""]
    skipped: Int[Array, "..."]


def lift(ensemble: bool, function: Callable, in_axes: Any = 0) -> Callable:
    return jax.vmap(function, in_axes) if ensemble else function


def state_distributed(placement: Placement, state: State, place: Callable = on_devices) -> State:
    """A state with its weights where they belong, and what the loop looks at on every device."""
    looked_at = place(whole(placement.batch), (state.step, state.skipped))
    return State(*place(placement.weights, state[:3]), *looked_at)


def chunk(given, state: State):
    """`length` steps of training; returns the new state, in the buffers of the old one, and a buffer of
    losses."""
    static, (constants, keys, unit), (data, averaging), length = given
    optimizer, loss, draw, placement, ensemble, promotion = static
    arrays, structure = eqx.partition(constants, eqx.is_array)
    extended = optax.with_extra_args_support(optimizer)

    def update(arrays, unit, parameters, average, moments, batch, weight):
        def objective(parameters):
            with jax.numpy_dtype_promotion(promotion):  # as the caller has it
                value = loss(eqx.combine(parameters, arrays, structure), batch)
            return value / unit, value

        (scaled, value), gradient = jax.value_and_grad(objective, has_aux=True)(parameters)
        # What optimisers that look at the loss may ask for: a line search, or a plateau.
        told = dict(value=scaled, grad=gradient, value_fn=lambda x: objective(x)[0])
        updates, after = extended.update(gradient, moments, parameters, **told)
        finite = jnp.isfinite(optax.tree.norm(updates)) & jnp.isfinite(value)
        parameters, moments = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (optax.apply_updates(parameters, updates), after),
            (parameters, moments),
        )
        average = optax.incremental_update(parameters, average, weight)
        return parameters, average, moments, ~finite, value

    def step(index, carry):
        state, losses = carry
        now = lift(ensemble, jax.random.fold_in, (0, None))(keys, state.step)
        batch = constrained(placement.batch, draw(data, now))
        # The average remembers a fixed fraction of the steps so far.
        weight = 1 / (1 + averaging * state.step)
        parameters, average, moments, left_out, value = lift(
            ensemble, update, (0, 0, 0, 0, 0, 0, None)
        )(arrays, unit, *state[:3], batch, weight)
        counts = state.step + 1, state.skipped + left_out
        state = State(parameters, average, moments, *counts)
        return state_distributed(placement, state, constrained), losses.at[..., index].set(value)

    dtype = jnp.result_type(*jax.tree.leaves(state.parameters))
    losses = jnp.zeros((*state.skipped.shape, LONGEST_CHUNK), dtype)
    state, losses = jax.lax.fori_loop(0, length, step, (state, losses))
    # Said once more: inside a loop the compiler may choose otherwise for what the loop returns.
    return state_distributed(placement, state, constrained), constrained(
        whole(placement.batch), losses
    )
