"""True motions. References are computed in float64 whatever JAX's default is, and only then cast: over
thousands of periods float32 would leave the true law."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Real

from .._programs import run
from .._rollout import rollout
from .._types import FloatArray, check_state
from ..solvers import RelativeController

TOLERANCE = 1e-13
"""Error that one step may make, relative to the motion."""

States = Float[FloatArray, "*batch points space"]
Motions = Float[FloatArray, "*batch times points space"]


@singledispatch
def motion(
    system: Any, q0: States, v0: States, ts: Real[FloatArray, " times"]
) -> tuple[Motions, Motions]:
    """The true motion of a system from `(q0, v0)` at t = 0.

    By default its Lagrangian is integrated, by the Runge–Kutta method of Dormand and Prince of order
    eight, with a tolerance of 1e-13 and steps that end exactly at `ts`. A system whose motion is known
    in closed form registers it; [`noetherax.systems.Orbits`][] then uses that.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Free(nx.systems.System):
            @property
            def lagrangian(self):
                return lambda q, v: jnp.sum(v**2) / 2

            @property
            def group(self):
                return nx.Translations(1)

            def initial_state(self):
                return jnp.array([[0.0]]), jnp.array([[2.0]])

            def random_state(self, key):
                return self.initial_state()


        @nx.systems.motion.register
        def _(system: Free, q0, v0, ts):
            t = jnp.asarray(ts, q0.dtype)[:, None, None]
            q0, v0 = q0[..., None, :, :], v0[..., None, :, :]
            return q0 + t * v0, v0 + 0 * t


        q, v = Free().reference(jnp.linspace(0.0, 5.0, 6))
        assert jnp.allclose(q[:, 0, 0], 2 * jnp.arange(6))
        ```

    **Arguments:**

    - `system`: a [`noetherax.systems.System`][].
    - `q0`, `v0`: initial states, shape `(..., points, space)`. By default at most one leading axis.
    - `ts`: times. By default from 0 on and increasing; closed forms take any.

    **Returns:**

    `(q, v)`, each of shape `(..., times, points, space)`, in the precision of `q0`.

    **Raises:**

    `ValueError` by default if the times do not increase from 0 on.
    """
    times = np.asarray(ts, np.float64)
    if not times.size or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise ValueError(f"ts must be a vector of increasing times from 0 on, but it is {ts!r}.")
    if times[-1] == 0:
        return q0[..., None, :, :], v0[..., None, :, :]
    skip = 1 if times[0] > 0 else 0  # the motion starts at t = 0, whether asked for or not
    steps = np.concatenate([[0.0], times]) if skip else times
    q, v = run(_solve, system.lagrangian, q0, v0, steps.astype(q0.dtype))
    return q[..., skip:, :, :], v[..., skip:, :, :]


def _solve(lagrangian: Callable, q0, v0, ts):
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


def true_motion(system: Any, starts: Callable, ts) -> tuple[np.ndarray, np.ndarray]:
    """The motions from the states that `starts()` gives, in float64."""
    times = np.asarray(check_times(ts), np.float64)
    q0, v0 = in_float64(starts)
    with jax.enable_x64(True):
        q, v = motion(system, q0, v0, times)
        return np.asarray(q), np.asarray(v)


def in_float64(starts: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The states that `starts()` gives, in float64."""
    with jax.enable_x64(True):
        q, v = (np.asarray(x, np.float64) for x in starts())
        check_state(q, v, batched=True)
        return q, v


def precision_of(ts) -> Any:
    """The precision that states at times `ts` are given in: theirs, or JAX's default for integers."""
    dtype = jnp.asarray(ts).dtype
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def check_times(ts) -> Any:
    """The times, if they are a vector of real, finite numbers that are known now."""
    if isinstance(ts, Tracer):
        raise TypeError(
            "ts is an array that JAX traces, but references are computed in float64, outside of any "
            "trace. Call reference outside of jax.jit, jax.grad and jax.vmap."
        )
    times = np.asarray(ts)
    real = jnp.issubdtype(times.dtype, jnp.floating) or times.dtype.kind in "iu"
    if not real or times.ndim != 1 or not np.all(np.isfinite(np.asarray(times, np.float64))):
        raise ValueError(f"ts must be a vector of finite times, but it is {ts!r}.")
    return ts
