"""What a rollout says of a motion that ends early, never, or beyond the precision of its state."""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..dynamics import (
    NOT_FINITE,
    equilibrate,
    euler_lagrange_residual,
    euler_lagrange_terms,
    is_finite,
    is_regular,
    masses_for_many,
    solve_motion,
    solve_terms,
)

VANISHED = 1e-3
"""Part of its first size to which a singular value of the mass matrix falls where that is the cause."""

DIVERGED = 1e3
"""Growth of the acceleration where diverging forces are the cause."""

COARSE = 1e-3
"""Part of the distance travelled that rounding of a position may be before a rollout says so."""

LONG = 1e9
"""Times in which the first motion would change altogether, each of some ten steps: hours."""

ENDS = (
    "The motion becomes singular: a step as small as time resolves was still rejected. Either forces "
    "diverge, as in a collision, or the mass matrix ∂²L/∂v² becomes singular, or ts covers a time in "
    "which steps that small count for nothing."
)

LEAVES = (
    "The state becomes nonfinite. A step is too large for this motion, or forces diverge, or the mass "
    "matrix ∂²L/∂v² becomes singular."
)


class Equations(NamedTuple):
    """What is known of the equations of motion at a state.

    - `finite`, `regular`: whether they are finite, and their matrix has an inverse.
    - `definite`: 1 if the mass matrix is positive definite, −1 if negative definite, else 0.
    - `mass_matrix`, `None` where many unknowns are solved for without, and the `units` in which its
        rows are of order one.
    - `a`: the acceleration.
    """

    finite: Bool[Array, ""]
    regular: Bool[Array, ""]
    definite: Int[Array, ""]
    mass_matrix: Float[Array, "n n"] | None
    units: Float[Array, " n"]
    a: Float[Array, " n"]


def equations_at(lagrangian, q, v) -> Equations:
    """What is known of the equations of motion at a state."""
    masses = masses_for_many(lagrangian, q)
    if masses is not None:
        return _by_masses(lagrangian, masses, q, v)
    terms = euler_lagrange_terms(lagrangian, q, v)
    regular = is_regular(terms.mass_matrix)
    balanced, units = equilibrate(terms.mass_matrix)
    values = jnp.linalg.eigvalsh(balanced)
    sign = jnp.where(values[0] > 0, 1, jnp.where(values[-1] < 0, -1, 0))
    a, _ = solve_terms(terms)
    return Equations(
        is_finite(terms), regular, jnp.where(regular, sign, 0), terms.mass_matrix, units, a
    )


def _by_masses(lagrangian, masses, q, v) -> Equations:
    """The same without a matrix: equations are regular where an acceleration is found."""
    a, regular = solve_motion(lagrangian, q, v, solve_terms)
    ones = euler_lagrange_residual(lagrangian, q, v, jnp.ones_like(v))
    sign = jnp.where(jnp.all(masses > 0), 1, jnp.where(jnp.all(masses < 0), -1, 0))
    units = jnp.sqrt(jnp.abs(masses)).reshape(-1)
    finite = jnp.all(jnp.isfinite(ones))
    return Equations(finite, regular, jnp.where(regular, sign, 0), None, units, a)


