from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import FloatArray
from ..dynamics import euler_lagrange_terms


class Observations(NamedTuple):
    """Observed states and accelerations, each of shape `(samples, points, space)`.

    Any tuple `(q, v, a)` does; this one has names.
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]


def acceleration_loss(lagrangian: Callable, batch: tuple) -> Float[Array, ""]:
    """Mean squared error of the acceleration, over samples and components (Müller 2023, Eq. 12).

    On noisy data the true law does not have the least loss, and a loss below the true law's own on
    the same samples is over-fitting: judge a model by its trajectories instead.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `batch`: `(q, v, a)`, each of shape `(samples, points, space)`.

    **Returns:**

    A scalar, in squared units of acceleration; not finite where ∂²L/∂v² is singular.
    """
    q, v, a = batch
    mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
    # Not Lineax here: the derivative of its solve raises where a matrix is singular, while training
    # goes on without that update.
    predicted = jnp.linalg.solve(mass_matrix, force[..., None])[..., 0]
    return jnp.mean(jnp.square(predicted.reshape(a.shape) - a))
