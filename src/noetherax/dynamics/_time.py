"""Explicit time: a model that depends on it, seen at one instant.

At an instant such a model is a function of (q, v) like any other, with all rules of its type, but for
one thing: its momentum changes at fixed q and v, too, so that ∂²L/∂v∂t joins the force. Nothing else of
the library need know about time.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Configuration, FloatArray, Time, Velocity
from ..forces import arguments_of, jumps_of
from ._batches import over_batch

INPUTS = (
    "This model has a force that takes inputs, (q, v, t, u), and there are none. Bind them to it, "
    "noetherax.Driven(model, inputs), or pass u=."
)


class NoInputs(ValueError):
    """Inputs are needed, and there are none."""


TIME = (
    "This model depends on time or on inputs, and no time is given: pass t=, and u= for inputs, or "
    "take it at one instant, noetherax.at_time(model, t, u)."
)


@singledispatch
def depends_on_time(model: Any) -> bool:
    """Whether a model, or a part of it, takes the time or inputs. Types that are made of others
    register a rule."""
    return arguments_of(model) > 2


@singledispatch
def clock_of(model: Any) -> Time | None:
    """The time that a model sees where that of its motion is zero, or `None` where it sees no time."""
    return 0.0 if depends_on_time(model) else None


@singledispatch
def is_at_instant(model: Any) -> bool:
    """Whether a model that depends on time is at an instant already."""
    return False


@singledispatch
def resolved(model: Callable, t: Array, u: "Array | InputsAt | None") -> Callable:
    """A model at an instant, as parts that each are a function of (q, v). Types that are made of others
    register a rule."""
    count = arguments_of(model)
    if count < 3:
        return model
    if count == 4 and u is None:
        raise NoInputs(INPUTS)
    return AtInstant(model, t, u if count == 4 else None)


def takes_inputs(model: Any) -> bool:
    """Whether a model has forces that take inputs, and none are bound to it."""
    if not depends_on_time(model):
        return False
    try:
        resolved(model, jnp.zeros(()), None)
    except NoInputs:
        return True
    return False


def at_time(
    model: Callable,
    t: Time | Float[FloatArray, "*batch"] | None,
    u: Float[FloatArray, "*inputs"] | None = None,
) -> Callable:
    """A model at one instant, a function of (q, v) that has all rules of its type.

    Where a model depends on time, `euler_lagrange_terms` and the other functions of a state take it as
    it is at an instant. Its terms hold −∂²L/∂v∂t with the force.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def swing(q, v, t):
            return jnp.sum(v**2) / 2 + (1 + 0.1 * jnp.cos(2 * t)) * jnp.sum(jnp.cos(q))


        q, v = jnp.array([[0.1]]), jnp.array([[0.0]])
        terms = nx.euler_lagrange_terms(nx.at_time(swing, 0.0), q, v)
        assert jnp.allclose(terms.force, -1.1 * jnp.sin(0.1))
        ```

    **Arguments:**

    - `model`: a Lagrangian, or one with forces, of (q, v), (q, v, t) or, for its forces,
        (q, v, t, u). One that is at an instant already moves to this one.
    - `t`: the time, or one for each state of a batch; `None` where nothing depends on it.
    - `u`: inputs, for forces that take them.

    **Returns:**

    The model itself where it depends neither on time nor on inputs.

    **Raises:**

    `ValueError` if a time or inputs are needed and not given.
    """
    if not depends_on_time(model):
        return model
    if t is None:
        if is_at_instant(model):
            return model
        raise ValueError(TIME)
    t = jnp.asarray(t)
    t = t if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(jnp.result_type(float))
    u = None if u is None else jnp.asarray(u)
    if u is not None and not u.ndim:
        raise ValueError(
            "u must have shape (inputs,), or (..., inputs) for a batch, but it is one number. "
            "Pass it as u[None]."
        )
    if isinstance(model, Instant):
        return Instant(model.model, t, model.u if u is None else u)
    return Instant(model, t, u)


@final
class Instant(eqx.Module):
    """A model and an instant, to be moved to another one. Its rules are those of its parts there."""

    model: Callable
    t: Float[Array, "*batch"]
    u: Float[Array, "*batch inputs"] | None

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        return opened_instant(self)(q, v)


def opened_instant(instant: Instant) -> Callable:
    """The parts of a model at their instant."""
    return resolved(instant.model, instant.t, instant.u)


@depends_on_time.register
def _(model: Instant) -> bool:
    return True


@clock_of.register
def _(model: Instant) -> Time | None:
    return clock_of(model.model)


@is_at_instant.register
def _(model: Instant) -> bool:
    return True


@resolved.register
def _(model: Instant, t, u):
    return resolved(model.model, t, model.u if u is None else u)


@final
class InputsAt(eqx.Module):
    """Inputs that are a function of time, at an instant or at one for each state of a batch. Those that
    do not jump have a rate there, which a Lagrangian asks for whose momentum changes with them."""

    function: Callable
    t: Float[Array, "*batch"]

    def value(self) -> Float[Array, "*batch inputs"]:
        value = jnp.asarray(self._at_all(self.function))
        if value.ndim != self.t.ndim + 1:
            raise ValueError(
                "Inputs must be a function of time whose value has shape (inputs,), but at one time it "
                f"has shape {value.shape[self.t.ndim :]}."
            )
        return value

    @property
    def has_rate(self) -> bool:
        return jumps_of(self.function) is None

    def rate(self) -> Float[Array, "*batch inputs"]:
        ones = jnp.ones((), self.t.dtype)
        return self._at_all(lambda t: jax.jvp(self.function, (t,), (ones,))[1])

    def _at_all(self, function: Callable):
        for _ in range(self.t.ndim):
            function = jax.vmap(function)
        return function(self.t)


def value_of(u: Array | InputsAt | None) -> Array | None:
    return u.value() if isinstance(u, InputsAt) else u


@final
class AtInstant(eqx.Module):
    """One function of (q, v, t) or (q, v, t, u) at an instant, or at one for each state of a batch."""

    function: Callable
    t: Float[Array, "*batch"]
    u: Float[Array, "*batch inputs"] | InputsAt | None

    def __call__(self, q: Configuration, v: Velocity) -> Array:
        q, v = jnp.asarray(q), jnp.asarray(v)
        return self.function(q, v, *_in_precision(q, self.t, value_of(self.u)))


def over_instants(function: Callable, at: AtInstant, *states: Array, rates: bool = False) -> Any:
    """`function(instant, *states)`, mapped over a batch of states and what instants there are for it,
    where `instant` is (t,) or (t, u) in the precision of the states; with `rates` (t, u, du/dt) where
    the inputs are a function of time."""
    t, u = at.t, value_of(at.u)
    batch = states[0].shape[:-2]
    # A batch may have more axes than the instants: images of one state share its time.
    t = jnp.broadcast_to(t.reshape(t.shape + (1,) * (len(batch) - t.ndim)), batch)
    instant = _in_precision(states[0], t, None)

    def wide(u):
        inner = (1,) * (len(batch) - u.ndim + 1)
        u = u.reshape(*u.shape[:-1], *inner, u.shape[-1])
        return jnp.broadcast_to(u, (*batch, u.shape[-1])).astype(states[0].dtype)

    if u is not None:
        instant += (wide(u),)
    if rates and isinstance(at.u, InputsAt) and at.u.has_rate:
        instant += (wide(at.u.rate()),)
    return over_batch(lambda instant, *states: function(instant, *states), states[0])(
        instant, *states
    )


def _in_precision(q, t, u) -> tuple:
    return tuple(x.astype(q.dtype) for x in (t, u) if x is not None)
