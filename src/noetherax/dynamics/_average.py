"""All rules of an average over a finite group, L̄(q, v) = (1/|G|) Σ_g L(g q, g v).

What L gives at all images of a state is pulled back and averaged: gradients as gᵀ x, matrices as
gᵀ M g. So the average of a Lagrangian with a fast rule has one as well.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._programs import one_program
from .._types import check_motion, check_state
from ..lagrangians import AveragedLagrangian
from ._closed import closure_converted
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._motion import terms_and_change
from ._time import depends_on_time, resolved


@euler_lagrange_terms.register
@one_program
def _(lagrangian: AveragedLagrangian, q, v):
    check_state(q, v, batched=True)
    terms = euler_lagrange_terms(lagrangian.lagrangian, lagrangian.images(q), lagrangian.images(v))
    return _averaged_terms(lagrangian, terms, q.shape[-2:])


@euler_lagrange_residual.register
@one_program
def _(lagrangian: AveragedLagrangian, q, v, a):
    check_motion(q, v, a)
    images = (lagrangian.images(x) for x in (q, v, a))
    residual = euler_lagrange_residual(lagrangian.lagrangian, *images)
    return _averaged_residual(lagrangian, residual, q.shape[-2:])


@lagrangian_gradient.register
@one_program
def _(lagrangian: AveragedLagrangian, q, v):
    check_state(q, v)
    at_images = jax.vmap(lambda q, v: lagrangian_gradient(lagrangian.lagrangian, q, v))
    slopes = at_images(lagrangian.images(q), lagrangian.images(v))
    force, momentum = (jnp.mean(lagrangian.pull_back(x), axis=0) for x in slopes)
    return force, momentum


@terms_and_change.register
def _(lagrangian: AveragedLagrangian, q, v):
    check_state(q, v, batched=True)
    terms, change_at_images = terms_and_change(
        lagrangian.lagrangian, lagrangian.images(q), lagrangian.images(v)
    )

    def change_of_residual(a, tangents):
        moved, *state = tangents
        state = (None if tangent is None else lagrangian.images(tangent) for tangent in state)
        rate = change_at_images(lagrangian.images(a), (moved.lagrangian, *state))
        return None if rate is None else _averaged_residual(lagrangian, rate, a.shape[-2:])

    return _averaged_terms(lagrangian, terms, q.shape[-2:]), change_of_residual


@closure_converted.register
def _(lagrangian: AveragedLagrangian, q, v, *instant):
    inner = closure_converted(lagrangian.lagrangian, q, v, *instant)
    return lagrangian if inner is lagrangian.lagrangian else _with(lagrangian, inner)


@depends_on_time.register
def _(model: AveragedLagrangian) -> bool:
    return depends_on_time(model.lagrangian)


@resolved.register
def _(model: AveragedLagrangian, t, u):
    return _with(model, resolved(model.lagrangian, t, u))


def _with(average: AveragedLagrangian, inner):
    return eqx.tree_at(lambda average: average.lagrangian, average, inner)


def _averaged_terms(lagrangian: AveragedLagrangian, terms: EulerLagrangeTerms, shape):
    """From the terms of L at all images of a state, those of its average there: L(g q, g v) has the
    terms gᵀ M g and gᵀ F at (g q, g v)."""

    def pull_back(x):  # the last axis of (..., elements, size)
        return lagrangian.pull_back(x.reshape(*x.shape[:-1], *shape)).reshape(x.shape)

    mass_matrix = pull_back(jnp.moveaxis(terms.mass_matrix, -2, -3))
    mass_matrix = pull_back(jnp.swapaxes(mass_matrix, -1, -3))
    force = jnp.mean(pull_back(terms.force), axis=-2)
    return EulerLagrangeTerms(jnp.mean(mass_matrix, axis=-2), force)


def _averaged_residual(lagrangian: AveragedLagrangian, residual, shape):
    """From the residuals of L at all images of a motion, that of its average."""
    pulled = lagrangian.pull_back(residual.reshape(*residual.shape[:-1], *shape))
    return jnp.mean(pulled.reshape(residual.shape), axis=-2)
