"""All rules of L = vᵀ M v/2 − V(q), whose matrix M is the same at every state."""

import jax
import jax.numpy as jnp
import numpy as np

from .._precision import PRECISION
from .._programs import one_program
from .._types import check_motion, check_state
from ..lagrangians import SeparableLagrangian, inertia_of, inertia_times
from ._batches import over_batch
from ._derived import ROUNDS
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._inertia import constant_inertia
from ._motion import solve_motion


@euler_lagrange_terms.register
@one_program
def _(lagrangian: SeparableLagrangian, q, v):
    check_state(q, v, batched=True)
    force = _force(lagrangian, q)
    mass = jnp.asarray(inertia_of(lagrangian, *v.shape[-2:]), force.dtype)
    mass = jnp.diag(mass) if mass.ndim == 1 else mass
    return EulerLagrangeTerms(jnp.broadcast_to(mass, (*force.shape, force.shape[-1])), force)


@euler_lagrange_residual.register
@one_program
def _(lagrangian: SeparableLagrangian, q, v, a):
    check_motion(q, v, a)
    force = _force(lagrangian, q)
    inertia = jnp.asarray(inertia_of(lagrangian, *v.shape[-2:]), force.dtype)
    flat = jnp.asarray(a).reshape(force.shape)
    product = (
        inertia * flat if inertia.ndim == 1 else jnp.matmul(flat, inertia, precision=PRECISION)
    )
    return product - force


@solve_motion.register
def _(lagrangian: SeparableLagrangian, q, v, solve):
    check_state(q, v, batched=True)
    inertia = inertia_of(lagrangian, *v.shape[-2:])
    constant = isinstance(inertia, np.ndarray)
    if inertia.ndim == 1 and not (constant and np.any(inertia == 0)):
        force = _force(lagrangian, q)
        a = force / jnp.asarray(inertia, force.dtype)
    elif inertia.ndim == 2 and constant and _is_regular(inertia):
        force = _force(lagrangian, q)
        inverse = jnp.asarray(np.linalg.inv(inertia), force.dtype)
        a = jnp.matmul(force, inverse, precision=jax.lax.Precision.HIGHEST)
    else:  # a singular matrix, or one that trains and may become so
        return solve(euler_lagrange_terms(lagrangian, q, v))
    return a, jnp.all(jnp.isfinite(a), axis=-1)


@constant_inertia.register
def _(lagrangian: SeparableLagrangian, q):
    inertia = inertia_of(lagrangian, *q.shape[-2:])
    return inertia.reshape(q.shape[-2:]) if inertia.ndim == 1 else None


@lagrangian_gradient.register
@one_program
def _(lagrangian: SeparableLagrangian, q, v):
    return -jax.grad(lagrangian.potential)(q), inertia_times(inertia_of(lagrangian, *v.shape), v)


def _force(lagrangian: SeparableLagrangian, q):
    q = jnp.asarray(q)
    return -over_batch(jax.grad(lagrangian.potential), q)(q).reshape(*q.shape[:-2], -1)


def _is_regular(matrix: np.ndarray) -> bool:
    """Whether a constant matrix has an inverse, in units in which its rows are of order one."""
    for _ in range(ROUNDS):
        unit = np.sqrt(np.max(np.abs(matrix), axis=1))
        if not np.all((unit > 0) & np.isfinite(unit)):
            return False
        matrix = matrix / unit[:, None] / unit
    return bool(np.linalg.matrix_rank(matrix) == len(matrix))
