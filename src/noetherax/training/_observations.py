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
