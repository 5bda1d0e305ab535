"""An optimiser that goes back from where a step went wrong, as those with a trust region do."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

MEMORY = 10
"""Steps over which the logarithm of the loss is averaged, since that of one batch says little."""

LARGEST_JUMP = 3.0
"""Of the logarithm, of one batch above the average: a single spike is no reason to go back."""

WORSE = 10.0
"""Factor above its least from which on a loss says that the weights have got lost."""

SHRINK, GROW = 0.5, 2 ** (1 / 500)
"""Factors of the steps' length after going back, and in every step until it is whole again."""


class GoingBack(NamedTuple):
    """- `steps`: taken, by which the rate is found.
    - `best`: parameters of the least average, at which training goes on when it got lost.
    - `least`, `average`: of the logarithm of the loss.
    - `length`: of steps, from 0 to 1.
    """

    inner: Any
    steps: Int[Array, ""]
    best: PyTree
    least: Float[Array, ""]
    average: Float[Array, ""]
    length: Float[Array, ""]


def going_back(
    inner: optax.GradientTransformation, rate: optax.Schedule
) -> optax.GradientTransformationExtraArgs:
    """Steps of `inner`, of learning rate 1, times a rate; shorter ones from where those led to a loss
    of ten times its least, on average over some batches, and back to the weights of that least. Where
    nothing goes wrong, it is `inner` at that rate."""
    inner = optax.with_extra_args_support(inner)

    def init(params):
        value = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
        start = jax.tree.map(jnp.copy, params)  # chunks give buffers away, each but once
        none = value + jnp.inf
        return GoingBack(inner.init(params), jnp.zeros((), jnp.int32), start, none, none, value + 1)

    def update(updates, state, params=None, **told):
        if params is None:
            raise ValueError(
                "This optimiser moves between weights: give update(...) the present ones."
            )
        updates, after = inner.update(updates, state.inner, params, **told)
        value = jnp.asarray(told.get("value", 1.0))  # where it is not told, no loss is worse
        size = jnp.log(jnp.maximum(value, jnp.finfo(value.dtype).tiny)).astype(state.least.dtype)
        rise = jnp.minimum(size - state.average, LARGEST_JUMP)
        average = jnp.where(jnp.isinf(state.average), size, state.average + rise / MEMORY)
        better, lost = average <= state.least, average > state.least + math.log(WORSE)

        back = jax.tree.map(jnp.subtract, state.best, params)
        now = rate(state.steps) * state.length
        updates = _either(lost, back, jax.tree.map(lambda x: now.astype(x.dtype) * x, updates))
        length = jnp.where(lost, SHRINK * state.length, jnp.minimum(GROW * state.length, 1.0))
        return updates, GoingBack(
            _either(lost, inner.init(params), after),  # the momentum led here
            state.steps + 1,
            _either(better, params, state.best),
            jnp.where(better, average, state.least),
            jnp.where(lost, state.least, average),
            length.astype(state.length.dtype),
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _either(condition, yes, no):
    return jax.tree.map(lambda yes, no: jnp.where(condition, yes, no), yes, no)
