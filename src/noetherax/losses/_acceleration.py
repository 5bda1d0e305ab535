import math
from collections.abc import Callable
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._checks import check_number
from .._types import Time
from ..dynamics import EulerLagrangeTerms, solve_motion, solve_symmetric
from ._base import Loss, States
from ._checks import check_observations
from ._instants import at_instants, by_samples


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

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 100, 1, 1))
        batch = nx.Observations(q, v, a=-jnp.sin(q))  # of pendulums
        loss = nx.AccelerationLoss()
        assert loss(lambda q, v: jnp.sum(v**2 / 2 + jnp.cos(q)), batch) < 1e-9
        free = loss(lambda q, v: jnp.sum(v**2) / 2, batch)  # a model without any force
        assert jnp.isclose(free, jnp.mean(batch.a**2))
        ```
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

    Batches and models are as for [`noetherax.AccelerationLoss`][]. The loss has no unit.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        q = jnp.array([1e-4, 1e-2, 1.0, 1e2, 1e4])[:, None, None]  # one point on a line
        batch = nx.Observations(q, v=jnp.ones_like(q), a=-q)


        def too_soft(q, v):
            return jnp.sum(v**2) / 2 - 0.9 * jnp.sum(q**2) / 2  # 10 % off everywhere


        share = nx.RelativeAccelerationLoss(floor=1e-6)(too_soft, batch)
        assert jnp.isclose(share, 0.1**2, rtol=1e-2)  # all samples count alike
        absolute = nx.AccelerationLoss()(too_soft, batch)
        assert jnp.isclose(absolute, (0.1 * 1e4) ** 2 / 5, rtol=1e-2)  # the last one alone
        ```

    **Arguments:**

    - `floor`: acceleration, in the units of the data, below which samples are no longer weighed by
        their size.

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
    return np.sum(np.square(by_samples(_of_samples, lagrangian, observations)), axis=-1)


def _of_samples(lagrangian, *observations):
    return _errors(lagrangian, observations)
