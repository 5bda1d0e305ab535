"""Checks of single arguments and of libraries, for every room. Each raises an error that shows what is
wrong."""

import importlib
import operator
from types import ModuleType
from typing import Any

import numpy as np
from jax.core import Tracer


def needed(name: str, purpose: str, extra: str) -> ModuleType:
    """A module of a library that only some users need. Where it is missing, the error says what for,
    and which extra of this package brings it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{purpose}, which is not installed: pip install 'noetherax[{extra}]'", name=error.name
        ) from error


def check_count(name: str, value: Any, least: int = 1) -> int:
    """An integer of any kind no smaller than `least`, as Python's own."""
    try:
        count = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        count = None
    if count is None or count < least:
        expected = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {expected}, but it is {value!r}.")
    return count


def check_number(name: str, value: Any) -> float:
    """A positive and finite number of any kind, as Python's own."""
    try:
        number = float("nan") if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a positive, finite number, but it is {value!r}.")
    return number


def check_real(name: str, value: Any) -> float:
    """The value as a Python float. Raises unless it is a single real number that is known now."""
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} is an array that JAX traces, but it must be a fixed number. Use it outside of "
            "jax.jit, jax.grad and jax.vmap."
        )
    array = np.asarray(value) if not isinstance(value, str | bytes) else None
    if array is None or array.shape != () or array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number, but it is {value!r}.")
    return float(array)


def is_missing(label: Any) -> bool:
    """Whether what should tell one thing from others is nothing: `None`, NaN, NaT, an empty text."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(label, str):
        return not label.strip()
    return isinstance(label, float | np.generic) and bool(label != label)


__all__ = ["check_count", "check_number", "check_real", "is_missing"]
