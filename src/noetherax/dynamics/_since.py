"""A model along one recording or window: its time counts from a start, and its inputs are known."""

from collections.abc import Callable
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._content import is_transparent
from .._types import Configuration, Time, Velocity
from ..forces import called, held_until, jumps_in, jumps_of, together
from ._closed import closure_converted
from ._forced import forces_of
from ._time import InputsAt, clock_of, depends_on_time, resolved


@final
class Since(eqx.Module):
    """A model whose time counts from `start`, with inputs that are a function of the time since then,
    or none. Steps are exact, and inputs taken at the right time, also where `start` itself is rounded,
    as Julian dates are in float32.

    Inputs that the model has been given by `Driven` are functions of its own time, and remain.
    """

    model: Callable
    start: Float[Array, ""]
    inputs: Callable | None = None

    def __call__(self, q: Configuration, v: Velocity, t: Time) -> Float[Array, ""]:
        """The value of the Lagrangian alone."""
        return called(self.model, q, v, self.start + jnp.asarray(t, self.start.dtype))


@depends_on_time.register
def _(model: Since) -> bool:
    return True


@clock_of.register
def _(model: Since):
    return model.start if depends_on_time(model.model) else None


@forces_of.register
def _(model: Since):
    return forces_of(model.model)


@jumps_of.register
def _(model: Since):
    inside = jumps_of(model.model)  # in its own time
    return together(
        jumps_in(model.model, model.inputs), None if inside is None else inside - model.start
    )


@held_until.register
def _(model: Since, end):
    inside = held_until(model.model, model.start + end.astype(model.start.dtype))
    inputs = None if model.inputs is None else held_until(model.inputs, end)
    return Since(inside, model.start, inputs)


@resolved.register
def _(model: Since, t, u):
    u = u if model.inputs is None else InputsAt(model.inputs, t)
    return resolved(model.model, model.start + t.astype(model.start.dtype), u)


@closure_converted.register
def _(lagrangian: Since, q, v, t, u=None):
    time, inputs = jax.ShapeDtypeStruct((), jnp.result_type(t)), lagrangian.inputs
    if inputs is not None:
        u = jax.eval_shape(inputs, time)
        if not is_transparent(inputs):
            inputs = eqx.filter_closure_convert(inputs, time)
    start = jax.ShapeDtypeStruct((), lagrangian.start.dtype)
    return Since(closure_converted(lagrangian.model, q, v, start, u), lagrangian.start, inputs)
