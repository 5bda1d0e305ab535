import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._programs import at_once
from .._types import FloatArray

OfSamples = Float[FloatArray, "samples points space"]
States = (
    tuple[OfSamples, OfSamples, OfSamples | None]
    | tuple[
        OfSamples,
        OfSamples,
        OfSamples | None,
        Float[FloatArray, " samples"] | None,
        Float[FloatArray, "samples inputs"] | None,
    ]
)
"""Positions, velocities and, where they were observed, accelerations; and times and inputs, where a
batch has them."""


class Loss(eqx.Module):
    """What training minimises: the mean over the samples of a batch of the sum of squares of their
    residuals.

    A subclass says what the residuals are, and which states a batch holds. The same object then goes to
    [`noetherax.fit`][], [`noetherax.fit_ensemble`][] and [`noetherax.polish`][], and
    `loss(model, batch)` is its value on data of your own. Options are fields.

    A loss whose residuals are in units of the noise, so that the true law has a loss of about one, has
    a field `noise` that is not `None`. Any other is measured by the loss without any force.

    !!! example

        The acceleration in the plane alone, for data whose third axis is not to be trusted:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class PlanarLoss(nx.Loss):
            def residuals(self, model, batch):
                q, v, a = batch
                error = nx.acceleration(model, q, v) - a
                return error[..., :2].reshape(len(q), -1)

            def states(self, batch):
                return batch


        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        wrong = (-q).at[..., 2].set(100.0)  # of the third axis
        loss = PlanarLoss()  # nx.fit(model, data, loss=loss, ...) trains by it
        assert loss(lambda q, v: jnp.sum(v**2 - q**2) / 2, (q, v, wrong)) < 1e-9
        ```
    """

    @abc.abstractmethod
    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "samples ..."]:
        """How far a model is from each sample of a batch.

        **Arguments:**

        - `model`: a [`noetherax.Lagrangian`][], or any PyTree that the loss knows.
        - `batch`: arrays with the samples along their first axis. The residuals of a sample must not
            depend on the others. Both may be traced: compute with JAX, not with NumPy.

        **Returns:**

        An array with one row for each sample, the residuals of that sample.
        """

    @abc.abstractmethod
    def states(self, batch: PyTree) -> States | None:
        """The states in a batch, from which a new model is prepared and a trained one is judged.

        **Arguments:**

        - `batch`: as above. Called outside of compiled functions, on what the user gave as data, so
            that this is the place to check it.

        **Returns:**

        `(q, v, a)`, each of shape `(samples, points, space)`; `a` is `None` where accelerations are not
        observed. A batch that has times and inputs gives `(q, v, a, t, u)`, of shapes `(samples,)` and
        `(samples, inputs)`, for models that depend on them. `None` for a batch that holds no states:
        then no model can be prepared.
        """

    def __call__(self, model: PyTree, batch: PyTree) -> Float[Array, ""]:
        """The loss of a model on a batch."""
        return at_once(_mean_square, self, model, batch, traceable=True)

    @property
    def has_unit(self) -> bool:
        """Whether the residuals are in units of the noise."""
        noise: Any = getattr(self, "noise", None)
        return noise is not None


def _mean_square(loss, model, batch):
    residuals = loss.residuals(model, batch)
    return jnp.mean(jnp.sum(jnp.square(residuals), axis=tuple(range(1, residuals.ndim))))
