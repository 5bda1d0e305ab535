"""Checks of the parameters of a system. Each raises a `ValueError` that shows the value."""

import math

import numpy as np


def check_positive(**values: float) -> None:
    """Every value must be a positive, finite number."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, but it is {value!r}.")


def check_pair(name: str, values) -> tuple[float, float]:
    """Two positive numbers, one for each body."""
    if len(values) != 2:
        raise ValueError(f"{name} must be two numbers, but they are {values!r}.")
    check_positive(**{f"{name}[{k}]": value for k, value in enumerate(values)})
    return float(values[0]), float(values[1])


def check_count(least: int = 1, **values: int) -> None:
    """Every value must be an integer no smaller than `least`."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, but it is {value!r}.")


def check_batches(batch_size: int, noise: float) -> None:
    """A positive number of samples, and a standard deviation: not negative, finite."""
    check_count(batch_size=batch_size)
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be zero or positive and finite, but it is {noise!r}.")
