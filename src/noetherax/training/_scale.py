"""The size of a loss, which no optimiser then has to guess: units of length and of time drop out."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._programs import run
from ..lagrangians import SeparableLagrangian
from ..losses import ForceLoss
from ._observed import states_of

ROOM = 1e6
"""How far the squares of accelerations stay from the ends of their precision: a good model's loss, and
the gradient of it, are smaller by some orders."""


@final
class FreeParticle(SeparableLagrangian):
    """½ m v²: nothing acts on anything."""

    mass: float = 1.0

    def inertia(self):
        return self.mass

    def potential(self, q):
        return jnp.zeros((), q.dtype)


@singledispatch
def no_law(loss: Callable) -> FreeParticle:
    """What a loss is measured by: a model that has learned nothing."""
    return FreeParticle()


@no_law.register
def _(loss: ForceLoss):
    # No mass: in units of forces, that of a free particle is as good as any number.
    return FreeParticle(0.0)


@singledispatch
def squared(loss: Callable, states: tuple) -> tuple[str, Any]:
    """What a loss takes the squares of, by name, of the states of its data; or `None`."""
    return "Accelerations", states[2]


@squared.register
def _(loss: ForceLoss, states: tuple):
    return "Measured forces", states[4]


class Scale(NamedTuple):
    """What a loss is compared with.

    - `unit`: what the objective is divided by.
    - `without_force`: the loss of a free particle on the data; `None` where the loss cannot tell.
    """

    unit: float
    without_force: float | None

    def explained(self, loss: Any) -> float | None:
        """The share of the loss without force that is taken away where this loss is left."""
        return None if self.without_force is None else float(1 - loss / self.without_force)


def scale_of(loss: Callable, model: PyTree, drawn: PyTree) -> Scale:
    """The scale of a loss on first batches, stacked: the loss without any force, which is in the units
    of the data. A loss that wants more of a model than a value L(q, v) is measured by its own start;
    one that has a unit already is not divided.

    Raises `ValueError` if squares of the accelerations leave the range of their precision.
    """
    states = states_of(loss, drawn)
    if states is not None:
        _check_range(*squared(loss, states))
    without_force = loss_without_force(loss, drawn)
    if getattr(loss, "has_unit", False):
        return Scale(1.0, without_force)
    unit = without_force or mean_loss(loss, model, drawn)
    if not 0 < unit < np.inf:
        return Scale(1.0, without_force)
    # A power of two, so that no division rounds.
    return Scale(float(np.exp2(np.round(np.log2(unit)))), without_force)


def loss_without_force(loss: Callable, drawn: PyTree) -> float | None:
    """The mean loss of a free particle; `None` where the loss cannot tell."""
    try:
        value = mean_loss(loss, no_law(loss), drawn)
    except Exception:  # of any kind: a loss may ask for anything that the model has
        return None
    return value if 0 < value < np.inf else None


def mean_loss(loss: Callable, model: PyTree, drawn: PyTree) -> float:
    """The mean of a loss over the batches on which it is finite; NaN if there is none."""
    losses = np.asarray(run(losses_of, loss, model, drawn), float)
    losses = losses[np.isfinite(losses)]
    return float(np.mean(losses)) if len(losses) else float("nan")


def losses_of(loss, model, drawn):
    """The loss on each of some stacked batches."""
    return jax.lax.map(lambda batch: loss(model, batch), drawn)


def _check_range(name: str, values: Any) -> None:
    if values is None:
        return
    sizes = np.abs(np.asarray(values, float))
    largest = np.max(sizes, where=np.isfinite(sizes), initial=0.0)
    limits = jnp.finfo(values.dtype)
    low, high = (float(x) for x in (limits.tiny * ROOM, limits.max / ROOM))
    if largest and not low < largest**2 < high:
        raise ValueError(
            f"{name} are up to {largest:.2g}, and their squares leave the range of {limits.dtype}. "
            "Measure lengths, times or masses in other units, such that they are nearer to one, or "
            "give data and weights in float64."
        )
