import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..dynamics import EulerLagrangeTerms, solve_motion, solve_symmetric


def acceleration_residual(lagrangian: Callable, batch: tuple) -> Float[Array, "samples components"]:
    """Errors of the acceleration, (a_model − a) / √n in each of its n components, so that the mean over
    samples of their sum of squares is the [`noetherax.acceleration_loss`][].

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `batch`: `(q, v, a)`, each of shape `(samples, points, space)`.

    **Returns:**

    An array of shape `(samples, points × space)`; not finite where ∂²L/∂v² is singular.
    """
    q, v, a = batch
    predicted, _ = solve_motion(lagrangian, q, v, solve_plainly)
    return (predicted - a.reshape(predicted.shape)) / math.sqrt(predicted.shape[-1])


def relative_acceleration_residual(
    lagrangian: Callable, batch: tuple, *, floor: float
) -> Float[Array, "samples components"]:
    """[`noetherax.acceleration_residual`][] over √(floor² + ‖a‖²), which belongs to
    [`noetherax.relative_acceleration_loss`][]; arguments as there."""
    size = jnp.sum(jnp.square(batch[2]), axis=(1, 2))
    return acceleration_residual(lagrangian, batch) / jnp.sqrt(floor**2 + size)[:, None]


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
    return _mean_square(acceleration_residual(lagrangian, batch))


def relative_acceleration_loss(
    lagrangian: Callable, batch: tuple, *, floor: float
) -> Float[Array, ""]:
    """Mean squared error of the acceleration relative to its size,

        mean ‖a_model − a‖² / (floor² + ‖a‖²).

    The loss to use when the force is far stiffer in some states than in others. Noise of position then
    reaches the acceleration through ∂a/∂q, and a few stiff states (a close approach) drown the rest in
    [`noetherax.acceleration_loss`][]; weights close to the inverse variance of the observations
    restore the balance. Bind the floor with `functools.partial`.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `batch`: `(q, v, a)`, each of shape `(samples, points, space)`.
    - `floor`: acceleration below which all samples count alike.

    **Returns:**

    A scalar without unit; not finite where ∂²L/∂v² is singular.
    """
    return _mean_square(relative_acceleration_residual(lagrangian, batch, floor=floor))


def solve_plainly(terms: EulerLagrangeTerms):
    """The acceleration and whether it is finite. Not Lineax here: the derivative of its solve raises
    where a matrix is singular, while training goes on without that update."""
    a = solve_symmetric(*terms)
    return a, jnp.all(jnp.isfinite(a), axis=-1)


def _mean_square(residual):
    return jnp.mean(jnp.sum(jnp.square(residual), axis=-1))
