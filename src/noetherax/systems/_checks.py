"""Checks of the parameters of a system. Each raises an error that shows the value."""

import math
from typing import Any

from .._checks import check_count, check_real


def check_positive(**values: Any) -> None:
    """Every value must be a positive, finite number."""
    for name, value in values.items():
        if not 0 < check_real(name, value) < math.inf:
            raise ValueError(f"{name} must be positive and finite, but it is {value!r}.")


def check_numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    """As many finite numbers as `count`, as Python floats."""
    sequence = not isinstance(values, str | bytes) and hasattr(values, "__len__")
    if not sequence or len(values) != count:
        words = {2: "two", 3: "three"}[count]
        raise ValueError(f"{name} must be {words} numbers, but they are {values!r}.")
    numbers = tuple(check_real(f"{name}[{k}]", value) for k, value in enumerate(values))
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} must be finite numbers, but they are {values!r}.")
    return numbers


def check_pair(name: str, values: Any) -> tuple[float, float]:
    """Two positive numbers, one for each body."""
    first, second = check_numbers(name, values, 2)
    check_positive(**{f"{name}[0]": first, f"{name}[1]": second})
    return first, second


def check_range(name: str, values: Any) -> tuple[float, float]:
    """A smallest and a largest number."""
    low, high = check_numbers(name, values, 2)
    if low > high:
        raise ValueError(f"{name} must be a range (smallest, largest), but it is {values!r}.")
    return low, high


def check_counts(least: int = 1, **values: Any) -> None:
    """Every value must be an integer no smaller than `least`."""
    for name, value in values.items():
        check_count(name, value, least)


def check_batches(batch_size: Any, noise: Any) -> None:
    """A positive number of samples, and a standard deviation: not negative, finite."""
    check_count("batch_size", batch_size)
    if not 0 <= check_real("noise", noise) < math.inf:
        raise ValueError(f"noise must be zero or positive and finite, but it is {noise!r}.")


def check_eccentricity(*values: float) -> None:
    """Of ellipses: at least 0 and less than 1."""
    for value in values:
        if not 0 <= value < 1:
            raise ValueError(
                f"eccentricity must be in [0, 1), but it is {value!r}: from 1 on orbits are not "
                "ellipses, and do not return."
            )
