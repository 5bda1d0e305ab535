"""Where inputs jump, and with them the equations of motion: steps end there, and see one side each."""

from functools import singledispatch
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._types import FloatArray, Time
from ..lagrangians import AveragedLagrangian, LagrangianSum
from ._forced import Forced
from ._inputs import Driven, Inputs, value_of
from ._takes_inputs import lagrangian_takes_inputs

Jumps = Float[FloatArray, " jumps"] | None


@singledispatch
def jumps_of(part: Any) -> Jumps:
    """The times at which the equations of motion of a model jump, or inputs do, or `None` where they do
    not. Steps of a rollout must not cross them."""
    return None


@jumps_of.register
def _(part: Inputs):
    return part.t if part.kind == "hold" else None


@jumps_of.register
def _(part: Driven):
    return jumps_in(part.model, part.inputs)


@jumps_of.register
def _(part: Forced):
    return jumps_of(part.lagrangian)


@jumps_of.register
def _(part: LagrangianSum):
    return together(*map(jumps_of, part.terms))


@jumps_of.register
def _(part: AveragedLagrangian):
    return jumps_of(part.lagrangian)


def jumps_in(model: Any, inputs: Any) -> Jumps:
    """Those of a model with these inputs. Where its Lagrangian takes them, its equations may hold du/dt
    which jumps at the kinks of u."""
    kinks = kinks_of(inputs) if lagrangian_takes_inputs(model) else None
    return together(jumps_of(inputs), kinks)


@singledispatch
def kinks_of(inputs: Any) -> Jumps:
    """The times at which the slope of inputs jumps, or `None`."""
    return None


@kinks_of.register
def _(inputs: Inputs):
    steady = are_steady(inputs)
    if not isinstance(steady, Tracer) and np.all(steady):
        return None
    ends = inputs.t[:: max(len(inputs.t) - 1, 1)]
    return {"hold": None, "linear": inputs.t, "cubic": ends}[inputs.kind]


def kinks_within(model: Any) -> Jumps:
    """Those of all inputs in a model. There its derivatives by their times jump."""
    parts = jax.tree.leaves(model, is_leaf=lambda x: kinks_of(x) is not None)
    return together(*map(kinks_of, parts))


@singledispatch
def are_steady(inputs: Any) -> Any:
    """Which inputs are the same at all times, for all that is known of them."""
    return np.array(False)


@are_steady.register
def _(inputs: Inputs):
    return (jnp if isinstance(inputs.u, Tracer) else np).all(inputs.u == inputs.u[:1], axis=0)


def together(*jumps: Jumps) -> Jumps:
    """All of them, in order."""
    found = [x for x in jumps if x is not None]
    return jnp.sort(jnp.concatenate(found)) if len(found) > 1 else (found or [None])[0]


@singledispatch
def held_until(model: Any, end: Array) -> Any:
    """A model whose inputs jump, for a motion that ends at a time or starts there to go back: what they
    jump to at the end itself belongs to no step."""
    return model


@held_until.register
def _(model: Inputs, end):
    return _Before(model, end)


@held_until.register
def _(model: Driven, end):
    return Driven(model.model, held_until(model.inputs, end))


@held_until.register
def _(model: Forced, end):
    return Forced(held_until(model.lagrangian, end), *model.forces)


@held_until.register
def _(model: LagrangianSum, end):
    return LagrangianSum(*(held_until(term, end) for term in model.terms))


@held_until.register
def _(model: AveragedLagrangian, end):
    inner = held_until(model.lagrangian, end)
    return eqx.tree_at(lambda average: average.lagrangian, model, inner)


@final
class _Before(eqx.Module):
    """Inputs that at a time and later are what they were before it."""

    inputs: Inputs
    end: Array

    def __call__(self, t: Time) -> Float[Array, " inputs"]:
        before = just_before(jax.lax.stop_gradient(self.end))
        # With the slope that they have there.
        ends = t >= self.end
        t = jnp.where(ends, before + (t - jax.lax.stop_gradient(t)), t)
        return value_of(self.inputs, t, ends)


@jumps_of.register
def _(part: _Before):
    return jumps_of(part.inputs)


@kinks_of.register
def _(inputs: _Before):
    return kinks_of(inputs.inputs)


@are_steady.register
def _(inputs: _Before):
    return are_steady(inputs.inputs)


def just_before(t):
    """The time before, of JAX or of NumPy. What is smaller than normal numbers is zero to XLA."""
    np_ = jnp if isinstance(t, jax.Array) else np
    small = float(jnp.finfo(t.dtype).tiny)
    below = np_.nextafter(t, np_.full_like(t, -np_.inf))
    return np_.where((t > -small) & (t <= small), np_.full_like(t, -small), below)
