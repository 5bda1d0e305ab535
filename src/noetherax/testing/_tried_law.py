"""The law that a solver is tried on, in any units."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..dynamics import depends_on_time
from ..forces import Forced


def swinging(q, v, t):
    """A point in the plane, held by a spring of swinging strength, whose mass along the radius depends
    on the place: neither separable, nor linear, nor the same at all times."""
    squared = 1 + jnp.sum(q**2)
    kinetic = jnp.sum(v**2) / 2 + jnp.sum(q * v) ** 2 / (4 * squared)
    return kinetic - (1 + jnp.sin(t) / 2) * jnp.sqrt(squared)


def damper(q, v):
    """Friction along the radius, which keeps angular momentum."""
    return -jnp.sum(q * v) / (5 + 5 * jnp.sum(q**2)) * q


def law_of(subject: Any) -> tuple[Callable, Callable | None]:
    """The Lagrangian and the force that a solver is tried on."""
    if subject.lagrangian is None:
        return swinging, damper if subject.force is None else subject.force
    return subject.lagrangian, subject.force


def in_units(
    lagrangian: Callable, force: Callable | None, length: Any, time: Any, strength: Any
) -> Callable:
    """The same law where positions and times are numbers in units so many times smaller, and the force
    acts so many times."""
    scaled = _scaled(lagrangian, length, time, 1.0)
    if force is None:
        return scaled
    return Forced(scaled, _scaled(force, length, time, strength / length))


def _scaled(function: Callable, length: Any, time: Any, factor: Any) -> Callable:
    evaluate = _at_state_and_time if depends_on_time(function) else _at_state
    return eqx.Partial(evaluate, function, length, time, factor)


def _at_state(function, length, time, factor, q, v):
    return function(q / length, v * time / length) * factor


def _at_state_and_time(function, length, time, factor, q, v, t):
    return function(q / length, v * time / length, t / time) * factor
