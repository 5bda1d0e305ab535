import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._checks import check_number
from .._types import Time
from ..dynamics import at_time, euler_lagrange_terms, lagrangian_gradient
from ..forces import Kind
from ._base import Loss, States
from ._instants import along_piece, at_instants, check_kind, instants_of, pieces_of, windows_at
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
    `(q, v) -> scalar`, with forces or not; forces, and the times and inputs of
    [`noetherax.DrivenWindows`][], enter in the middle of each interval. The loss is in squared units of
    acceleration, and not finite where ∂²L/∂v² is singular.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 10.0, 101)
        windows = nx.Tracks(t, np.cos(t)[:, None, None]).windows(times=21)
        loss = nx.DiscreteLoss(0.1)
        spring = loss(lambda q, v: jnp.sum(v**2 - q**2) / 2, windows)
        free = loss(lambda q, v: jnp.sum(v**2) / 2, windows)
        assert 0 < spring < 1e-5 * free  # the midpoint rule has an error of its own
        ```

    **Arguments:**

    - `interval`: time h between observations.
    - `inputs`: how inputs go on between samples, as in [`noetherax.Inputs`][].

    **Raises:**

    `ValueError` if the interval is no positive, finite number. `residuals` and `states` raise
    `ValueError` or `TypeError` for a batch that is no windows.
    """

    interval: float = eqx.field(static=True)
    inputs: Kind = eqx.field(static=True)

    def __init__(self, interval: Time, *, inputs: Kind = "linear"):
        self.interval = check_number("interval", interval)
        self.inputs = check_kind(inputs)

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "windows components"]:
        windows, timing = windows_at(batch, self.interval)
        q, interval = jnp.asarray(windows.q), self.interval
        pieces = pieces_of(model, timing, self.inputs, q.dtype, interval)
        half = jnp.asarray(interval / 2, q.dtype)

        def gradient(q, v, piece):
            at = model
            if piece is not None:
                at = at_time(along_piece(model, piece, self.inputs), half)
            return lagrangian_gradient(at, q, v)

        over_intervals = jax.vmap(jax.vmap(gradient))
        middle, step = (q[:, 1:] + q[:, :-1]) / 2, (q[:, 1:] - q[:, :-1]) / interval
        force, momentum = over_intervals(middle, step, pieces)
        change = momentum[:, 1:] - momentum[:, :-1]
        impulse = interval / 2 * (force[:, 1:] + force[:, :-1])
        residual = (change - impulse).reshape(*change.shape[:2], -1) / interval
        centre = q[:, 1:-1], (q[:, 2:] - q[:, :-2]) / (2 * interval)
        if timing is not None and pieces is not None:
            t, u = instants_of(timing, slice(1, -1), q.dtype)
            model = at_instants(model, t, u)
        mass_matrix = euler_lagrange_terms(model, *centre).mass_matrix
        error = jnp.linalg.solve(mass_matrix, residual[..., None]).reshape(len(q), -1)
        return error / math.sqrt(error.shape[1])

    def states(self, batch: PyTree) -> States:
        windows, timing = windows_at(batch, self.interval)
        return window_states(windows, self.interval, timing)
