"""The acceleration as the root of the equations of motion, and its derivative."""

from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import FloatArray
from ._residual import euler_lagrange_residual
from ._terms import EulerLagrangeTerms, euler_lagrange_terms


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
    return _solution(lagrangian, q, v, solve)


@eqx.filter_custom_jvp
def _solution(lagrangian, q, v, solve):
    return solve(euler_lagrange_terms(lagrangian, q, v))


@_solution.def_jvp
def _(primals, tangents):
    *system, solve = primals
    # Written out again, for derivatives of any order; compilers do not compute it twice.
    solution = _solution(*system, solve)
    a = solution[0].reshape(system[2].shape)

    def residual(lagrangian, q, v):
        # In the wider precision, if those of the weights and of the state differ.
        return euler_lagrange_residual(lagrangian, q.astype(a.dtype), v.astype(a.dtype), a)

    _, change = eqx.filter_jvp(residual, tuple(system), tuple(tangents[:-1]))
    mass_matrix, force = euler_lagrange_terms(*system)
    change = jnp.zeros_like(force) if change is None else change  # of a constant L
    _, rate = jax.jvp(
        lambda force: solve(EulerLagrangeTerms(mass_matrix, force))[0], (force,), (-change,)
    )
    return solution, (rate, None)
