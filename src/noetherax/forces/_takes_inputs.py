"""Which parts of a model take inputs, and the value of its Lagrangian with them."""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..lagrangians import (
    AveragedLagrangian,
    GeneralPairwiseLagrangian,
    LagrangianSum,
    PairwiseLagrangian,
    columns_in_momentum,
    with_inputs,
)
from ._arguments import arguments_of, called
from ._forced import Forced
from ._pair_friction import PairFriction

Pairs = PairwiseLagrangian | GeneralPairwiseLagrangian


@singledispatch
def lagrangian_takes_inputs(model: Any) -> bool:
    """Whether the Lagrangian of a model takes inputs so that its momentum may change with them, and not
    its forces alone."""
    return arguments_of(model) > 3


@lagrangian_takes_inputs.register
def _(model: Pairs) -> bool:
    return bool(columns_in_momentum(model))


@lagrangian_takes_inputs.register
def _(model: Forced | AveragedLagrangian) -> bool:
    return lagrangian_takes_inputs(model.lagrangian)


@lagrangian_takes_inputs.register
def _(model: LagrangianSum) -> bool:
    return any(map(lagrangian_takes_inputs, model.terms))


@singledispatch
def some_part_takes_inputs(model: Any) -> bool:
    """Whether the Lagrangian of a model takes inputs, be they attributes, or one of its forces does."""
    return arguments_of(model) > 3


@some_part_takes_inputs.register
def _(model: Pairs | PairFriction) -> bool:
    return model.takes_attributes


@some_part_takes_inputs.register
def _(model: AveragedLagrangian) -> bool:
    return some_part_takes_inputs(model.lagrangian)


@some_part_takes_inputs.register
def _(model: LagrangianSum) -> bool:
    return any(map(some_part_takes_inputs, model.terms))


@some_part_takes_inputs.register
def _(model: Forced) -> bool:
    return any(map(some_part_takes_inputs, (model.lagrangian, *model.forces)))


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
def _(model: AveragedLagrangian, q, v, t, u):
    each = jax.vmap(lambda q, v: lagrangian_with(model.lagrangian, q, v, t, u))
    return jnp.mean(each(model.images(q), model.images(v)))


@lagrangian_with.register
def _(model: Pairs, q, v, t, u):
    return (with_inputs(model, u) if model.takes_attributes else model)(q, v)
