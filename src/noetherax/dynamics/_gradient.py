"""First derivatives of a Lagrangian, made so that their own derivatives are cheap.

An implicit integrator needs (∂L/∂q, ∂L/∂v) and their Jacobian. For L = f ∘ S, with f a multilayer
perceptron, automatic differentiation sends one tangent per coordinate through the network, forth and
back. One per feature, and forth alone, is enough: the Jacobian of ∂f/∂S is the closed-form Hessian.
"""

import functools
import operator
from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import full_precision
from .._types import Configuration, Velocity
from ..lagrangians import LagrangianSum, NeuralLagrangian
from ._perceptron import gradient_and_hessian


@singledispatch
def lagrangian_gradient(
    lagrangian: Callable, q: Configuration, v: Velocity
) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
    """The generalised force and the momentum, (∂L/∂q, ∂L/∂v).

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.
    """
    return jax.grad(lagrangian, argnums=(0, 1))(q, v)


@lagrangian_gradient.register
def _(lagrangian: LagrangianSum, q, v):
    terms = [lagrangian_gradient(term, q, v) for term in lagrangian.terms]
    return jax.tree.map(lambda *parts: functools.reduce(operator.add, parts), *terms)


@lagrangian_gradient.register
@full_precision()
def _(lagrangian: NeuralLagrangian, q, v):
    if lagrangian.features.num_features > 2 * q.size:
        return jax.grad(lagrangian, argnums=(0, 1))(q, v)
    values, pull_back = jax.vjp(lagrangian.features, q, v)
    standardisation = lagrangian.standardisation
    slope = _slope(lagrangian.network, standardisation(values))
    return pull_back(slope * standardisation.slope(values))


@eqx.filter_custom_jvp
def _slope(network, x):
    return jax.grad(network)(x)


@_slope.def_jvp
@full_precision()
def _(primals, tangents):
    network, x = primals
    network_tangent, tangent = tangents
    slope, hessian = gradient_and_hessian(network, x, None)
    change = jnp.zeros_like(x) if tangent is None else hessian @ tangent
    if jax.tree.leaves(network_tangent):
        weights, rest = eqx.partition(network, _perturbed(network, network_tangent))
        tangents = eqx.filter(network_tangent, eqx.is_array)
        _, moved = jax.jvp(lambda w: jax.grad(eqx.combine(w, rest))(x), (weights,), (tangents,))
        change = change + moved
    return slope, change


def _perturbed(network, tangents):
    """Which leaves of the network have a tangent."""
    return jax.tree.map(lambda t, _: t is not None, tangents, network, is_leaf=lambda t: t is None)
