"""Laws of pairs whose attributes change as they move, at an instant: ∂L/∂v changes with them at fixed q
and v, so that (∂²L/∂v∂c) dc/dt joins the equations of motion."""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ..forces import are_steady
from ..lagrangians import (
    NO_ATTRIBUTES,
    GeneralPairwiseLagrangian,
    PairwiseLagrangian,
    columns_in_momentum,
    with_inputs,
)
from ._equations import euler_lagrange_residual, euler_lagrange_terms, lagrangian_gradient
from ._inertia import constant_inertia, leading_inertia
from ._registration import pass_on
from ._time import InputsAt, NoInputs, at_time, value_of
from ._without_rules import without_rules

JUMPS = (
    "Momenta of this law of pairs change with its attributes, and these are inputs of the kind 'hold' "
    "that jump, where velocities would jump, too. Bind inputs of the kind 'linear' or 'cubic', "
    "noetherax.Driven(model, inputs)."
)


@final
class ChangingAttributes(eqx.Module):
    """A law of pairs with the attributes c of an instant, and their rates there.

    **Arguments:**

    - `lagrangian`: the law, with its attributes.
    - `rate`: dc/dt, of the shape of these.
    """

    lagrangian: PairwiseLagrangian | GeneralPairwiseLagrangian
    rate: Float[Array, "*batch points columns"]

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        return self.lagrangian(q, v)

    def rate_of_momentum(self, q, v) -> Array:
        """(∂²L/∂v∂c) dc/dt."""

        def momentum(values):
            return lagrangian_gradient(eqx.tree_at(_values, self.lagrangian, values), q, v)[1]

        return jax.jvp(momentum, (_values(self.lagrangian),), (self.rate,))[1]


def with_attributes_at(lagrangian, u: Any):
    """A law of pairs whose attributes are inputs, with those of an instant. Those of which the value
    alone is known count as constant."""
    if u is None:
        raise NoInputs(NO_ATTRIBUTES)
    at_instant = with_inputs(lagrangian, value_of(u))
    if not isinstance(u, InputsAt) or not columns_in_momentum(lagrangian):
        return at_instant
    rate = u.rate() if u.has_rate else _no_rate(lagrangian, u)
    return ChangingAttributes(at_instant, _values(with_inputs(lagrangian, rate)))


def _no_rate(lagrangian, u: InputsAt) -> Array:
    """That of inputs that could jump, where those that the momentum takes do not."""
    nothing = jnp.zeros_like(u.value())
    columns = np.arange(nothing.shape[-1]) % lagrangian.attributes.columns
    taken = np.isin(columns, columns_in_momentum(lagrangian))
    return eqx.error_if(nothing, jnp.any(taken & ~jnp.asarray(are_steady(u.function))), JUMPS)


def _values(law: Any) -> Any:
    return law.attributes.values


pass_on(
    ChangingAttributes,
    lambda law: law.lagrangian,
    lagrangian_gradient,
    constant_inertia,
    leading_inertia,
)


@euler_lagrange_terms.register
def _(lagrangian: ChangingAttributes, q, v):
    terms = euler_lagrange_terms(lagrangian.lagrangian, q, v)
    rate = lagrangian.rate_of_momentum(q, v).reshape(terms.force.shape)
    return terms._replace(force=terms.force - rate)


@euler_lagrange_residual.register
def _(lagrangian: ChangingAttributes, q, v, a):
    residual = euler_lagrange_residual(lagrangian.lagrangian, q, v, a)
    return residual + lagrangian.rate_of_momentum(q, v).reshape(residual.shape)


@without_rules.register
def _(lagrangian: ChangingAttributes):
    law, rate = lagrangian.lagrangian, lagrangian.rate

    def in_time(q, v, t):
        return eqx.tree_at(_values, law, _values(law) + t * rate)(q, v)

    return at_time(in_time, 0.0)
