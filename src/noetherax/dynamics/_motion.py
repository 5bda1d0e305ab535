"""The acceleration as the root of the equations of motion, and its derivative."""

import functools
import operator
from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import FloatArray, check_state
from ..lagrangians import AveragedLagrangian, LagrangianSum
from ._closed import closure_converted
from ._residual import averaged_residual, euler_lagrange_residual
from ._terms import EulerLagrangeTerms, averaged_terms, euler_lagrange_terms


@singledispatch
def solve_motion(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    solve: Callable[[EulerLagrangeTerms], tuple],
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch"]]:
    """The acceleration at a state, and whether the equations of motion determine it.

    The root a of R(w, a) = (∂²L/∂v²) a + (∂²L/∂v∂q) v − ∂L/∂q, w the weights and the state, has the
    derivative that the implicit function theorem gives,

        da = −(∂²L/∂v²)⁻¹ (∂R/∂w) dw.

    A gradient then passes through R alone, [`noetherax.euler_lagrange_residual`][], and not
    through every entry of the matrix: it costs as much whatever the number of coordinates.

    Types that need no linear solve at every state register a rule, and leave `solve` aside:
    [`noetherax.SeparableLagrangian`][] has one.

    **Arguments:**

    - `lagrangian`, `q`, `v`: as for [`noetherax.euler_lagrange_terms`][].
    - `solve`: a function of these terms, `terms -> (a, determined)`.

    **Returns:**

    What `solve` returns, of shapes `(..., points·space)` and `(...)`.
    """
    # A custom derivative does not see what a function closes over.
    return _solution(closure_converted(lagrangian, q, v), q, v, solve)


@eqx.filter_custom_jvp
def _solution(lagrangian, q, v, solve):
    return solve(euler_lagrange_terms(lagrangian, q, v))


@_solution.def_jvp
def _(primals, tangents):
    *system, solve = primals
    terms, change_of_residual = terms_and_change(*system)
    solution, solve_again = jax.linearize(
        lambda force: solve(EulerLagrangeTerms(terms.mass_matrix, force)), terms.force
    )
    rate = change_of_residual(solution[0].reshape(system[2].shape), tuple(tangents[:-1]))
    rate = jnp.zeros_like(terms.force) if rate is None else rate  # of a constant L
    return solution, (solve_again(-rate)[0], None)


@singledispatch
def terms_and_change(lagrangian: Callable, q, v) -> tuple[EulerLagrangeTerms, Callable]:
    """The terms at a state, and how the residual there changes with L and with the state,
    `change_of_residual(a, tangents) -> (∂R/∂w) dw`, the tangents those of `(lagrangian, q, v)` or
    `None`.

    Types whose residual shares work with the terms register a rule.
    """

    def change_of_residual(a, tangents):
        return differentiated_residual((lagrangian, q, v), tangents, a)

    return euler_lagrange_terms(lagrangian, q, v), change_of_residual


@terms_and_change.register
def _(lagrangian: LagrangianSum, q, v):
    terms, changes = zip(*(terms_and_change(term, q, v) for term in lagrangian.terms), strict=True)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        rates = [
            of_term(a, (tangent, *state))
            for of_term, tangent in zip(changes, moved.terms, strict=True)
        ]
        return _sum([rate for rate in rates if rate is not None])

    return jax.tree.map(lambda *parts: _sum(parts), *terms), change_of_residual


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
        return None if rate is None else averaged_residual(lagrangian, rate, a.shape[-2:])

    return averaged_terms(lagrangian, terms, q.shape[-2:]), change_of_residual


def differentiated_residual(system, tangents, a):
    """∂R/∂w dw by differentiating [`noetherax.euler_lagrange_residual`][]."""

    def residual(lagrangian, q, v):
        # In the wider precision, if those of the weights and of the state differ.
        return euler_lagrange_residual(lagrangian, q.astype(a.dtype), v.astype(a.dtype), a)

    return eqx.filter_jvp(residual, system, tangents)[1]


def _sum(parts):
    return functools.reduce(operator.add, parts) if parts else None
