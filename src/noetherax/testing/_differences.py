"""Derivatives against central differences of values: a custom rule may say anything, a value cannot."""

from typing import Any

import numpy as np

from ._evidence import DIFFERENCES, Drawn, require

CLOSE = 1e-2
"""A step that is much shorter, to tell whether differences see the function as it is."""

SHIFTS = (-2.0, -1.0, -CLOSE, CLOSE, 1.0, 2.0)
"""Where values are taken, in steps."""

RESOLVED = 100.0
"""Times the square of a step: difference between central differences of second and fourth order, in
units of the function's scale, beyond which it bends too sharply: within a tenth of the state."""


SHARPEST = 2.0
"""Times the largest slope near: its change within a step by the second derivative, beyond which
differences do not see it. Of x⁴ about the origin this is 1.5, of waves three steps long 4."""


def step_of(precision) -> float:
    """The step, in units of the state, at which truncation and rounding are alike."""
    return float(np.finfo(precision).eps) ** 0.2


def require_derivative(
    law: str,
    values: list,
    derivative: np.ndarray,
    scale: np.ndarray,
    cases: Drawn,
    *,
    judged: Any = True,
    **report: Any,
) -> np.ndarray:
    """Raises an `AssertionError` where differences of `values` at `SHIFTS` are not the derivative.

    `scale` is what rounding of the values is relative to, `judged` where the derivative counts, and
    `report` goes to `require`. Returns where the differences could judge: not where the function bends
    too sharply, nor where those of a much shorter step are nearer to the derivative.
    """
    step, precision = step_of(cases.q.dtype), cases.q.dtype
    values = [np.asarray(x, float) for x in values]
    differences, doubt = central(values, step)
    share = np.divide(doubt, scale, where=scale > 0, out=np.zeros_like(doubt))
    judged = judged & (share < RESOLVED * step**2)
    bound = scale + doubt / DIFFERENCES.of(precision)
    wrong = np.abs(differences - derivative)
    closer = (values[3] - values[2]) / (2 * CLOSE * step)
    converging = np.abs(closer - derivative) < wrong / 2
    judged = judged & ~(converging & (wrong > DIFFERENCES.of(precision) * bound))
    error = np.where(judged, differences - derivative, 0)
    require(law, error, bound, DIFFERENCES, cases, **report)
    return judged


def resolved(slopes: list, bends: list, step: float) -> np.ndarray:
    """Where differences see all waves of a function. If by its second derivatives along the direction,
    `bends`, a slope changes within a step by more than it is anywhere near, there are shorter waves,
    or a bend that is sharper."""
    slope, bend = (np.max(np.abs(np.asarray(x, float)), axis=0) for x in (slopes, bends))
    return ~(step * bend > SHARPEST * slope)


def central(values: list, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of fourth order, and by how much those of second order differ from them: far
    enough to bound the error of the fourth, even across a bend."""
    outer, inner = (values[-1] - values[0]) / (4 * step), (values[-2] - values[1]) / (2 * step)
    fourth = (4 * inner - outer) / 3
    return fourth, np.abs(fourth - outer)
