import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._checks import check_number
from .._types import Time
from ..data import check_windows
from ..dynamics import euler_lagrange_terms, lagrangian_gradient
from ._base import Loss, States
from ._window_states import window_states


@final
class DiscreteLoss(Loss):
    """Mean squared residual of the discrete Euler–Lagrange equations on triples of positions,

        D₁L_d(q₁, q₂) + D₂L_d(q₀, q₁) = 0,    L_d(q₀, q₁) = h L((q₀ + q₁)/2, (q₁ − q₀)/h)

    (Marsden & West 2001, Eq. 1.3.3 and example 2.3.2), in units of acceleration: multiplied by
    (∂²L/∂v²)⁻¹/h at the middle position and (q₂ − q₀)/2h. Without that factor the Lagrangian that is
    zero, or a total derivative dF(q)/dt, would solve every motion. With it the scale of L has no say,
    and such Lagrangians have no finite loss.

    The simplest loss from positions alone, and the baseline of [`noetherax.TrajectoryLoss`][]. It has
    two faults. The noise σ of positions enters as that of their second differences, √6 σ/h²: for
    σ = 1e-3 that is 24, 1.0 and 0.24 at h = 0.01, 0.05 and 0.1. And what it learns is not L but the
    law whose *midpoint rule* fits the data, off by order h². Short intervals are spoilt by the first
    fault, long ones by the second.

    A batch is [`noetherax.Windows`][]; every three positions in a row make a triple. Velocities and
    accelerations have no part in the loss, but a new model is prepared by them, or by those of a
    polynomial through each window. The model is a [`noetherax.Lagrangian`][] or any function
    `(q, v) -> scalar`. The loss is in squared units of acceleration, and not finite where ∂²L/∂v² is
    singular.

    **Arguments:**

    - `interval`: time h between observations.

    **Raises:**

    `ValueError` if the interval is no positive, finite number. `residuals` and `states` raise
    `ValueError` or `TypeError` for a batch that is no windows.
    """

    interval: float = eqx.field(static=True)

    def __init__(self, interval: Time):
        self.interval = check_number("interval", interval)

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "windows components"]:
        q, interval = jnp.asarray(check_windows(batch).q), self.interval
        over_intervals = jax.vmap(jax.vmap(lambda q, v: lagrangian_gradient(model, q, v)))
        middle, step = (q[:, 1:] + q[:, :-1]) / 2, (q[:, 1:] - q[:, :-1]) / interval
        force, momentum = over_intervals(middle, step)
        change = momentum[:, 1:] - momentum[:, :-1]
        impulse = interval / 2 * (force[:, 1:] + force[:, :-1])
        residual = (change - impulse).reshape(*change.shape[:2], -1) / interval
        centre = q[:, 1:-1], (q[:, 2:] - q[:, :-2]) / (2 * interval)
        mass_matrix = euler_lagrange_terms(model, *centre).mass_matrix
        error = jnp.linalg.solve(mass_matrix, residual[..., None]).reshape(len(q), -1)
        return error / math.sqrt(error.shape[1])

    def states(self, batch: PyTree) -> States:
        return window_states(check_windows(batch), self.interval)
