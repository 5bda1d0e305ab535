"""What rounding does to a force: no law asks for more digits than there are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._evidence import ROUNDING

LARGEST_POWER = 0.4
"""Of the largest number: products of two such values are numbers still."""

NUDGE = 64.0
"""Of rounding: changes of a state under which a force shows how it is rounded itself."""

NUDGES = 4

NUDGE_SEED = 6

NUDGED = 512.0
"""Times the change of the force under these: allowed, where it exceeds rounding of the terms."""


def settle(check: Callable, *scales: Callable) -> None:
    """Requires something of one of several scales, each larger and more costly than those before: the
    first settles most."""
    *quick, last = scales
    for scale in quick:
        try:
            return check(scale())
        except AssertionError:
            pass
    return check(last())


def nudges(shape: tuple, precision: Any) -> list[np.ndarray]:
    """Factors near one, by some roundings."""
    epsilon, rng = float(np.finfo(precision).eps), np.random.default_rng(NUDGE_SEED)
    return [
        (1 + NUDGE * epsilon * rng.uniform(-1, 1, size=shape)).astype(float) for _ in range(NUDGES)
    ]


def spread(values: list, precision: Any) -> np.ndarray:
    """How far values are from the first of them, in the units of a scale."""
    first, *others = (np.asarray(x, float) for x in values)
    with np.errstate(invalid="ignore"):
        found = np.max([sizes_of(x - first) for x in others], axis=0)
    return NUDGED * found / ROUNDING.of(precision)


def sizes_of(x: np.ndarray) -> np.ndarray:
    """Sizes, where they are numbers."""
    return np.nan_to_num(np.abs(np.asarray(x, float)), nan=0.0, posinf=0.0)


def shown_instants(t: np.ndarray, inputs: np.ndarray) -> dict:
    return {"t": t} | ({"u": inputs} if inputs.shape[1] else {})


def moderate(known: dict) -> np.ndarray:
    """Where the value is far from the largest number."""
    value = np.abs(known["value"])
    limit = float(np.finfo(value.dtype).max) ** LARGEST_POWER
    return np.all(value < limit, axis=1)
