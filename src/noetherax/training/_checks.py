"""What can be wrong with the arguments of `fit`, found before any work is lost."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .._checks import check_count as check_count
from ..losses import Loss

PRECISIONS = ("float32", "float64")
"""In narrower ones the acceleration, a quotient of second derivatives, has no digit left."""


def about(subject: str, function: Callable, *arguments: Any) -> Any:
    """The result of a function, whose complaints say what they are about."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{subject}: {error}") from error


def check_fraction(name: str, value: Any) -> float:
    try:
        fraction = float("nan") if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        fraction = float("nan")
    if not 0 <= fraction <= 1:
        raise ValueError(f"{name} must be a fraction from 0 to 1, but it is {value!r}.")
    return fraction


def check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, but it is {value!r}.")


def check_optimizer(optimizer: Any) -> None:
    if optimizer is not None and not (
        callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))
    ):
        raise TypeError(
            "optimizer must be an Optax optimiser, such as optax.adam(1e-3), or None for that of "
            f"noetherax.default_optimizer, but it is {optimizer!r}."
        )


def check_loss(loss: Any) -> None:
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(
            "loss must be a noetherax.Loss, such as noetherax.AccelerationLoss(), or a function "
            f"(model, batch) -> scalar, but it is {loss!r}."
        )


def check_residuals(loss: Any) -> None:
    if not isinstance(loss, Loss):
        raise TypeError(
            "polish takes the residuals of a noetherax.Loss, such as noetherax.AccelerationLoss(), but "
            f"loss is {loss!r}."
        )


def check_precision(parameters: PyTree, batch: PyTree) -> None:
    """Weights and data must have one and the same."""
    data, weights = (
        {leaf.dtype.name for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)}
        for tree in (batch, parameters)
    )
    for name, dtypes in (("observations", data), ("weights", weights)):
        if dtypes - set(PRECISIONS):
            raise TypeError(
                f"Training takes {' or '.join(PRECISIONS)}, but the {name} are "
                f"{', '.join(sorted(dtypes))}. Give data and weights one of those: "
                "array.astype(...), and NeuralLagrangian(..., dtype=...)."
            )
    if len(data | weights) > 1:
        raise TypeError(
            f"observations are {', '.join(sorted(data))} but the weights are "
            f"{', '.join(sorted(weights))}. Give both the same precision: array.astype(...), or "
            "NeuralLagrangian(..., dtype=...). Tracks give samples in the precision of JAX: float64 "
            "where jax_enable_x64 is set."
        )


def check_model(model: PyTree, parameters: PyTree, loss: Callable, batch: PyTree) -> None:
    """The model must have parameters, and take the data."""
    leaves = jax.tree.leaves(parameters)
    if not leaves:
        raise ValueError(
            f"{type(model).__name__} has nothing to train: it has no floating-point array outside "
            "its features. Parameters of a Lagrangian are array fields; Python numbers are fixed."
        )
    value = eqx.filter_eval_shape(loss, model, batch)
    if not hasattr(value, "shape") or value.shape != ():
        raise ValueError(f"loss must return a scalar, but it returned {value}.")