def cause(start: Equations, now: Equations, when: float, span: float) -> str:
    """Why a motion ends, from what is known where it starts and where it is last."""
    place = f"The motion ends at t = {when:.9g}, where the smallest steps are still rejected. "
    advice = " Let ts end before, or stop with event=; throw=False gives what is before."
    if not now.finite:
        return place + NOT_FINITE
    units = np.asarray(start.units, np.float64)
    if not start.regular:
        return (
            f"{place}The mass matrix ∂²L/∂v² is singular from the start, so no solver has a motion "
            "to follow. A model that was learned is not yet the law here: noetherax.fit says how much "
            "it explains, and whether it is singular."
        )
    before, after = (_least_value(x.mass_matrix, units) for x in (start, now))
    part = after / before
    if now.mass_matrix is None and not now.regular:
        return f"{place}No acceleration is found there, without a matrix.{advice}"
    if part < VANISHED or not now.regular:
        return (
            f"{place}The mass matrix ∂²L/∂v² becomes singular there: its smallest singular value fell "
            f"to {part:.2g} of that at the start.{advice}"
        )
    first, last = (np.max(np.abs(units * np.asarray(x.a, np.float64))) for x in (start, now))
    if last > DIVERGED * first:
        return (
            f"{place}Forces diverge there, as in a collision: the acceleration, weighted with the root "
            f"of the mass, grew from {first:.3g} to {last:.3g}. The mass matrix is regular.{advice}"
        )
    resolution = float(jnp.finfo(now.a.dtype).eps) * span
    return (
        f"{place}Neither has the mass matrix become singular nor have forces grown much: the motion "
        f"changes faster than the {resolution:.2g} to which a time of {span:.3g} resolves, or L is not "
        "smooth there. Take a shorter ts, or a solver with fixed steps."
    )


def _least_value(matrix, units) -> float:
    """The smallest singular value of a mass matrix in its units; one for many unknowns, whose matrix
    nobody makes."""
    if matrix is None:
        return 1.0
    balanced = np.asarray(matrix, np.float64) / units[:, None] / units
    return float(np.linalg.svd(balanced, False, False)[-1])


def where_lost(trajectory) -> str:
    """`LEAVES`, and between which times."""
    finite = np.all(np.isfinite(np.concatenate([trajectory.q, trajectory.v], axis=-1)), axis=(1, 2))
    first, ts = int(np.argmin(finite)), np.asarray(trajectory.ts)
    return LEAVES + (f" That was between t = {ts[first - 1]} and {ts[first]}." if first else "")


def warn_of_length(start: Equations, q, v, ts) -> None:
    """Says that steps chosen for this motion would hardly ever reach the last time."""
    span = abs(float(ts[-1]) - float(ts[0]))
    size, speed, rate = (float(jnp.max(jnp.abs(x))) for x in (q, v, start.a))
    if not rate > 0 or not np.isfinite(rate):
        return
    time = max(speed / rate, np.sqrt(size / rate))
    if time > 0 and span > LONG * time:
        warnings.warn(
            f"ts covers {span / time:.1e} times the time in which this motion changes at the start, "
            f"{time:.2g}: expect of the order of {10 * span / time:.0e} steps. Pass max_steps= for an "
            "end, or check the units of ts.",
            stacklevel=3,
        )


def warn_of_rounding(trajectory) -> None:
    """Says that positions are too far from the origin for the precision of the state."""
    q, v, ts = (np.asarray(x, np.float64) for x in (trajectory.q, trajectory.v, trajectory.ts))
    good = np.isfinite(ts) & np.all(np.isfinite(q) & np.isfinite(v), axis=(1, 2))
    if not np.any(good):
        return
    q, v, ts = q[good], v[good], ts[good]
    moved = np.max(np.abs(q - q[0]), axis=(0, 1))
    ahead = np.max(np.abs(v), axis=(0, 1)) * abs(ts[-1] - ts[0])
    epsilon = float(jnp.finfo(trajectory.q.dtype).eps)
    rounding = epsilon * np.max(np.abs(q), axis=(0, 1))
    # Rounding alone moves a coordinate at rest; and it may have held in place one that is not.
    rests = ahead <= np.sqrt(epsilon) * np.max(ahead)
    moved = np.where(moved > 0, moved, ahead)
    share = np.where(rests, 0, rounding / np.where(rests, 1, moved))
    axis = int(np.argmax(share))
    if share[axis] > COARSE:
        warnings.warn(
            f"Positions near {np.max(np.abs(q[..., axis])):.3g} on axis {axis} are known to "
            f"{rounding[axis]:.2g} only in {trajectory.q.dtype}, but the motion covers "
            f"{moved[axis]:.2g}. Take positions from a nearer origin"
            + ("." if trajectory.q.dtype == jnp.float64 else ", or float64."),
            stacklevel=3,
        )
