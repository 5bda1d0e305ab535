"""All rules of a Lagrangian with forces: those of the Lagrangian, with the forces added."""

import functools
import operator
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._content import is_transparent
from .._precision import full_precision
from .._programs import one_program
from .._types import FloatArray, check_motion, check_state
from ..forces import Driven, Forced
from ..lagrangians import AveragedLagrangian, LagrangianSum
from ._batches import over_batch
from ._closed import closure_converted
from ._equations import euler_lagrange_residual, euler_lagrange_terms, lagrangian_gradient
from ._inertia import constant_inertia, leading_inertia
from ._motion import terms_and_change
from ._time import (
    AtInstant,
    InputsAt,
    Instant,
    depends_on_time,
    opened_instant,
    over_instants,
    resolved,
    value_of,
)


@singledispatch
def covector(
    force: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> Float[Array, "*batch points space"]:
    """A force at a state or at a batch of states. Types that have a faster way for batches register it.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def friction(q, v):
            return -0.1 * v


        q, v = jnp.zeros((5, 2, 3)), jnp.ones((5, 2, 3))  # five states of two points
        force = nx.dynamics.covector(friction, q, v)
        assert force.shape == (5, 2, 3) and jnp.allclose(force, -0.1)
        ```

    **Arguments:**

    - `force`: a [`noetherax.Force`][] or any function of (q, v). For one that depends on time or inputs
        pass `noetherax.at_time(force, t, u)`.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`.

    **Returns:**

    Q, of that shape.

    **Raises:**

    `ValueError` if its value at a state has not the shape of that state.
    """
    return over_batch(lambda q, v: _checked(force, force(q, v), q), q)(q, v)


@covector.register
def _(force: AtInstant, q, v):
    def at(instant, q, v):
        return _checked(force.function, force.function(q, v, *instant), q)

    return over_instants(at, force, q, v)


def total_force(forces: tuple[Callable, ...], q, v) -> Array:
    """The sum of forces, in full precision."""
    with full_precision():
        return functools.reduce(operator.add, (covector(force, q, v) for force in forces))


@singledispatch
def forces_of(model: Any) -> tuple[Callable, ...]:
    """The forces that act beside a Lagrangian, in order; none by default. Types that hold forces
    register a rule.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def free(q, v):
            return jnp.sum(v**2) / 2


        def friction(q, v):
            return -0.1 * v


        assert nx.dynamics.forces_of(free) == ()
        assert nx.dynamics.forces_of(nx.Forced(free, friction)) == (friction,)
        ```

    **Arguments:**

    - `model`: a Lagrangian, with forces or not.

    **Returns:**

    The forces, each a function of the state, and of time and inputs where it depends on them.
    """
    return ()


@singledispatch
def lagrangian_of(model: Callable) -> Callable:
    """The Lagrangian beside which forces act; a model without any is one itself."""
    return model


@lagrangian_of.register
def _(model: Forced):
    return lagrangian_of(model.lagrangian)


@lagrangian_of.register
def _(model: Driven):
    return lagrangian_of(model.model)


def _checked(force, value, q):
    if jnp.shape(value) != q.shape:
        raise ValueError(
            f"A force must have the shape of the state, {q.shape}, but {_name(force)} gives "
            f"{jnp.shape(value)}."
        )
    return jnp.asarray(value)


def _name(force) -> str:
    return getattr(force, "__name__", type(force).__name__)


@forces_of.register
def _(model: Forced):
    return (*forces_of(model.lagrangian), *model.forces)


@forces_of.register
def _(model: Driven):
    return forces_of(model.model)


@forces_of.register
def _(model: Instant):
    return forces_of(opened_instant(model))


@forces_of.register
def _(model: LagrangianSum):
    return tuple(force for term in model.terms for force in forces_of(term))


@forces_of.register
def _(model: AveragedLagrangian):
    if forces_of(model.lagrangian):
        raise TypeError(
            "The forces inside of an average have no account of their own. Average the Lagrangian and "
            "put the forces beside it: Forced(AveragedLagrangian(...), force)."
        )
    return ()


@euler_lagrange_terms.register
@one_program
def _(lagrangian: Forced, q, v):
    check_state(q, v, batched=True)
    terms = euler_lagrange_terms(lagrangian.lagrangian, q, v)
    return _with_force(terms, _total(lagrangian, q, v))


@euler_lagrange_residual.register
@one_program
def _(lagrangian: Forced, q, v, a):
    check_motion(q, v, a)
    residual = euler_lagrange_residual(lagrangian.lagrangian, q, v, a)
    return residual - _total(lagrangian, q, v).reshape(residual.shape)


@constant_inertia.register
def _(lagrangian: Forced, q):
    return constant_inertia(lagrangian.lagrangian, q)


@leading_inertia.register
def _(lagrangian: Forced, q):
    return leading_inertia(lagrangian.lagrangian, q)


@lagrangian_gradient.register
@one_program
def _(lagrangian: Forced, q, v):
    slope, momentum = lagrangian_gradient(lagrangian.lagrangian, q, v)
    return slope + _total(lagrangian, q, v), momentum


@terms_and_change.register
def _(lagrangian: Forced, q, v):
    terms, change_inside = terms_and_change(lagrangian.lagrangian, q, v)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        rate = change_inside(a, (moved.lagrangian, *state))
        if jax.tree.leaves((moved.forces, *state)):
            moving = (moved.forces, *state)
            _, force = eqx.filter_jvp(total_force, (lagrangian.forces, q, v), moving)
            if force is not None:  # it is that of a force that no state changes
                force = force.reshape(*force.shape[:-2], -1)
                rate = -force if rate is None else rate - force
        return rate

    return _with_force(terms, _total(lagrangian, q, v)), change_of_residual


@closure_converted.register
def _(lagrangian: Forced, q, v, *instant):
    parts = (lagrangian.lagrangian, *lagrangian.forces)
    converted = [closure_converted(part, q, v, *instant) for part in parts]
    same = all(new is old for new, old in zip(converted, parts, strict=True))
    return lagrangian if same else Forced(*converted)


@depends_on_time.register
def _(model: Forced) -> bool:
    return any(map(depends_on_time, (model.lagrangian, *model.forces)))


@resolved.register
def _(model: Forced, t, u):
    lagrangian, value = resolved(model.lagrangian, t, u), value_of(u)  # forces need no rate
    return Forced(lagrangian, *(resolved(force, t, value) for force in model.forces))


@depends_on_time.register
def _(model: Driven) -> bool:
    return True


@resolved.register
def _(model: Driven, t, u):
    if u is not None:
        raise ValueError(
            "The inputs of this model are bound to it, noetherax.Driven, and given as u=."
        )
    return resolved(model.model, t, InputsAt(model.inputs, t))


@closure_converted.register
def _(lagrangian: Driven, q, v, t, u=None):
    time = jax.ShapeDtypeStruct((), jnp.result_type(t))
    value, inputs = jax.eval_shape(lagrangian.inputs, time), lagrangian.inputs
    if not is_transparent(inputs):
        inputs = eqx.filter_closure_convert(inputs, time)
    return Driven(closure_converted(lagrangian.model, q, v, t, value), inputs)


def _total(lagrangian: Forced, q, v):
    return total_force(lagrangian.forces, jnp.asarray(q), jnp.asarray(v))


def _with_force(terms, force):
    return terms._replace(force=terms.force + force.reshape(terms.force.shape))
