"""Accelerations of many unknowns without a matrix, where masses are known that ∂²L/∂v² is near to.

In units in which these masses are one, conjugate gradients take as many products with ∂²L/∂v² as
pairs are strong beside them: a few, or some tens. Where that matrix is indefinite and they fail, GMRES
goes on. A product is one derivative of the momentum along a direction, and costs as a few forces do.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from .._programs import HostError
from ._inertia import divides, leading_inertia

MANY = 64
"""Unknowns up to which a matrix over all of them costs less than some products with it."""

ROUNDINGS = 1e3
"""Of the force, that may be left of it: the sums of many pairs lose some digits."""

FINEST, ENOUGH = 4.0, 2e-13
"""Roundings that the methods go on to, by what they themselves know to be left, unless it is enough.
Single precision has no digits to lose; in double precision the last three cost up to four times as
many products where the matrix is indefinite."""

MOST = 400
"""Products before giving up, of each of the two methods."""

DIRECTIONS = 40
"""Search directions that GMRES keeps."""

UNSOLVED = (
    "No acceleration was found for {unknowns} unknowns: conjugate gradients and GMRES leave "
    "{missing:.2g} of the force after {products} products with ∂²L/∂v², which is singular there, or "
    "nearly so, or far from the masses of this model ({least:.2g} to {largest:.2g}). For a few points, "
    "`noetherax.euler_lagrange_terms(lagrangian, q, v).mass_matrix` shows the matrix."
)


class _Found(NamedTuple):
    x: Array
    missing: Array  # largest part of the right side that is left, of the worst state


def masses_for_many(lagrangian: Callable, q) -> Float[Array, "*batch points space"] | None:
    """The masses in whose units the equations of motion are solved without a matrix, or `None` where
    they are not, because unknowns are few or no masses known."""
    if np.ndim(q) < 2 or math.prod(np.shape(q)[-2:]) <= MANY:  # of no state, others say so
        return None
    masses = leading_inertia(lagrangian, q)
    return jnp.broadcast_to(jnp.asarray(masses, q.dtype), q.shape) if divides(masses) else None


def solve_without_matrix(
    residual: Callable, masses: Float[Array, "*batch points space"]
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch"]]:
    """The root a of `residual(a)`, linear in a with a symmetric matrix, and whether it was found.

    **Arguments:**

    - `residual`: the Euler–Lagrange expression at an acceleration of the shape of the masses; it
        returns an array of shape `(..., points·space)`.
    - `masses`: of each component, which that matrix is near to.
    """
    nothing = jnp.zeros_like(masses)
    force = -residual(nothing)
    flat = masses.reshape(force.shape).astype(force.dtype)
    root = lax.stop_gradient(1 / jnp.sqrt(jnp.abs(flat)))

    def product(a):
        along = a.reshape(masses.shape).astype(masses.dtype)
        return jax.jvp(residual, (nothing,), (along,))[1]

    def solve(extended, right):
        product, right = (lambda a: extended(_extended(a, 0))[..., :-1]), right[..., :-1]
        # States whose force is not finite have no acceleration, and must not spoil that of others.
        known = jnp.all(jnp.isfinite(right), axis=-1, keepdims=True)
        b = jnp.where(known, root * right, 0)
        unit = jnp.max(jnp.abs(b), axis=-1, keepdims=True)
        unit = jnp.where(unit > 0, unit, 1)
        y, missing = _by_conjugate_gradients(
            lambda y: jnp.where(known, root * product(root * y), y), b / unit
        )
        return _extended(jnp.where(known, root * unit * y, jnp.nan), missing)

    # What is missing is one more unknown: auxiliary results would not allow `jax.jacfwd`.
    solution = lax.custom_linear_solve(
        lambda x: _extended(product(x[..., :-1]), x[..., -1]),
        _extended(force, 0),
        solve,
        symmetric=True,
    )
    a, missing = solution[..., :-1], lax.stop_gradient(solution[..., -1])
    # Half of all digits: what rounding leaves of an ill-conditioned matrix, and of no singular one.
    found = missing <= jnp.finfo(force.dtype).eps ** 0.5
    return a, found & jnp.all(jnp.isfinite(a), axis=-1)


def _extended(x, last) -> Array:
    """Vectors with one more component."""
    last = jnp.broadcast_to(jnp.asarray(last, x.dtype), x.shape[:-1])
    return jnp.concatenate([x, last[..., None]], axis=-1)


def _by_conjugate_gradients(product: Callable, b) -> tuple[Array, Array]:
    """The solution of a system near to the identity, with a right side of order one, and how much of
    that is left at each state."""
    epsilon = float(jnp.finfo(b.dtype).eps)
    tolerance, finest = ROUNDINGS * epsilon, max(FINEST * epsilon, ENOUGH)
    structure = jax.ShapeDtypeStruct(b.shape, b.dtype)

    def found(x) -> _Found:
        left = jnp.max(jnp.abs(b - product(x)), axis=-1)
        return _Found(x, jnp.where(jnp.isfinite(left), left, jnp.inf))

    # Lineax asks for a definite matrix: if it is none, what is left tells.
    definite = lx.FunctionLinearOperator(product, structure, lx.positive_semidefinite_tag)
    method = lx.CG(rtol=finest, atol=finest, max_steps=MOST)
    start = found(lx.linear_solve(definite, b, method, throw=False).value)

    def unsolved(state):
        now, tried = state
        return ~tried & jnp.any(now.missing > 10 * tolerance)

    def once_more(state):
        now, _ = state
        good = (now.missing < 1)[..., None]
        options = {"y0": jnp.where(good, now.x, 0)}
        operator = lx.FunctionLinearOperator(product, structure)
        method = lx.GMRES(
            rtol=finest, atol=finest, restart=DIRECTIONS, max_steps=MOST // DIRECTIONS
        )
        new = found(lx.linear_solve(operator, b, method, options=options, throw=False).value)
        better = new.missing < now.missing
        x = jnp.where(better[..., None], new.x, now.x)
        return _Found(x, jnp.minimum(new.missing, now.missing)), jnp.array(True)

    # A loop of one turn, which a batch of them skips where none needs it.
    (x, missing), _ = lax.while_loop(unsolved, once_more, (start, jnp.array(False)))
    return x, missing


def told_unsolved(a, determined, residual: Callable, masses) -> Array:
    """The acceleration, or an error with the number of what is left of the force."""

    def at(a):
        return residual(a.reshape(masses.shape).astype(masses.dtype))

    root = 1 / jnp.sqrt(jnp.abs(masses.reshape(a.shape)))
    left = jnp.where(determined[..., None], 0, root * at(a))
    size = jnp.where(determined[..., None], 1, root * at(jnp.zeros_like(a)))
    part = jnp.max(jnp.abs(left), axis=-1) / jnp.max(jnp.abs(size), axis=-1)
    numbers = jnp.max(part), jnp.min(masses), jnp.max(masses)

    def tell(fine, *numbers) -> Any:
        if not np.all(fine):
            missing, least, largest = (float(np.max(x)) for x in numbers)
            unknowns = masses.shape[-2] * masses.shape[-1]
            raise HostError(
                UNSOLVED.format(
                    unknowns=unknowns,
                    missing=missing,
                    products=2 * MOST,
                    least=least,
                    largest=largest,
                )
            )
        return np.zeros((), a.dtype)

    nothing = jax.ShapeDtypeStruct((), a.dtype)
    arguments = lax.stop_gradient((jnp.all(determined), *numbers))
    told = lax.cond(
        arguments[0],
        lambda *_: jnp.zeros((), a.dtype),
        lambda *x: jax.pure_callback(tell, nothing, *x, vmap_method="sequential"),
        *arguments,
    )
    return a + told
