from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from .._types import FloatArray
from ._checks import check_batches, check_count
from ._trajectories import (
    check_interval,
    in_float64,
    integrate,
    precision_of,
    sample_states,
    sample_times,
    sample_windows,
)


@final
class Family(eqx.Module):
    """Many trajectories of one system, from random initial states.

    A model that has seen one trajectory knows that trajectory; to know the law it must see many. Train
    on one family and judge on another, by a different key: its trajectories are unseen. Their copies
    under `system.group.act` are true motions as well.

    !!! example

        ```python
        import jax
        import noetherax as nx

        system = nx.systems.TwoParticles()
        seen = nx.systems.Family(system, key=jax.random.key(0))
        unseen = nx.systems.Family(system, 4, key=jax.random.key(1))
        ```

        `seen.sampler()` goes to [`noetherax.fit`][]; `unseen.initial_states()` and
        `unseen.reference(ts)` are what to compare rollouts with.

    **Arguments:**

    - `system`: a system with a `random_state(key)`; for Kepler take
        [`noetherax.systems.KeplerFamily`][].
    - `trajectories`: how many.
    - `key`: random key of the initial states. The same key gives the same ones in float32 and float64.

    **Raises:**

    `TypeError` if the system has no random states; `ValueError` if `trajectories` is no positive
    integer.
    """

    system: Any
    trajectories: int = eqx.field(static=True)
    key: PRNGKeyArray

    def __init__(self, system: eqx.Module, trajectories: int = 32, *, key: PRNGKeyArray):
        if isinstance(system, type):
            raise TypeError(f"system must be an instance: {system.__name__}(), not the class.")
        if not (hasattr(system, "random_state") and hasattr(system, "lagrangian")):
            raise TypeError(f"{type(system).__name__} has no random_state, which a Family needs.")
        check_count(trajectories=trajectories)
        self.system = system
        self.trajectories = int(trajectories)
        self.key = key

    def initial_states(
        self,
    ) -> tuple[
        Float[Array, "trajectories points space"], Float[Array, "trajectories points space"]
    ]:
        """The states at t = 0, each array of shape `(trajectories, points, space)`."""
        q, v = in_float64(self._draw)
        return jnp.asarray(q), jnp.asarray(v)

    def reference(
        self, ts: Real[FloatArray, " times"]
    ) -> tuple[
        Float[Array, "trajectories times points space"],
        Float[Array, "trajectories times points space"],
    ]:
        """All trajectories at times `ts`, integrated in float64 with a tolerance of 1e-13 and given in
        the precision of `ts`; shape `(trajectories, times, points, space)`."""
        q, v = integrate(self.system.lagrangian, *in_float64(self._draw), ts)
        dtype = precision_of(ts)
        return jnp.asarray(q, dtype), jnp.asarray(v, dtype)

    def sampler(
        self,
        batch_size: int = 128,
        noise: float = 1e-3,
        samples: int = 1000,
        interval: float = 0.1,
    ):
        """Noisy observations of all trajectories, drawn at random.

        **Arguments:**

        - `batch_size`: samples per batch.
        - `noise`: standard deviation of the Gaussian noise on q, v and a, drawn afresh.
        - `samples`, `interval`: states on each trajectory to draw from, and the time between them.

        **Returns:**

        A function `key -> (q, v, a)`, each of shape `(batch_size, points, space)`.
        """
        check_batches(batch_size, noise)
        ts = sample_times(samples, interval)
        states = integrate(self.system.lagrangian, *in_float64(self._draw), ts)
        check_interval(*states, interval)
        q, v = (x.reshape(-1, *x.shape[-2:]) for x in states)
        return sample_states(self.system.lagrangian, q, v, batch_size, noise)

    def windows(
        self,
        interval: float = 0.1,
        *,
        times: int = 9,
        batch_size: int = 16,
        noise: float = 1e-3,
        samples: int = 1000,
        velocities: bool = False,
        accelerations: bool = False,
    ):
        """Noisy observations in the order of time, at equal intervals.

        **Arguments:**

        - `interval`: time between observations.
        - `times`: observations per window.
        - `batch_size`: windows per batch.
        - `noise`: standard deviation of the Gaussian noise, drawn afresh.
        - `samples`: observations on each trajectory to draw windows from.
        - `velocities`, `accelerations`: whether they are observed as well.

        **Returns:**

        A function `key ->` [`noetherax.Windows`][], for [`noetherax.TrajectoryLoss`][] or
        [`noetherax.smooth`][].
        """
        ts = sample_times(samples, interval)
        states = integrate(self.system.lagrangian, *in_float64(self._draw), ts)
        check_interval(*states, interval)
        return sample_windows(
            self.system.lagrangian,
            *states,
            times=times,
            batch_size=batch_size,
            noise=noise,
            velocities=velocities,
            accelerations=accelerations,
        )

    def _draw(self):
        return jax.vmap(self.system.random_state)(jax.random.split(self.key, self.trajectories))
