"""Newton's method to rounding, for the few unknowns of one step, and its implicit derivative.

Simplified and damped after Deuflhard (2011, section 2.1): the Jacobian is kept while the corrections
shrink at least threefold, and a correction that does not shrink with the Jacobian of its own place is
halved. The tolerance is the method's own: it stops where rounding does, since what an equation misses
is what a charge loses.

Optimistix' Newton costs the same per step (`benchmarks/solvers.py`), but needs a tolerance above
rounding: asked for less, it calls corrections that no longer shrink a divergence, and fails steps that
are solved. So this one is written out.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

SLOW = 0.3
"""Contraction above which the Jacobian is computed afresh."""

FLOOR = 1e3
"""A correction below this many roundings that no longer shrinks is rounding itself. More than one,
because the equations are sums of larger terms, in a network of many. With a fresh Jacobian the bound is
half of all digits: from there Newton's method reaches rounding at once if anything can."""

MOST = 50
"""Evaluations of the equations before giving up."""


class Root(NamedTuple):
    """What Newton's method found.

    - `x`: the unknowns; `aux`: what the function returned there beside its value.
    - `converged`: whether x is a root to rounding.
    - `regular`: whether the last Jacobian had an inverse to working precision.
    """

    x: Float[Array, " n"]
    aux: Any
    converged: Bool[Array, ""]
    regular: Bool[Array, ""]


class _Iterate(NamedTuple):
    x: Array
    aux: Any
    step: Array  # the pending correction, in full or halved
    full: Array  # in full
    rate: Array  # by which it shrank last
    converged: Array
    slow: Array
    fresh: Array  # whether the Jacobian is that at x
    evaluations: Array


def newton(function: Callable, guess: Float[Array, " n"], fallback: Float[Array, " n"]) -> Root:
    """Solves `function(x)[0] = 0` near `guess`.

    **Arguments:**

    - `function`: x → (value, scale, aux), with the equations, shape `(n,)`, the sizes of the terms that
        each of them adds up, shape `(n,)`, at least |value|, and anything to hand back.
    - `guess`: starting values.
    - `fallback`: those to take instead if the equations are not finite or singular at `guess`, which
        may be extrapolated beyond where they are defined.
    """
    epsilon, tiny = jnp.finfo(guess.dtype).eps, jnp.finfo(guess.dtype).tiny

    def with_copy(x):
        value, scale, aux = function(x)
        return value, (value, scale, aux)

    def linearise(carry):
        x, evaluations = carry[0].x, carry[0].evaluations
        jacobian, (value, scale, aux) = jax.jacfwd(with_copy, has_aux=True)(x)
        inverse = jnp.linalg.inv(jacobian)
        spread = jnp.abs(inverse)
        regular = _condition(jnp.abs(jacobian), spread) * len(x) * epsilon < 1

        def unit_at(x, scale):
            # What rounding makes of x. Taken anew at every x: where a motion starts from rest, x and
            # the terms of its equations are zero at the guess, and are not at the root.
            return epsilon * (jnp.abs(x) + _times(spread, scale)) + tiny

        def correct(now: _Iterate) -> _Iterate:
            x = now.x - now.step
            value, scale, aux = function(x)
            step, unit = _times(inverse, value), unit_at(x, scale)
            before, size = (jnp.max(jnp.abs(full) / unit) for full in (now.full, step))
            rate = size / before
            floor = jnp.where(now.fresh, jnp.maximum(FLOOR, epsilon**-0.5), FLOOR)
            stalled = (size <= floor) & (rate > SLOW)
            converged = (size <= 1) | (now.rate * before <= 0.1) | stalled
            converged = converged & jnp.isfinite(size)
            accepted = converged | (rate < 1)
            evaluations, no = now.evaluations + 1, jnp.array(False)
            moved = _Iterate(x, aux, step, step, rate, converged, rate > SLOW, no, evaluations)
            # Half the correction is the way on only if its direction is that of Newton's method at x.
            back = now._replace(step=now.step / 2, slow=~now.fresh, evaluations=evaluations)
            return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), moved, back)

        step = _times(inverse, value)
        size = jnp.max(jnp.abs(step) / unit_at(x, scale))
        finite, rate = jnp.isfinite(size), jnp.full_like(size, jnp.inf)
        start = _Iterate(
            x,
            aux,
            step,
            step,
            rate,
            size <= 1,
            ~(regular & finite),
            jnp.array(True),
            evaluations + 1,
        )
        now = lax.while_loop(lambda now: ~now.slow & going_on(now), correct, start)
        again = (evaluations == 0) & now.slow & ~(regular & finite)
        now = now._replace(x=jnp.where(again, fallback, now.x))
        return now, regular | again, finite | again

    def going_on(now: _Iterate):
        return ~now.converged & (now.evaluations < MOST)

    *_, aux = jax.eval_shape(function, guess)
    aux = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), aux)
    zero, false, true = jnp.zeros((), guess.dtype), jnp.array(False), jnp.array(True)
    start = _Iterate(guess, aux, guess, guess, zero, false, false, false, jnp.array(0))
    now, regular, _ = lax.while_loop(
        lambda carry: going_on(carry[0]) & carry[1] & carry[2], linearise, (start, true, true)
    )
    return Root(now.x, now.aux, now.converged & regular, regular)


def _condition(matrix, inverse):
    """Skeel's condition number ‖|A⁻¹||A|‖, given |A| and |A⁻¹|, in units of the unknowns in which it is
    nearly least; on the units of the equations it does not depend."""
    weights = _times(inverse, jnp.sum(matrix, axis=1))
    return jnp.max(_times(inverse, _times(matrix, weights)) / weights)


def _times(matrix, vector):
    """A product that XLA makes one loop with what is around it: unknowns are few."""
    return jnp.sum(matrix * vector, axis=1)


def implicit(
    equations: Callable, solve: Callable, guess: Any, solve_tangent: Callable | None = None
) -> tuple[Any, Bool[Array, " flags"]]:
    """A root with the derivatives of the implicit function theorem, forward and reverse.

    **Arguments:**

    - `equations`: x → residual, of the same structure; differentiated in all that it closes over.
    - `solve`: guess → (root, flags), with a vector of booleans; not differentiated.
    - `guess`: starting values; the root does not depend on them.
    - `solve_tangent`: `(linear, right) -> solution` of a linear function of that structure; by its
        matrix if not given.
    """

    def tangent(linear, right):
        flat, unravel = ravel_pytree(right)
        matrix = jax.jacfwd(lambda x: ravel_pytree(linear(unravel(x)))[0])(flat)
        # After a failure there is no derivative, but a rejected step must not spoil accepted ones.
        usable = jnp.all(jnp.isfinite(matrix))
        matrix = jnp.where(usable, matrix, jnp.eye(len(flat), dtype=flat.dtype))
        return unravel(jnp.linalg.solve(matrix, flat))

    def primal(_, guess):
        root, flags = solve(guess)
        return root, flags.astype(
            dtype
        )  # JAX has tangents for them, too, and for booleans it fails

    guess = jax.tree.map(lax.stop_gradient, guess)
    dtype = jax.tree.leaves(guess)[0].dtype
    root, flags = lax.custom_root(equations, guess, primal, solve_tangent or tangent, has_aux=True)
    return root, flags > 0
