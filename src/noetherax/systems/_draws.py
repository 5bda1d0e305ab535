"""Exact states drawn at random, one by one or in the order of time, and what is observed of them."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._programs import at_once, run
from .._types import FloatArray, check_state
from ..dynamics import acceleration, at_time, depends_on_time
from ._motion import in_float64, motion, true_motion

Exact = tuple[FloatArray, ...]
"""Positions, velocities and accelerations; and times, where the law depends on them."""

Draw = Callable[[PRNGKeyArray, int, int | None], tuple[Exact, PRNGKeyArray]]
"""A function `(key, count, times) -> (exact, key)`: states `(count, points, space)` where `times` is
`None`, otherwise windows `(count, times, points, space)`; and the key that is left for the noise."""

TRIAL = 64
"""Random states at which a system is tried before any are drawn for training."""


@singledispatch
def usual_samples(system: Any) -> int:
    """States on an orbit that observations are drawn from unless another number is asked for."""
    return 10_000


@singledispatch
def direct_draw(system: Any, fresh: bool, interval: float | None) -> Draw | None:
    """How a system draws states without computing orbits first.

    By default a `fresh` state is a random state of the system, and a window starts there; states on
    the orbit from its initial state are not known beforehand. Systems that know their orbits in closed
    form register a rule.

    **Arguments:**

    - `system`: a [`noetherax.systems.System`][].
    - `fresh`: whether each state is on an orbit of its own, or all are on that from the initial state.
    - `interval`: time between the states of a window; `None` if there will be no windows.

    **Returns:**

    A function `(key, count, times) -> (exact, key)`, or `None` if orbits have to be computed.
    """
    if not fresh:
        return None
    lagrangian = system.lagrangian
    if depends_on_time(lagrangian):
        raise ValueError(
            f"The law of {type(system).__name__} depends on time, and a fresh orbit is observed at its "
            "start alone, at t = 0. Ask for a number of orbits: Orbits(system, 32, "
            "key=jax.random.key(0))."
        )
    states = in_float64(lambda: random_states(system, jax.random.key(0), TRIAL))
    exact_states(lagrangian, *states)
    if interval is not None:
        path = true_motion(system, lambda: states, np.array([0.0, interval]))
        check_interval(*path, interval)

    def draw(key, count, times=None):
        state_key, noise_key = jax.random.split(key)
        q, v = random_states(system, state_key, count)
        if times is not None:
            q, v = motion(system, q, v, interval * np.arange(times))
        a = acceleration(lagrangian, q, v, throw=False)
        message = f"A random state of {type(system).__name__} has no finite acceleration."
        return (q, v, eqx.error_if(a, ~jnp.isfinite(a), message)), noise_key

    return draw


def random_states(system: Any, key: PRNGKeyArray, count: int):
    """As many random states, stacked."""
    return at_once(_random_states, system, key, count)


def _random_states(system: Any, key: PRNGKeyArray, count: int):
    def one(key):
        q, v = system.random_state(key)
        check_state(q, v)
        return q, v

    return jax.vmap(one)(jax.random.split(key, count))


def draw_from(exact: Exact) -> Draw:
    """Draws of states that were computed once, `(trajectories, samples, points, space)`, with
    replacement."""
    trajectories, samples = exact[0].shape[:2]

    def draw(key, count, times=None):
        if times is None:
            index_key, noise_key = jax.random.split(key)
            index = jax.random.randint(index_key, (count,), 0, trajectories * samples)
            return tuple(x.reshape(-1, *x.shape[2:])[index] for x in exact), noise_key
        *keys, noise_key = jax.random.split(key, 3)
        which = jax.random.randint(keys[0], (count, 1), 0, trajectories)
        first = jax.random.randint(keys[1], (count, 1), 0, samples - times + 1)
        return tuple(x[which, first + jnp.arange(times)] for x in exact), noise_key

    return draw


def exact_states(lagrangian: Callable, q, v, ts=None) -> Exact:
    """States and their accelerations, computed in float64, in JAX's default precision; and their times,
    `ts` along each orbit, where the law depends on them.

    **Raises:**

    `ValueError` that shows the first state whose acceleration is not determined or not finite.
    """
    times = ()
    if ts is not None and depends_on_time(lagrangian):
        times = (np.broadcast_to(np.asarray(ts, np.float64), q.shape[:-2]),)
    with jax.enable_x64(True):
        states = [x.reshape(-1, *x.shape[-2:]) for x in (q, v)]
        instants = [x.reshape(-1) for x in times]
        a = np.asarray(run(_accelerations, lagrangian, *states, *instants)).reshape(v.shape)
    dtype = jnp.result_type(float)
    with np.errstate(over="ignore"):  # it is named below
        exact = jnp.asarray(q, dtype), jnp.asarray(v, dtype), jnp.asarray(a, dtype)
    wrong = ~np.all([np.isfinite(x) for x in exact], axis=(0, -2, -1))
    if np.any(wrong):
        first = np.unravel_index(np.argmax(wrong), wrong.shape)
        raise ValueError(
            f"The motion is not finite at {np.count_nonzero(wrong)} of {wrong.size} states, the "
            f"first of them q = {q[first].tolist()}, v = {v[first].tolist()}: there ∂²L/∂v² is "
            f"singular, L not differentiable, or a number too large for {dtype}. Keep the initial and "
            "random states of the system away from there, or take fewer samples."
        )
    return *exact, *(jnp.asarray(x, dtype) for x in times)


def _accelerations(lagrangian: Callable, q, v, t=None) -> Array:
    return acceleration(at_time(lagrangian, t), q, v, throw=False)


def check_interval(q, v, interval: float) -> None:
    """Raises if positions `(..., samples, points, space)` move from sample to sample by less than the
    precision in which they are observed resolves."""
    dtype = jnp.result_type(float)
    resolution = float(jnp.finfo(dtype).eps) * np.abs(q).max()
    moved = np.abs(np.diff(q, axis=-3)).max(initial=0.0)
    if q.shape[-3] > 1 and np.any(v) and moved <= resolution:
        raise ValueError(
            f"interval must be a time in which the system moves, but in {interval!r} it moves by "
            f"{moved:.2g}, which {dtype} does not resolve. Take a longer interval."
        )


def observe(key: PRNGKeyArray, exact: Exact, noise: float) -> tuple[Array, Array, Array]:
    """Adds fresh Gaussian noise of standard deviation `noise` to every array."""
    q, v, a = (
        jnp.asarray(x) + noise * jax.random.normal(k, x.shape, x.dtype)
        for k, x in zip(jax.random.split(key, 3), exact[:3], strict=True)
    )
    return q, v, a
