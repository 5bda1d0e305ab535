from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._programs import at_once, run

STANDARDISATION_SAMPLES = 4096
"""Samples drawn from a sampler to set the standardisation."""


@final
class Resampled(eqx.Module):
    """Batches of arrays, drawn at random with replacement. A module and not a closure, since two equal
    ones then share a compiled program."""

    size: int = eqx.field(static=True)

    def __call__(self, data, key):
        chosen = jax.random.randint(key, (self.size,), 0, len(jax.tree.leaves(data)[0]))
        return jax.tree.map(lambda x: x[chosen], data)


@final
class Whole(eqx.Module):
    """All samples in every batch: drawn with replacement, they would be no more but repeated."""

    def __call__(self, data, key):
        return data


@final
class Sampled(eqx.Module):
    """Batches of a sampler `key -> batch`."""

    sampler: Callable

    def __call__(self, data, key):
        return self.sampler(key)


@final
class OfEachMember(eqx.Module):
    """Batches of every member of an ensemble by its own rule from its own data, stacked."""

    rules: list[Any]

    def __call__(self, data, keys):
        batches = [rule(x, key) for rule, x, key in zip(self.rules, data, keys, strict=True)]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *batches)


@final
class OfAllMembers(eqx.Module):
    """Batches of every member of an ensemble by the same rule from the same data, stacked."""

    rule: Any

    def __call__(self, data, keys):
        return jax.vmap(self.rule, (None, 0))(data, keys)


def samples_at(data, index):
    """The samples of these numbers, by one program for all arrays."""
    return at_once(_taken, data, jnp.asarray(index))


def _taken(data, index):
    return jax.tree.map(lambda x: x[index], data)


def first_batches(draw, key):
    """Enough fresh batches for the standardisation, stacked."""
    # JAX remembers what it traced by the function's identity; this one is new every time.
    shapes = jax.tree.leaves(jax.eval_shape(lambda key: draw(key), key))
    size = shapes[0].shape[0] if shapes and shapes[0].shape else 1
    keys = jax.random.split(key, max(1, STANDARDISATION_SAMPLES // max(1, size)))
    return run(_draw, draw, keys)


def _draw(draw, keys):
    return jax.vmap(lambda key: draw(key))(keys)


def at_most(drawn):
    """First batches of no more samples than a sampler is asked for: data given as arrays are one batch
    of all, too many to evaluate a network on at once."""

    def strided(x):
        return x[:, :: max(1, -(-x.shape[1] // STANDARDISATION_SAMPLES))] if x.ndim > 1 else x

    batches = max(np.shape(x)[0] for x in jax.tree.leaves(drawn))
    return jax.tree.map(strided, drawn) if batches == 1 else drawn


def rule(observations: Any, batch_size: int, data: Any) -> tuple[Any, Any]:
    """How batches are drawn, and what from: arrays, or nothing for a sampler."""
    if callable(observations):
        return Sampled(observations), data
    return (Whole() if are_few(data, batch_size) else Resampled(batch_size)), data


def are_few(data: Any, batch_size: int) -> bool:
    """Whether arrays hold no more samples than a batch."""
    return data is not None and len(jax.tree.leaves(data)[0]) <= batch_size
