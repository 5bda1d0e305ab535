"""States and accelerations, each on its own: what is learned from where accelerations are known."""

from typing import NamedTuple

from jaxtyping import Float

from .._types import FloatArray


class Observations(NamedTuple):
    """Observed states and accelerations, each of shape `(samples, points, space)`.

    Any tuple `(q, v, a)` does; this one has names.
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]


class TimedObservations(NamedTuple):
    """Observed states and accelerations with the times and inputs at which they were, for models that
    depend on them.

    - `q`, `v`, `a`: each of shape `(samples, points, space)`.
    - `t`: times, shape `(samples,)`.
    - `u`: inputs, shape `(samples, inputs)`, or `None` where there are none.

    Any tuple `(q, v, a, t)` or `(q, v, a, t, u)` does; this one has names.
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]
    t: Float[FloatArray, " samples"]
    u: Float[FloatArray, "samples inputs"] | None = None
