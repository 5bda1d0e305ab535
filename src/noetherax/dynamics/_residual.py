import functools
import operator
from collections.abc import Callable
from functools import singledispatch

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import PRECISION, full_precision
from .._types import FloatArray, check_motion
from ..lagrangians import AveragedLagrangian, LagrangianSum
from ._terms import euler_lagrange_terms, over_batch


@singledispatch
def euler_lagrange_residual(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    a: Float[FloatArray, "*batch points space"],
) -> Float[Array, "*batch n"]:
    """The Euler–Lagrange expression of a motion that is at q with velocity v and acceleration a,

        d/dt ∂L/∂v − ∂L/∂q = (∂²L/∂v²) a + (∂²L/∂v∂q) v − ∂L/∂q,

    zero where the motion is one of L. It takes one derivative of ∂L/∂v, along (v, a), where
    [`noetherax.euler_lagrange_terms`][] takes one for every coordinate.

    A type with rules for these terms and none for this function goes by the terms.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`, `a`: configuration, velocity and acceleration, shape `(..., points, space)`.

    **Returns:**

    An array of shape `(..., points·space)`.

    **Raises:**

    `ValueError` or `TypeError` if `q`, `v` and `a` are not arrays of one such shape.
    """
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    rules = euler_lagrange_terms.dispatch
    if rules(type(lagrangian)) is not rules(object):
        mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
        a = a.reshape(force.shape)
        return jnp.einsum("...ij,...j->...i", mass_matrix, a, precision=PRECISION) - force
    return over_batch(lambda *motion: _autodiff_residual(lagrangian, *motion), q)(q, v, a)


@euler_lagrange_residual.register
def _(lagrangian: LagrangianSum, q, v, a):
    residuals = [euler_lagrange_residual(term, q, v, a) for term in lagrangian.terms]
    return functools.reduce(operator.add, residuals)


@euler_lagrange_residual.register
def _(lagrangian: AveragedLagrangian, q, v, a):
    check_motion(q, v, a)
    images = (lagrangian.images(x) for x in (q, v, a))
    residual = euler_lagrange_residual(lagrangian.lagrangian, *images)
    return averaged_residual(lagrangian, residual, q.shape[-2:])


def averaged_residual(lagrangian: AveragedLagrangian, residual, shape):
    """From the residuals of L at all images of a motion, that of its average."""
    pulled = lagrangian.pull_back(residual.reshape(*residual.shape[:-1], *shape))
    return jnp.mean(pulled.reshape(residual.shape), axis=-2)


@full_precision()
def _autodiff_residual(lagrangian, q, v, a):
    slope, momentum = (jax.grad(lagrangian, argnums=index) for index in (0, 1))
    _, rate = jax.jvp(momentum, (q, v), (v, a))
    return (rate - slope(q, v)).reshape(-1)
