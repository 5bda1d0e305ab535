"""What the systems share: accurate trajectories, and noisy observations along them.

Trajectories are computed in float64 whatever JAX's default is, and only then cast: over thousands
of periods float32 would leave the true law.
"""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from .._programs import run
from .._rollout import rollout
from ..data import Windows
from ..dynamics import solve_motion, solve_terms
from ..solvers import RelativeController
from ._checks import check_batches, check_counts, check_positive

TOLERANCE = 1e-13
"""Error that one step may make, relative to the motion."""

Sampler = Callable[[PRNGKeyArray], tuple[Array, ...]]
"""A function `key -> (q, v, a)`, as [`noetherax.fit`][] takes it."""


def in_float64(states: Callable, *args) -> tuple[np.ndarray, np.ndarray]:
    """The states that `states(*args)` gives, in float64."""
    with jax.enable_x64(True):
        q, v = states(*args)
        return np.asarray(q), np.asarray(v)


def integrate(lagrangian: Callable, q0, v0, ts) -> tuple[np.ndarray, np.ndarray]:
    """The true motion from `(q0, v0)` at t = 0, in float64.

    By the Runge–Kutta method of Dormand and Prince of order eight, which steps exactly to `ts`, since
    interpolation would be less accurate.

    **Arguments:**

    - `q0`, `v0`: initial states, shape `(..., points, space)` with at most one leading axis.
    - `ts`: times, not negative and increasing.

    **Returns:**

    Arrays of shape `(..., times, points, space)`.
    """
    times = np.asarray(check_times(ts), np.float64)
    if not times.size or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise ValueError(f"ts must be a vector of increasing times from 0 on, but it is {ts!r}.")
    if times[-1] == 0:
        return np.expand_dims(q0, -3), np.expand_dims(v0, -3)
    skip = 1 if times[0] > 0 else 0  # the motion starts at t = 0, whether asked for or not
    steps = np.concatenate([[0.0], times]) if skip else times

    with jax.enable_x64(True):
        q0, v0 = np.asarray(q0, np.float64), np.asarray(v0, np.float64)
        q, v = run(_solve, lagrangian, q0, v0, steps)
        return np.asarray(q[..., skip:, :, :]), np.asarray(v[..., skip:, :, :])


def _solve(lagrangian: Callable, q0, v0, ts) -> tuple[Array, Array]:
    controller = RelativeController(TOLERANCE, ts[-1], jnp.finfo(ts.dtype).tiny)
    controller = diffrax.ClipStepSizeController(controller, step_ts=ts)

    def solve(q0, v0):
        trajectory = rollout(
            lagrangian,
            q0,
            v0,
            ts=ts,
            solver=diffrax.Dopri8(),
            stepsize_controller=controller,
        )
        return trajectory.q, trajectory.v

    return jax.vmap(solve)(q0, v0) if q0.ndim == 3 else solve(q0, v0)


def integrated(system: Any, ts) -> tuple[Array, Array]:
    """The motion of a system from its initial state, in the precision of `ts`."""
    q, v = integrate(system.lagrangian, *in_float64(system.initial_state), ts)
    dtype = precision_of(ts)
    return jnp.asarray(q, dtype), jnp.asarray(v, dtype)


def precision_of(ts) -> Any:
    """The precision that states at times `ts` are given in: theirs, or JAX's default for integers."""
    dtype = jnp.asarray(ts).dtype
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def check_times(ts) -> Any:
    """The times, if they are a vector of real, finite numbers. Traced ones may be anything."""
    if isinstance(ts, Tracer):
        return ts
    times = np.asarray(ts)
    real = jnp.issubdtype(times.dtype, jnp.floating) or times.dtype.kind in "iu"
    if not real or times.ndim != 1 or not np.all(np.isfinite(np.asarray(times, np.float64))):
        raise ValueError(f"ts must be a vector of finite times, but it is {ts!r}.")
    return ts


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


def sample_times(samples: int, interval: float) -> np.ndarray:
    """0, interval, 2 interval, …"""
    check_counts(samples=samples)
    check_positive(interval=interval)
    return interval * np.arange(samples)


def sample_trajectory(system: Any, batch_size, noise, samples, interval) -> Sampler:
    """Noisy observations at random times on one trajectory, from the initial state of a system."""
    check_batches(batch_size, noise)
    ts = sample_times(samples, interval)
    states = integrate(system.lagrangian, *in_float64(system.initial_state), ts)
    check_interval(*states, interval)
    return sample_states(system.lagrangian, *states, batch_size, noise)


def sample_states(lagrangian: Callable, q, v, batch_size: int, noise: float) -> Sampler:
    """Noisy observations of states `(samples, points, space)`, drawn at random with replacement."""
    check_batches(batch_size, noise)
    exact = _motion(lagrangian, q, v)

    def sample(key: PRNGKeyArray):
        index_key, noise_key = jax.random.split(key)
        index = jax.random.randint(index_key, (batch_size,), 0, len(q))
        return observe(noise_key, tuple(x[index] for x in exact), noise)

    return sample


def sample_windows(
    lagrangian: Callable,
    q,
    v,
    *,
    times: int,
    batch_size: int,
    noise: float,
    velocities: bool,
    accelerations: bool,
) -> Callable[[PRNGKeyArray], Windows]:
    """Noisy observations in the order of time: windows of states `(trajectories, samples, points,
    space)`, drawn at random with replacement."""
    check_batches(batch_size, noise)
    check_counts(times=times)
    trajectories, samples = q.shape[:2]
    if times > samples:
        raise ValueError(f"A window of {times} times does not fit into {samples} samples.")
    exact = _motion(lagrangian, q, v)

    def sample(key: PRNGKeyArray) -> Windows:
        *keys, noise_key = jax.random.split(key, 3)
        which = jax.random.randint(keys[0], (batch_size, 1), 0, trajectories)
        first = jax.random.randint(keys[1], (batch_size, 1), 0, samples - times + 1)
        states = tuple(x[which, first + jnp.arange(times)] for x in exact)
        return observed_windows(noise_key, states, noise, velocities, accelerations)

    return sample


def observed_windows(key, exact, noise: float, velocities: bool, accelerations: bool) -> Windows:
    """Noisy windows with what is observed of `exact`, positions, velocities and accelerations."""
    q, v, a = observe(key, exact, noise)
    return Windows(q, v if velocities else None, a if accelerations else None)


def _motion(lagrangian: Callable, q, v) -> tuple[Array, ...]:
    """States and their accelerations, computed in float64, in JAX's default precision."""
    with jax.enable_x64(True):
        states = (x.reshape(-1, *x.shape[-2:]) for x in (q, v))
        a = np.asarray(run(_accelerations, lagrangian, *states)).reshape(v.shape)
    return tuple(jnp.asarray(np.asarray(x), jnp.result_type(float)) for x in (q, v, a))


def _accelerations(lagrangian: Callable, q, v) -> Array:
    # Known laws have a regular mass matrix: no need to look for a singular one.
    a, _ = solve_motion(lagrangian, q, v, solve_terms)
    return a.reshape(v.shape)


def observe(key: PRNGKeyArray, exact: tuple[Array, ...], noise: float) -> tuple[Array, ...]:
    """Adds fresh Gaussian noise of standard deviation `noise` to every array."""
    keys = jax.random.split(key, len(exact))
    return tuple(
        x + noise * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, exact, strict=True)
    )
