import math
from collections.abc import Callable
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._checks import check_number
from .._programs import run
from .._types import Time
from ..dynamics import EulerLagrangeTerms, solve_motion, solve_symmetric
from ._base import Loss, States
from ._checks import check_observations
from ._instants import at_instants


@final
class AccelerationLoss(Loss):
    """Mean squared error of the acceleration, over samples and components (Müller 2023, Eq. 12). Its
    residuals are (a_model − a) / √n in each of the n components of a sample.

    On noisy data the true law does not have the least loss, and a loss below the true law's own on
    the same samples is over-fitting: judge a model by its trajectories instead.

    A batch is `(q, v, a)`, each of shape `(samples, points, space)`, and the model a
    [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or not. Where the model
    depends on time or takes inputs, the batch is [`noetherax.TimedObservations`][]. The loss is in
    squared units of acceleration, and not finite where ∂²L/∂v² is singular.
    """

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "samples components"]:
        return _errors(model, batch)

    def states(self, batch: PyTree) -> States:
        return check_observations(batch)


@final
class RelativeAccelerationLoss(Loss):
    """Mean squared error of the acceleration relative to its size, in each of the n components of a
    sample,

        mean ‖a_model − a‖² / n / (floor² + ‖a‖²).

    The loss to use when the force is far stiffer in some states than in others. Noise of position then
    reaches the acceleration through ∂a/∂q, and a few stiff states (a close approach) drown the rest in
    [`noetherax.AccelerationLoss`][]; weights close to the inverse variance of the observations
    restore the balance.

    Batches and models are as there. The loss has no unit.

    **Arguments:**

    - `floor`: acceleration below which all samples count alike.

    **Raises:**

    `ValueError` if the floor is no positive, finite number.
    """

    floor: float = eqx.field(static=True)

    def __init__(self, floor: Time):
        self.floor = check_number("floor", floor)

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "samples components"]:
        size = jnp.sum(jnp.square(batch[2]), axis=(1, 2))
        return _errors(model, batch) / jnp.sqrt(self.floor**2 + size)[:, None]

    def states(self, batch: PyTree) -> States:
        return check_observations(batch)


def _errors(lagrangian: Callable, batch: tuple):
    q, v, a, *instant = batch
    predicted, _ = solve_motion(at_instants(lagrangian, *instant), q, v, solve_plainly)
    return (predicted - a.reshape(predicted.shape)) / math.sqrt(predicted.shape[-1])


def solve_plainly(terms: EulerLagrangeTerms):
    """The acceleration and whether it is finite. Not Lineax here: the derivative of its solve raises
    where a matrix is singular, while training goes on without that update."""
    a = solve_symmetric(*terms)
    return a, jnp.all(jnp.isfinite(a), axis=-1)


def square_errors(lagrangian: PyTree, observations: tuple) -> np.ndarray:
    """Mean square over components of the error of every sample's acceleration."""
    return np.sum(np.square(np.asarray(run(_errors, lagrangian, observations), float)), axis=-1)
