"""States and accelerations, each on its own: what is learned from where accelerations are known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .._summaries import held_arrays
from .._types import FloatArray
from ._precision import as_jax, times_as_jax
from ._recording import MEMBERS, Recording


class Observations(NamedTuple):
    """Observed states and accelerations, a batch of [`noetherax.AccelerationLoss`][].

    - `q`, `v`, `a`: positions, velocities and accelerations, each of shape
        `(samples, points, space)`.

    Any tuple `(q, v, a)` does; this one has names.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 100, 1, 2))
        observed = nx.Observations(q, v, a=-4 * q)  # of springs of stiffness 4
        law = nx.systems.HarmonicOscillator(stiffness=4.0, space=2).lagrangian
        assert nx.AccelerationLoss()(law, observed) < 1e-9
        ```
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]

    def __repr__(self) -> str:
        return held_arrays(self)


class TimedObservations(NamedTuple):
    """Observed states and accelerations with the times and inputs at which they were, for models that
    depend on them.

    - `q`, `v`, `a`: each of shape `(samples, points, space)`.
    - `t`: times, shape `(samples,)`.
    - `u`: inputs, shape `(samples, inputs)`, or `None` where there are none.

    Any tuple `(q, v, a, t)` or `(q, v, a, t, u)` does; this one has names.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def driven(q, v, t):
            return jnp.sum(v**2 - q**2) / 2 + jnp.cos(t) * jnp.sum(q)


        t = jnp.linspace(0.0, 10.0, 100)
        q, v = jax.random.normal(jax.random.key(0), (2, 100, 1, 1))
        observed = nx.TimedObservations(q, v, a=jnp.cos(t)[:, None, None] - q, t=t)
        assert nx.AccelerationLoss()(driven, observed) < 1e-9
        ```
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]
    t: Float[FloatArray, " samples"]
    u: Float[FloatArray, "samples inputs"] | None = None

    def __repr__(self) -> str:
        return held_arrays(self)


def observations_of(
    recordings: Sequence[Recording], timed: bool | None
) -> Observations | TimedObservations:
    """All states and accelerations of recordings; see `Tracks.observations`."""
    arrays = recordings[0].arrays
    missing = [MEMBERS[name] for name in "va" if name not in arrays]
    if missing:
        raise ValueError(
            f"These tracks have no {' and no '.join(missing)}. tracks.smooth().observations() "
            "estimates them from what was recorded; losses of trajectories, which take "
            "tracks.windows(...), need none."
        )

    def joined(name: str) -> np.ndarray:
        return np.concatenate([x.arrays[name] for x in recordings])

    states = Observations(*(as_jax(MEMBERS[name], joined(name)) for name in "qva"))
    if not ("u" in arrays if timed is None else timed):
        return states
    intervals = np.concatenate([np.diff(x.t) for x in recordings])
    t = times_as_jax(joined("t"), intervals)
    if "u" not in arrays:
        return TimedObservations(*states, t)
    return TimedObservations(*states, t, as_jax(MEMBERS["u"], joined("u")[:, None])[:, 0])
