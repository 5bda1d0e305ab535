from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float

from .._types import Configuration, FloatArray, Velocity, check_state
from ._motion import solve_motion
from ._terms import EulerLagrangeTerms

SINGULAR = (
    "The mass matrix ∂²L/∂v² is singular to working precision, so that this Lagrangian does not "
    "determine the acceleration. A Lagrangian must depend on every velocity with curvature (v·v, "
    "not |v| or q·v alone), and on every feature that its group leaves. "
    "`noetherax.euler_lagrange_terms(lagrangian, q, v).mass_matrix` shows the matrix."
)


def momentum(lagrangian: Callable, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
    """Canonical momentum p = ∂L/∂v.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.

    **Returns:**

    The momentum, shape `(points, space)`.
    """
    check_state(q, v)
    return jax.grad(lagrangian, argnums=1)(jnp.asarray(q), jnp.asarray(v))


def energy(lagrangian: Callable, q: Configuration, v: Velocity) -> Float[Array, ""]:
    """Energy E = v · ∂L/∂v − L, constant along solutions of every Lagrangian without explicit time.

    **Arguments:** as [`noetherax.momentum`][].

    **Returns:**

    A scalar.
    """
    check_state(q, v)
    q, v = jnp.asarray(q), jnp.asarray(v)
    value, slope = jax.value_and_grad(lagrangian, argnums=1)(q, v)
    return jnp.sum(v * slope) - value


def acceleration(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    *,
    linear_solver: lx.AbstractLinearSolver = lx.LU(),
    throw: bool = True,
) -> Float[Array, "*batch points space"]:
    """The acceleration a that the Euler–Lagrange equations give,

        (∂²L/∂v²) a = ∂L/∂q − (∂²L/∂v∂q) v.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`.
    - `linear_solver`: any Lineax solver for the symmetric, in general indefinite ∂²L/∂v², where there
        is a system to solve. `lineax.AutoLinearSolver(well_posed=False)` gives a least-squares answer
        where it is singular; derivatives of the acceleration hold where it is regular.
    - `throw`: raise if ∂²L/∂v² is singular to working precision; otherwise such entries are NaN.

    **Returns:**

    The acceleration, same shape as `v`.

    **Raises:**

    `RuntimeError` (through `equinox.error_if`, so also under `jax.jit`) if ∂²L/∂v² is singular: then
    L does not determine the motion.
    """

    def solve(terms):
        a, resolved = solve_terms(terms, linear_solver)
        return a, resolved & is_regular(terms.mass_matrix)

    solution, regular = solve_motion(lagrangian, q, v, solve)
    if throw:
        solution = eqx.error_if(solution, ~regular, SINGULAR)
    else:
        solution = jnp.where(regular[..., None], solution, jnp.nan)
    return solution.reshape(v.shape)


def is_regular(mass_matrix: Float[Array, "*batch n n"]) -> Bool[Array, "*batch"]:
    """Whether ∂²L/∂v² has an inverse to working precision, whatever the units of its rows.

    **Arguments:**

    - `mass_matrix`: from [`noetherax.euler_lagrange_terms`][].

    **Returns:**

    True where the smallest singular value of the equilibrated matrix is above rounding.
    """
    balanced, _ = _equilibrate(mass_matrix)
    values = jnp.linalg.svd(balanced, compute_uv=False)
    bound = mass_matrix.shape[-1] * jnp.finfo(mass_matrix.dtype).eps
    return values[..., -1] > bound * values[..., 0]


def _equilibrate(mass_matrix):
    """M / (d dᵀ) with entries of order one, and d: light and heavy coordinates side by side are no
    sign of a singular matrix."""
    unit = jnp.sqrt(jnp.max(jnp.abs(mass_matrix), axis=-1))
    unit = jnp.where((unit > 0) & jnp.isfinite(unit), unit, 1)
    return mass_matrix / unit[..., :, None] / unit[..., None, :], unit


def solve_terms(
    terms: EulerLagrangeTerms, linear_solver: lx.AbstractLinearSolver = lx.LU()
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch"]]:
    """Solves `mass_matrix @ a = force`; also tells whether the solution has a correct digit.

    Lineax reports pivots that vanish exactly. Rounding usually leaves a tiny pivot instead; then the
    solution is larger than the force by 1/ε relative to the matrix. This costs next to nothing, and so
    is what every step of a rollout checks; [`is_regular`][noetherax.dynamics.is_regular] also sees a
    singular matrix whose force happens to lie in its range.
    """

    def solve(mass_matrix, force):
        operator = lx.MatrixLinearOperator(mass_matrix, lx.symmetric_tag)
        solution = lx.linear_solve(operator, force, linear_solver, throw=False)
        a = solution.value
        epsilon = jnp.finfo(force.dtype).eps
        balanced, unit = _equilibrate(mass_matrix)
        size = jnp.linalg.norm(balanced) * jnp.linalg.norm(unit * a)
        resolved = epsilon * size <= jnp.linalg.norm(force / unit)
        solved = solution.result == lx.RESULTS.successful
        return a, solved & resolved & jnp.all(jnp.isfinite(a))

    for _ in range(terms.force.ndim - 1):
        solve = jax.vmap(solve)
    return solve(terms.mass_matrix, terms.force)
