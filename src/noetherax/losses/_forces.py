import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple, final

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._summaries import held_arrays
from .._types import FloatArray
from ..dynamics import generalised_force
from ..forces import Forced
from ._base import Loss, States
from ._checks import check_observations
from ._instants import at_instants


class ForceObservations(NamedTuple):
    """Observed motions with the forces that were measured beside them.

    - `q`, `v`, `a`: each of shape `(samples, points, space)`.
    - `tau`: the forces, of the same shape, one for each coordinate.
    - `t`: times, shape `(samples,)`, for models that depend on time.

    Any tuple `(q, v, a, tau)` or `(q, v, a, tau, t)` does; this one has names.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def arm(q, v):  # a pendulum of mass 2 on a motor
            return jnp.sum(v**2 + 19.62 * jnp.cos(q))


        q, v, a = jax.random.normal(jax.random.key(0), (3, 100, 1, 1))
        observed = nx.ForceObservations(q, v, a, tau=2 * a + 19.62 * jnp.sin(q))
        torque = nx.generalised_force(arm, observed.q, observed.v, observed.a)
        assert jnp.allclose(torque, observed.tau, atol=1e-4)
        assert nx.ForceLoss()(arm, observed) < 1e-8
        ```
    """

    q: Float[FloatArray, "samples points space"]
    v: Float[FloatArray, "samples points space"]
    a: Float[FloatArray, "samples points space"]
    tau: Float[FloatArray, "samples points space"]
    t: Float[FloatArray, " samples"] | None = None

    def __repr__(self) -> str:
        return held_arrays(self)


@final
class ForceLoss(Loss):
    """Mean squared error of measured forces, over samples and components: inverse dynamics,

        mean ‖d/dt ∂L/∂v − ∂L/∂q − Q − τ‖² / n,

    where τ are the forces that were measured, such as the torques of a robot's motors, and Q the
    model's own, such as friction. Unlike in [`noetherax.AccelerationLoss`][] nothing is divided by the
    mass, and the scale of L is known: it is in the units of τ. A Lagrangian that is zero, or a total
    derivative, explains nothing.

    A batch is [`noetherax.ForceObservations`][]. Of [`noetherax.Tracks`][] the inputs are taken for τ,
    as many as there are coordinates, point by point. The model is a [`noetherax.Lagrangian`][] or any
    function `(q, v) -> scalar`, with forces or not; forces that take inputs would count τ twice. The
    loss is in squared units of force; what [`noetherax.History`][] calls the loss without force is that
    of no Lagrangian at all, the mean square of τ.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        q, v, a = jax.random.normal(jax.random.key(0), (3, 100, 1, 1))
        batch = nx.ForceObservations(q, v, a, tau=2 * a + 9.81 * jnp.sin(q))
        loss = nx.ForceLoss()
        assert loss(lambda q, v: jnp.sum(v**2 + 9.81 * jnp.cos(q)), batch) < 1e-9
        ```
    """

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "samples components"]:
        q, v, a, tau, t = check_force_observations(batch)
        error = generalised_force(at_instants(model, t), q, v, a) - jnp.asarray(tau)
        error = error.reshape(len(q), -1)
        return error / math.sqrt(error.shape[1])

    def states(self, batch: PyTree) -> States:
        q, v, a, tau, t = check_force_observations(batch)
        t = jnp.zeros(len(q), jnp.result_type(q)) if t is None else t
        return q, v, a, t, jnp.reshape(jnp.asarray(tau), (len(q), -1))


@singledispatch
def law_of(loss: Callable, model: Any) -> Any:
    """The law that the states in the batches of a loss follow if a model is right: the model, and what
    else acts, of the inputs among these states."""
    return model


@law_of.register
def _(loss: ForceLoss, model: Any):
    return Forced(model, _measured)


def _measured(q, v, t, u):
    return jnp.reshape(u, q.shape)


def check_force_observations(batch: Any) -> tuple:
    """The arrays `(q, v, a, tau, t)` of a batch; errors that name what is wrong with it otherwise."""
    if not isinstance(batch, tuple | list) or len(batch) not in (4, 5):
        raise TypeError(
            "A batch of measured forces must be noetherax.ForceObservations or a tuple (q, v, a, tau) "
            f"or (q, v, a, tau, t), but it is {type(batch).__name__}"
            + (f" of {len(batch)} items." if isinstance(batch, tuple | list) else ".")
        )
    q, v, a, tau, *t = batch
    check_observations((q, v, a))
    if np.shape(tau) != np.shape(q):
        raise ValueError(
            f"tau must have the shape of q, {np.shape(q)}, one force for each coordinate, but it has "
            f"shape {np.shape(tau)}."
        )
    t = t[0] if t else None
    if t is not None and np.shape(t) != np.shape(q)[:1]:
        raise ValueError(
            f"t must have shape (samples,), {np.shape(q)[:1]}, but it has shape {np.shape(t)}."
        )
    return q, v, a, tau, t
