"""Residuals as evidence: how far they may differ, and the report of those that do."""

from typing import Any

import numpy as np

from ._evidence import Seen, Tolerance
from ._loss_record import LossRecord

SOLVED = Tolerance(
    1e6,
    "rounding of equations of motion that are solved, which amplify it where they are near singular",
)

NOT_FINITE = "residuals are not finite"


def seen_rows(law: str, record: LossRecord, rows: np.ndarray) -> Seen:
    finite = np.all(np.isfinite(rows), axis=(0, 2))
    if not np.any(finite):
        raise AssertionError(f"{law}: saw nothing. The residuals of all samples are not finite.")
    lost = int(np.sum(~finite))
    return Seen(law, record.samples, lost, NOT_FINITE if lost else "")


def size_of(rows: np.ndarray) -> np.ndarray:
    """Of all residuals of a model: some of one sample may be zero by themselves."""
    finite = np.where(np.isfinite(rows), rows, 0.0)
    return np.max(np.abs(finite), axis=(1, 2), keepdims=True)


def difference_of(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """None where neither is finite, and endless where one is."""
    finite = np.isfinite(one), np.isfinite(other)
    return np.where(
        finite[0] & finite[1], one - other, np.where(finite[0] != finite[1], np.inf, 0.0)
    )


def require_rows(
    law: str, error, scale, tolerance: Tolerance, *index: str, precision: Any = np.float64
) -> None:
    """Raises an `AssertionError` that names where an error exceeds the tolerance times the scale."""
    error, scale = np.broadcast_arrays(np.abs(error), tolerance.of(precision) * scale)
    bad = ~(error <= scale)
    if not np.any(bad):
        return
    worst = np.unravel_index(
        np.argmax(np.where(bad, np.nan_to_num(error, nan=np.inf), -1)), error.shape
    )
    place = ", ".join(f"{name} {int(i)}" for name, i in zip(index, worst, strict=False))
    raise AssertionError(
        f"{law}: violated by {error[worst]:.3g} at {place}, where {scale[worst]:.3g} is allowed\n"
        f"  tolerance: {tolerance}\n  violated in {int(np.sum(bad))} of {bad.size} numbers"
    )
