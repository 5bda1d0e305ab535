"""A loss as the subject of laws, and the checker that runs them all."""

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
from jaxtyping import PyTree

from .._checks import check_count
from ..dynamics import forces_of
from ..losses import Loss as AbstractLoss
from ._evidence import Seen
from ._laws import laws, run_laws, sharing
from ._loss_laws import laws_of_loss
from ._loss_record import LossRecord

MODELS = 3
"""Models with other weights that a loss is tried with."""


@final
class Loss(NamedTuple):
    """A loss as the subject of [`noetherax.testing.laws`][]. Its members are the arguments of
    [`noetherax.testing.check_loss`][].

    !!! example

        ```python
        import jax
        import numpy as np
        import noetherax as nx

        q, v, a = np.random.default_rng(0).normal(size=(3, 8, 1, 2))
        features = nx.Rotations(2).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
        subject = nx.testing.Loss(nx.AccelerationLoss(), model, (q, v, a))
        names = [law.__name__ for law in nx.testing.laws(subject)]
        assert "samples_law" in names and "gauge_law" in names
        ```
    """

    loss: AbstractLoss
    model: PyTree
    batch: PyTree
    truth: Callable | None = None
    gauge: bool = True
    max_examples: int = MODELS
    dtype = np.float64  # single precision is one of the laws


@laws.register
def _(subject: Loss):
    if not isinstance(subject.loss, AbstractLoss):
        raise TypeError(
            "check_loss takes a noetherax.Loss, such as noetherax.AccelerationLoss(), but loss is "
            f"{subject.loss!r}."
        )
    check_count("max_examples", subject.max_examples)
    if forces_of(subject.truth):
        raise ValueError("truth must be a Lagrangian without forces.")
    return sharing(subject, LossRecord, laws_of_loss(subject))


def check_loss(
    loss: AbstractLoss,
    model: PyTree,
    batch: PyTree,
    *,
    truth: Callable | None = None,
    gauge: bool = True,
    max_examples: int = MODELS,
) -> tuple[Seen, ...]:
    """Checks a loss of your own: the residuals of a sample do not depend on others; the derivative by
    the weights is that of the value, in reverse and forward; single precision agrees with double; the
    states in a batch have the form that preparation needs; and what is declared of it. The gradient of
    [`noetherax.TrajectoryLoss`][] is exact only where its search converges: it passes with
    `iterations=4`, and not with one.

    !!! example

        ```python
        import jax
        import noetherax as nx


        def spring(q, v):
            return ((v**2).sum() - (q**2).sum()) / 2


        features = nx.Rotations(2).invariant_features(points=1)
        with jax.enable_x64(True):
            q, v = jax.random.normal(jax.random.key(0), (2, 8, 1, 2))
            model = nx.NeuralLagrangian(features, width=4, key=jax.random.key(1))
            loss = nx.AccelerationLoss()
            seen = nx.testing.check_loss(loss, model, (q, v, -q), truth=spring)
        for law in seen:
            print(law)
        ```

    **Arguments:**

    - `loss`: the loss.
    - `model`: a model with weights, as one would train it. It is tried with others near them as well.
    - `batch`: data as the loss takes them, in double precision; a few samples do.
    - `truth`: the Lagrangian of which the data are exact motions, if there is one. Others near it must
        not have a smaller loss.
    - `gauge`: whether a total derivative dF(q)/dt that is added to the Lagrangian must leave the
        residuals unchanged, as it does the equations of motion. `False` if the model is no Lagrangian,
        or the loss reads its fields.
    - `max_examples`: models that are tried.

    **Returns:** as [`noetherax.testing.check_group`][]; the cases are samples.

    **Raises:** `AssertionError`, as [`noetherax.testing.check_group`][]; `TypeError` for what is no
    loss; `ValueError` in 32-bit mode, or for a batch that is empty or whose arrays differ in their
    number of samples; and what the loss raises for its data.
    """
    return run_laws(Loss(loss, model, batch, truth, gauge, max_examples))
