import functools
import operator
from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import full_precision
from .._types import FloatArray, check_state
from ..lagrangians import AveragedLagrangian, LagrangianSum


class EulerLagrangeTerms(NamedTuple):
    """The equations of motion as a linear system for the acceleration, `mass_matrix @ a = force`.

    With the n = points × space components of the state flattened:

    - `mass_matrix`: ∂²L/∂v∂v, shape `(..., n, n)`, symmetric.
    - `force`: ∂L/∂q − (∂²L/∂v∂q) v, shape `(..., n)`.
    """

    mass_matrix: Float[Array, "*batch n n"]
    force: Float[Array, "*batch n"]


@singledispatch
def euler_lagrange_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """Terms of the Euler–Lagrange equations d/dt ∂L/∂v = ∂L/∂q,

        (∂²L/∂v²) a = ∂L/∂q − (∂²L/∂v∂q) v.

    (Müller 2023, Eq. 9, prints ∂L/∂v for the first term on the right, a misprint.)

    Any callable of (q, v) is differentiated automatically. Types with a faster rule register it,
    `euler_lagrange_terms.register(MyLagrangian)`; [`noetherax.NeuralLagrangian`][] has a closed one.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`. This function, unlike the
        others, takes leading batch axes, since that is where the time of training goes.

    **Returns:**

    A named tuple `(mass_matrix, force)`.
    """
    check_state(q, v, batched=True)
    return over_batch(lambda q, v: _autodiff_terms(lagrangian, q, v), q)(q, v)


@euler_lagrange_terms.register
def _(lagrangian: LagrangianSum, q, v):
    terms = [euler_lagrange_terms(term, q, v) for term in lagrangian.terms]
    return jax.tree.map(lambda *parts: functools.reduce(operator.add, parts), *terms)


@euler_lagrange_terms.register
def _(lagrangian: AveragedLagrangian, q, v):
    check_state(q, v, batched=True)
    terms = euler_lagrange_terms(lagrangian.lagrangian, lagrangian.images(q), lagrangian.images(v))
    return averaged_terms(lagrangian, terms, q.shape[-2:])


def averaged_terms(lagrangian: AveragedLagrangian, terms: EulerLagrangeTerms, shape):
    """From the terms of L at all images of a state, those of its average there: L(g q, g v) has the
    terms gᵀ M g and gᵀ F at (g q, g v)."""

    def pull_back(x):  # the last axis of (..., elements, size)
        return lagrangian.pull_back(x.reshape(*x.shape[:-1], *shape)).reshape(x.shape)

    mass_matrix = pull_back(jnp.moveaxis(terms.mass_matrix, -2, -3))
    mass_matrix = pull_back(jnp.swapaxes(mass_matrix, -1, -3))
    force = jnp.mean(pull_back(terms.force), axis=-2)
    return EulerLagrangeTerms(jnp.mean(mass_matrix, axis=-2), force)


def autodiff_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """[`noetherax.euler_lagrange_terms`][] by automatic differentiation, whatever the type.

    The referee that every faster rule is tested against.
    """
    return euler_lagrange_terms.dispatch(object)(lagrangian, q, v)


def over_batch(function: Callable, array) -> Callable:
    """`function` of unbatched states, mapped over all leading axes of `array`."""
    for _ in range(array.ndim - 2):
        function = jax.vmap(function)
    return function


@full_precision()
def _autodiff_terms(lagrangian, q, v):
    q, v = jnp.asarray(q), jnp.asarray(v)
    size = v.size
    momentum = jax.grad(lagrangian, argnums=1)
    mass_matrix = jax.jacfwd(momentum, argnums=1)(q, v).reshape(size, size)
    _, transport = jax.jvp(lambda q: momentum(q, v), (q,), (v,))
    force = jax.grad(lagrangian, argnums=0)(q, v) - transport
    return EulerLagrangeTerms(mass_matrix, force.reshape(size))
