"""A loss at several models: its residuals, their derivatives, and what is compiled to take them."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._precision import full_precision
from ..lagrangians import LagrangianSum
from ..training import trainable

MOVED_BY = 0.1
"""Of the size of weights, by which those of the models differ from the subject's own."""


@final
class LossRecord:
    """The residuals of a loss on its batch, for the subject's own weights and for others near them."""

    def __init__(self, subject: Any, dtype: Any = np.float64):
        self.subject = subject
        whole = subject.loss, subject.model, subject.truth, jax.tree.map(_array, subject.batch)
        self.loss, self.model, self.truth, self.batch = _in_precision(whole, dtype)
        self.samples = _samples_of(self.batch)
        self.states: Any = self.loss.states(self.batch)  # the place where a loss checks its data
        weights, self.constants = eqx.partition(self.model, trainable(self.model))
        rng, models = np.random.default_rng(0), subject.max_examples
        own = jax.tree.map(lambda x: np.asarray(x)[None], weights)
        others = jax.tree.map(lambda x: x + _random(rng, models - 1, x), own)
        self.weights = jax.tree.map(lambda *x: np.concatenate(x), own, others)
        self.direction = jax.tree.map(lambda x: _random(rng, models, x), own)

    @property
    def has_weights(self) -> bool:
        return bool(jax.tree.leaves(self.weights))

    def _with(self, weights: Any) -> Any:
        return eqx.combine(weights, self.constants)

    @cached_property
    def residuals(self) -> Callable:
        """`(weights, batch) -> residuals` of all models, shape `(models, samples, residuals)`."""

        def of_model(batch, weights):
            return self.rows(self._with(weights), batch)

        return self._compiled(lambda weights, batch: self._over(partial(of_model, batch), weights))

    def in_reverse(self) -> tuple[np.ndarray, np.ndarray]:
        """The loss of every model, and its derivative along the direction."""

        def of_model(batch, weights, direction):
            def mean_square(weights):
                return jnp.mean(jnp.sum(self.rows(self._with(weights), batch) ** 2, axis=1))

            value, gradient = jax.value_and_grad(mean_square)(weights)
            pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
            return value, sum(jnp.sum(x * y) for x, y in pairs)

        return self._along(of_model)

    def forward(self) -> tuple[np.ndarray, np.ndarray]:
        """The residuals of every model, and their derivative along the direction."""

        def of_model(batch, weights, direction):
            def rows(weights):
                return self.rows(self._with(weights), batch)

            return jax.jvp(rows, (weights,), (direction,))

        return self._along(of_model)

    def _along(self, function: Callable) -> Any:
        run = self._compiled(
            lambda weights, batch, direction: jax.vmap(partial(function, batch))(weights, direction)
        )
        return run(self.weights, self.batch, self.direction)

    def of_sum(self, model: Any, term: Callable, parameters: Any) -> np.ndarray:
        """The residuals of a model and a further term of the Lagrangian, for each of its parameters."""

        def of_parameters(batch, parameters):
            return self.rows(LagrangianSum(model, partial(term, parameters)), batch)

        run = self._compiled(
            lambda parameters, batch: jax.vmap(partial(of_parameters, batch))(parameters)
        )
        return run(parameters, self.batch)

    def rows(self, model: Any, batch: Any) -> Any:
        found = self.loss.residuals(model, batch)
        samples = _samples_of(batch)
        if jnp.ndim(found) < 1 or len(found) != samples:
            raise AssertionError(
                f"residuals have one row for each of {samples} samples: violated, their shape is "
                f"{jnp.shape(found)}"
            )
        return found.reshape(len(found), -1)

    def _over(self, function: Callable, weights: Any) -> Any:
        if self.has_weights:
            return jax.vmap(function)(weights)
        return function(weights)[None]

    def _compiled(self, function: Callable) -> Callable:
        def call(*arguments):
            with full_precision():
                return function(*arguments)

        program = jax.jit(call)
        return lambda *arguments: jax.tree.map(np.asarray, program(*arguments))


def _random(rng: np.random.Generator, models: int, x: np.ndarray) -> np.ndarray:
    """For each of so many models, random numbers of a share of the size of what is in an array."""
    size = np.sqrt(np.mean(np.square(x))) if x.size else 0.0
    return (MOVED_BY * (size or 1.0) * rng.normal(size=(models, *x.shape[1:]))).astype(x.dtype)


def _in_precision(tree: Any, dtype: Any) -> Any:
    """With all arrays of real numbers in one precision, those of JAX by JAX."""

    def cast(x):
        return x.astype(dtype) if eqx.is_inexact_array(x) else x

    return jax.tree.map(cast, tree)


def _array(x: Any) -> Any:
    return np.asarray(x) if eqx.is_array_like(x) else x


def _samples_of(batch: Any) -> int:
    counts = {np.shape(x)[:1] for x in jax.tree.leaves(batch)}
    if len(counts) != 1 or counts <= {(), (0,)}:
        raise ValueError(
            "A batch holds arrays with the samples along their first axis, at least one, but the "
            f"shapes of this one are {[np.shape(x) for x in jax.tree.leaves(batch)]}."
        )
    (count,) = counts.pop()
    return count
