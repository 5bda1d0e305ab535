"""Derivatives against central differences of values: a custom rule may say anything, a value cannot."""

from typing import Any

import numpy as np

from ._evidence import DIFFERENCES, Drawn, require

SHIFTS = (-2, -1, 1, 2)
"""Where values are taken, in steps."""

RESOLVED = 100.0
"""Times the square of a step: difference between central differences of second and fourth order, in
units of the function's scale, beyond which it bends too sharply: within a tenth of the state."""


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
    judged: np.ndarray | bool = True,
    **report: Any,
) -> np.ndarray:
    """Raises an `AssertionError` where differences of `values` at `SHIFTS` are not the derivative.

    `scale` is what rounding of the values is relative to, `judged` where the derivative counts, and
    `report` goes to `require`. Returns where the differences could judge: not where the function bends
    too sharply.
    """
    step, precision = step_of(cases.q.dtype), cases.q.dtype
    differences, doubt = central([np.asarray(x, float) for x in values], step)
    share = np.divide(doubt, scale, where=scale > 0, out=np.zeros_like(doubt))
    judged = judged & (share < RESOLVED * step**2)
    error = np.where(judged, differences - derivative, 0)
    bound = scale + doubt / DIFFERENCES.of(precision)
    require(law, error, bound, DIFFERENCES, cases, **report)
    return judged


def central(values: list, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of fourth order, and by how much those of second order differ from them: far
    enough to bound the error of the fourth, even across a bend."""
    outer, inner = (values[3] - values[0]) / (4 * step), (values[2] - values[1]) / (2 * step)
    fourth = (4 * inner - outer) / 3
    return fourth, np.abs(fourth - outer)
