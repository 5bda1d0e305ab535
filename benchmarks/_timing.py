"""How a step is timed: many in one compiled loop, repeated by turns."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx
from noetherax import _programs

REPEATS, LOOPS = 7, 50


def milliseconds(calls: dict, repeats: int = REPEATS) -> dict[str, np.ndarray]:
    """Times of every call, after compilation, with the result ready: `{name: (function, arguments)}`
    to one time for each repeat. They take turns, so that a machine that slows down does so for all."""
    times = {name: np.empty(repeats) for name in calls}
    for function, arguments in calls.values():
        jax.block_until_ready(function(*arguments))
    for repeat in range(repeats):
        for name, (function, arguments) in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            times[name][repeat] = 1e3 * (time.perf_counter() - start) / LOOPS
    return times


def forget_programs() -> None:
    """Drops all compiled programs, which are found by what they compute of *arguments*: a part of the
    library that a benchmark replaces would not be seen."""
    jax.clear_caches()
    _programs._kept.clear()


def gradient_loop(loss):
    """Many loss gradients in one compiled loop, each with weights and states of its own, so
    that none of its work can be done ahead of the loop."""

    @eqx.filter_jit
    def loop(lagrangian, batch):
        parameters, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))

        def step(parameters, shift):
            moved = jax.tree.map(lambda x: x + shift, batch)
            gradient = jax.grad(lambda p: loss(eqx.combine(p, constants), moved))(parameters)
            return jax.tree.map(lambda p, g: p - 1e-12 * g, parameters, gradient), None

        return jax.lax.scan(step, parameters, 1e-6 * jnp.arange(LOOPS))[0]

    return loop
