import math
from collections.abc import Callable
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .._types import FloatArray
from ..data import DrivenWindows, TimedObservations, Windows
from ._checks import check_batches, check_counts, check_positive
from ._draws import (
    Draw,
    check_interval,
    direct_draw,
    draw_from,
    exact_states,
    observe,
    random_states,
    usual_samples,
)
from ._motion import in_float64, precision_of, true_motion
from ._system import System

INTERVAL = 0.1
"""Time between samples unless another is asked for; that of Müller 2023."""


@final
class Orbits(eqx.Module):
    """Orbits of a system, and what is observed along them: the one from its initial state, or many
    from random states.

    A model that has seen one orbit knows that orbit; to know the law it must see many. Train on some
    and judge on others, by a different key. Their copies under `system.group.act` are true motions as
    well.

    !!! example

        ```python
        import math

        import jax
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.Kepler()
        unseen = nx.systems.Orbits(system, 4, key=jax.random.key(1))  # to judge by
        q, v = unseen.reference(jnp.linspace(0.0, 10.0, 101))
        assert q.shape == (4, 101, 1, 3)  # orbits, times, points, space
        fresh = nx.systems.Orbits(system, math.inf)  # every sample on another orbit
        q, v, a = fresh.sampler(batch_size=64, noise=1e-3)(jax.random.key(2))
        assert q.shape == v.shape == a.shape == (64, 1, 3)
        ```

    **Arguments:**

    - `system`: a [`noetherax.systems.System`][].
    - `trajectories`: how many, from random states; `math.inf` for a fresh one with every sample or
        window; `None` for the one from the initial state, whose arrays have no axis for trajectories.
    - `key`: random key of a number of random states. The same key gives the same ones in float32 and
        float64.

    **Raises:**

    `TypeError` if `system` is none; `ValueError` if `trajectories` is no positive integer, or `key` is
    missing or not used.
    """

    system: System
    trajectories: int | float | None = eqx.field(static=True)
    key: PRNGKeyArray | None

    def __init__(
        self,
        system: System,
        trajectories: int | float | None = None,
        *,
        key: PRNGKeyArray | None = None,
    ):
        if not isinstance(system, System):
            raise TypeError(
                f"system must be an instance of noetherax.systems.System, but it is {system!r}."
            )
        if trajectories is not None and trajectories != math.inf:
            check_counts(trajectories=trajectories)
            trajectories = int(trajectories)
            if key is None:
                raise ValueError(
                    f"{trajectories} random trajectories need a key: pass key=jax.random.key(0)."
                )
        elif key is not None:
            raise ValueError(
                f"key is for a number of random trajectories, but trajectories is {trajectories!r}."
            )
        self.system = system
        self.trajectories = trajectories
        self.key = key

    def initial_states(
        self,
    ) -> tuple[
        Float[Array, "*trajectories points space"], Float[Array, "*trajectories points space"]
    ]:
        """The states at t = 0, each array of shape `(trajectories, points, space)`."""
        q, v = in_float64(self._starts)
        return jnp.asarray(q), jnp.asarray(v)

    def reference(
        self, ts: Real[FloatArray, " times"]
    ) -> tuple[
        Float[Array, "*trajectories times points space"],
        Float[Array, "*trajectories times points space"],
    ]:
        """The true motion at times `ts`, from t = 0 on.

        Computed in float64, in closed form where the system has one and otherwise integrated with a
        tolerance of 1e-13, and given in the precision of `ts`, JAX's default one for integers. Where
        the motion is chaotic, errors grow exponentially, so that late states belong to a motion beside
        this one.

        **Returns:**

        `(q, v)`, each of shape `(trajectories, times, points, space)`.
        """
        q, v = true_motion(self.system, self._starts, ts)
        dtype = precision_of(ts)
        return jnp.asarray(q, dtype), jnp.asarray(v, dtype)

    def sampler(
        self,
        batch_size: int = 128,
        noise: float = 1e-3,
        samples: int | None = None,
        interval: float | None = None,
    ) -> Callable[[PRNGKeyArray], tuple[Array, Array, Array] | TimedObservations]:
        """Noisy observations at random times.

        The orbits are computed once and states are drawn from them at random. A fresh orbit is
        observed at its random state.

        **Arguments:**

        - `batch_size`: samples per batch.
        - `noise`: standard deviation of the Gaussian noise on q, v and a, drawn afresh.
        - `samples`, `interval`: states on each orbit to draw from, and the time between them. By
            default 10,000 on a single orbit and 1,000 on each of many, unless the system says
            otherwise, every 0.1; and for [`noetherax.systems.Kepler`][] any, uniform in angle.

        **Returns:**

        A function `key -> (q, v, a)`, each of shape `(batch_size, points, space)`; of a system whose
        law depends on time `key ->` [`noetherax.TimedObservations`][].

        **Raises:**

        `ValueError` if an argument is out of range, or a state has no finite acceleration.
        """
        check_batches(batch_size, noise)
        draw = self._direct(None) if samples is None and interval is None else None
        draw = draw or self._drawn(samples, INTERVAL if interval is None else interval)

        def sample(key: PRNGKeyArray):
            exact, noise_key = draw(key, batch_size, None)
            observed = observe(noise_key, exact, noise)
            return TimedObservations(*observed, exact[3]) if exact[3:] else observed

        return sample

    def windows(
        self,
        interval: float = INTERVAL,
        *,
        times: int = 9,
        batch_size: int = 16,
        noise: float = 1e-3,
        samples: int | None = None,
        velocities: bool = False,
        accelerations: bool = False,
    ) -> Callable[[PRNGKeyArray], Windows | DrivenWindows]:
        """Noisy observations in the order of time, at equal intervals.

        A window of a fresh orbit starts at its random state, or for [`noetherax.systems.Kepler`][] has
        it in the middle.

        **Arguments:**

        - `interval`: time between observations.
        - `times`: observations per window.
        - `batch_size`: windows per batch.
        - `noise`: standard deviation of the Gaussian noise, drawn afresh.
        - `samples`: as for `sampler`.
        - `velocities`, `accelerations`: whether they are observed as well.

        **Returns:**

        A function `key ->` [`noetherax.Windows`][], for [`noetherax.TrajectoryLoss`][] or
        [`noetherax.smooth`][]; of a system whose law depends on time `key ->`
        [`noetherax.DrivenWindows`][].

        **Raises:** as `sampler`; also `ValueError` if the system does not move within an interval.
        """
        check_batches(batch_size, noise)
        check_counts(times=times)
        check_positive(interval=interval)
        draw = self._direct(interval) if samples is None else None
        draw = draw or self._drawn(samples, interval, times)

        def sample(key: PRNGKeyArray) -> Windows | DrivenWindows:
            exact, noise_key = draw(key, batch_size, times)
            q, v, a = observe(noise_key, exact, noise)
            states = q, v if velocities else None, a if accelerations else None
            if not exact[3:]:
                return Windows(*states)
            t = exact[3]
            since = jnp.broadcast_to(interval * jnp.arange(times, dtype=t.dtype), t.shape)
            return DrivenWindows(since, *states, start=t[:, 0])

        return sample

    def _starts(self):
        if self.trajectories is None:
            return self.system.initial_state()
        if self.key is None or self.trajectories == math.inf:
            raise ValueError(
                "Every sample is on a fresh orbit: none is computed beforehand, so there is no initial "
                "state, no reference, and no number of samples or interval between them to choose. Ask "
                "for a number of orbits instead: Orbits(system, 32, key=jax.random.key(0))."
            )
        return random_states(self.system, self.key, int(self.trajectories))

    def _direct(self, interval: float | None) -> Draw | None:
        if self.trajectories not in (None, math.inf):
            return None
        return direct_draw(self.system, self.trajectories is not None, interval)

    def _drawn(self, samples: int | None, interval: float, times: int = 1) -> Draw:
        """Draws from orbits that are computed now."""
        if samples is None:
            samples = usual_samples(self.system)
            samples = samples if self.trajectories is None else min(samples, 1000)
        check_counts(samples=samples)
        check_positive(interval=interval)
        if times > samples:
            raise ValueError(f"A window of {times} times does not fit into {samples} samples.")
        ts = interval * np.arange(samples)
        q, v = true_motion(self.system, self._starts, ts)
        check_interval(q, v, interval)
        if self.trajectories is None:
            q, v = q[None], v[None]
        return draw_from(exact_states(self.system.lagrangian, q, v, ts))
