"""Roots to rounding for the many unknowns of a step whose masses are known: without a matrix.

Newton's method inverts a matrix over all unknowns of a step. Where ∂L/∂v = m v, the equations of a
stage are x = G(x), for the velocities v = (p + h Σ a F)/m, and to evaluate them again and again
converges as long as the step resolves the motion: each time the error shrinks by about (h ω)²/6, ω the
highest frequency. Where ∂L/∂v is m v and something smaller, that goes to the other side, and the error
shrinks by what it is beside m v at least. Where neither converges, Newton's method with GMRES for its
linear equations takes over (Knoll & Keyes 2004).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax
from jaxtyping import Array

from ._newton import FLOOR, Root

MANY = 64
"""Unknowns from which on a matrix over all of them is dearer than some more evaluations."""

MOST = 200
"""Evaluations of the equations before giving up."""

SLOW = 0.5
"""Contraction above which Newton's method is faster."""

CLOSE = 1e-4
"""Precision of its linear equations: by so much each correction shrinks."""

DIRECTIONS = 40
"""Search directions that GMRES keeps."""

LEAST = 1e-3
"""Least part of a correction that is tried."""

STALLED = 0.9
"""Contraction above which a change near rounding is rounding."""

ROUNDINGS = 1e3
"""Precision of a derivative, in roundings of its right side."""


class _Iterate(NamedTuple):
    x: Array
    aux: Any  # at x
    next: Array
    size: Array  # of the change to the next, in roundings
    miss: Array  # the same in units of x, which do not grow where forces do
    rate: Array  # by which it shrank last
    converged: Array
    evaluations: Array


def iterate(function: Callable, guess: Array) -> Root:
    """The x that `function` leaves as it is.

    **Arguments:**

    - `function`: x → (next x, scale, aux), with the size of the terms that each unknown adds up, and
        anything to hand back.
    - `guess`: starting values.

    **Returns:**

    A root as that of Newton's method. Its equations are always regular.
    """
    limits = jnp.finfo(guess.dtype)

    def evaluated(now: _Iterate, x) -> _Iterate:
        new, scale, aux = function(x)
        unit = limits.eps * (jnp.abs(x) + scale) + limits.tiny
        size = jnp.max(jnp.abs(new - x) / unit)
        miss = jnp.max(jnp.abs(new - x))
        rate = jnp.where(jnp.isfinite(now.miss), miss / now.miss, jnp.inf)
        stalled = (size <= FLOOR) & (rate > STALLED)
        converged = ((size <= 1) | (rate * size <= 0.1) | stalled) & jnp.isfinite(size)
        return _Iterate(x, aux, new, size, miss, rate, converged, now.evaluations + 1)

    def going_on(now: _Iterate, slow: float):
        lost = (now.evaluations > 2) & ~(now.rate < slow)
        return ~now.converged & ~lost & (now.evaluations < MOST)

    def corrected(now: _Iterate) -> _Iterate:
        new, along = jax.linearize(lambda x: function(x)[0], now.x)
        operator = lx.FunctionLinearOperator(
            lambda x: x - along(x), jax.ShapeDtypeStruct(new.shape, new.dtype)
        )
        method = lx.GMRES(rtol=CLOSE, atol=0.0, restart=DIRECTIONS, max_steps=10 * DIRECTIONS)
        step = lx.linear_solve(operator, new - now.x, method, throw=False).value

        def worse(tried):
            part, there = tried
            return ~(there.miss < now.miss) & ~there.converged & (part > LEAST)

        def halved(tried):
            part, _ = tried
            return part / 2, evaluated(now, now.x + part / 2 * step)

        whole = jnp.ones((), now.x.dtype), evaluated(now, now.x + step)
        return lax.while_loop(worse, halved, whole)[1]

    *_, aux = jax.eval_shape(function, guess)
    aux = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), aux)
    inf = jnp.full((), jnp.inf, guess.dtype)
    start = _Iterate(guess, aux, guess, inf, inf, inf, jnp.array(False), jnp.array(0))
    now = lax.while_loop(
        lambda now: (
            going_on(now, SLOW) | (~now.converged & (now.size <= FLOOR) & going_on(now, 1.0))
        ),
        lambda now: evaluated(now, now.next),
        start,
    )
    # From where that ended, if it came nearer, or from the guess.
    nearer = jnp.isfinite(now.miss) & (now.rate < 1)
    there = evaluated(start, jnp.where(nearer, now.x, guess))
    there = there._replace(converged=now.converged | there.converged)
    better = lax.while_loop(lambda now: going_on(now, 1.0), corrected, there)
    now = jax.tree.map(lambda old, new: jnp.where(now.converged, old, new), now, better)
    return Root(now.x, now.aux, now.converged, jnp.array(True))


def tangent_by_gmres(linear: Callable, right: tuple, inertia: Array) -> tuple:
    """Solves the linear equations m v − h Σ a F = r, F − F'(v) = s for (v, F) without a matrix: F is
    eliminated, and GMRES does the rest."""
    r, s = right
    nothing = jnp.zeros_like(r)

    def forces_along(v):
        return -linear((v, nothing))[1]

    def operator(v):
        return linear((v, forces_along(v)))[0] / inertia

    v = gmres(operator, (r - linear((nothing, s))[0]) / inertia)
    return v, s + forces_along(v)


def gmres(operator: Callable, right: Array) -> Array:
    """The solution of a linear system near to the identity, by GMRES."""
    tolerance = float(ROUNDINGS * jnp.finfo(right.dtype).eps)
    method = lx.GMRES(rtol=tolerance, atol=float(jnp.finfo(right.dtype).tiny))
    structure = jax.ShapeDtypeStruct(right.shape, right.dtype)
    made = lx.FunctionLinearOperator(operator, structure)
    return lx.linear_solve(made, right, method, throw=False).value
