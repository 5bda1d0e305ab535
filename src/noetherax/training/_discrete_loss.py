from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import check_number
from .._types import Time
from ..data import check_windows
from ..dynamics import euler_lagrange_terms, lagrangian_gradient


def discrete_euler_lagrange_loss(
    lagrangian: Callable, batch: tuple, *, interval: Time
) -> Float[Array, ""]:
    """Mean squared residual of the discrete Euler–Lagrange equations on triples of positions,

        D₁L_d(q₁, q₂) + D₂L_d(q₀, q₁) = 0,    L_d(q₀, q₁) = h L((q₀ + q₁)/2, (q₁ − q₀)/h)

    (Marsden & West 2001, Eq. 1.3.3 and example 2.3.2), in units of acceleration: multiplied by
    (∂²L/∂v²)⁻¹/h at the middle position and (q₂ − q₀)/2h. Without that factor the Lagrangian that is
    zero, or a total derivative dF(q)/dt, would solve every motion. With it the scale of L has no say,
    and such Lagrangians have no finite loss.

    The simplest loss from positions alone, and the baseline of [`noetherax.trajectory_loss`][]. It has
    two faults. The noise σ of positions enters as that of their second differences, √6 σ/h²: for
    σ = 1e-3 that is 24, 1.0 and 0.24 at h = 0.01, 0.05 and 0.1. And what it learns is not L but the
    law whose *midpoint rule* fits the data, off by order h². Short intervals are spoilt by the first
    fault, long ones by the second.

    Bind the interval with `functools.partial`, and give [`noetherax.fit`][] `standardise=False`.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `batch`: [`noetherax.Windows`][]; every three positions in a row make a triple. Velocities
        and accelerations are not used.
    - `interval`: time h between observations.

    **Returns:**

    A scalar, in squared units of acceleration; not finite where ∂²L/∂v² is singular.

    **Raises:**

    `ValueError` or `TypeError` for a batch that is no windows.
    """
    q, interval = jnp.asarray(check_windows(batch).q), check_number("interval", interval)
    over_intervals = jax.vmap(jax.vmap(lambda q, v: lagrangian_gradient(lagrangian, q, v)))
    middle, step = (q[:, 1:] + q[:, :-1]) / 2, (q[:, 1:] - q[:, :-1]) / interval
    force, momentum = over_intervals(middle, step)
    change = momentum[:, 1:] - momentum[:, :-1]
    impulse = interval / 2 * (force[:, 1:] + force[:, :-1])
    residual = (change - impulse).reshape(*change.shape[:2], -1) / interval
    centre = q[:, 1:-1], (q[:, 2:] - q[:, :-2]) / (2 * interval)
    mass_matrix = euler_lagrange_terms(lagrangian, *centre).mass_matrix
    return jnp.mean(jnp.square(jnp.linalg.solve(mass_matrix, residual[..., None])))
