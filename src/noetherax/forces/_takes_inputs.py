"""Which parts of a model take inputs, and the value of its Lagrangian with them."""

from functools import singledispatch
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..lagrangians import (
    AveragedLagrangian,
    GeneralPairwiseLagrangian,
    LagrangianSum,
    PairwiseLagrangian,
    with_inputs,
)
from ._arguments import arguments_of, called
from ._forced import Forced
from ._pair_friction import PairFriction

Pairs = PairwiseLagrangian | GeneralPairwiseLagrangian


@singledispatch
def lagrangian_takes_inputs(model: Any) -> bool:
    """Whether the Lagrangian of a model takes inputs, and not its forces alone."""
    return arguments_of(model) > 3


@lagrangian_takes_inputs.register
def _(model: Forced | AveragedLagrangian) -> bool:
    return lagrangian_takes_inputs(model.lagrangian)


@lagrangian_takes_inputs.register
def _(model: LagrangianSum) -> bool:
    return any(map(lagrangian_takes_inputs, model.terms))


@lagrangian_takes_inputs.register
def _(model: Pairs) -> bool:
    return model.takes_attributes


@singledispatch
def some_part_takes_inputs(model: Any) -> bool:
    """Whether the Lagrangian of a model takes inputs, or one of its forces."""
    return lagrangian_takes_inputs(model)


@some_part_takes_inputs.register
def _(model: Forced) -> bool:
    return lagrangian_takes_inputs(model.lagrangian) or any(map(_force_takes_inputs, model.forces))


@singledispatch
def _force_takes_inputs(force: Any) -> bool:
    return arguments_of(force) > 3


@_force_takes_inputs.register
def _(force: PairFriction) -> bool:
    return force.takes_attributes


@singledispatch
def lagrangian_with(model: Any, q, v, t, u) -> Float[Array, ""]:
    """The value of the Lagrangian of a model at a time, with inputs."""
    return called(model, q, v, t, u)


@lagrangian_with.register
def _(model: Forced, q, v, t, u):
    return lagrangian_with(model.lagrangian, q, v, t, u)


@lagrangian_with.register
def _(model: LagrangianSum, q, v, t, u):
    return jnp.sum(jnp.stack([lagrangian_with(term, q, v, t, u) for term in model.terms]))


@lagrangian_with.register
def _(model: Pairs, q, v, t, u):
    return (with_inputs(model, u) if model.takes_attributes else model)(q, v)
