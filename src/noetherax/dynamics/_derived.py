from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float

from .._programs import at_once, one_program
from .._types import Configuration, FloatArray, Time, Velocity, check_state
from ._equations import EulerLagrangeTerms, euler_lagrange_residual
from ._matrix_free import masses_for_many, told_unsolved
from ._motion import solve_motion
from ._time import at_time

SINGULAR = (
    "The mass matrix ∂²L/∂v² is singular to working precision, so that this Lagrangian does not "
    "determine the acceleration. A Lagrangian must depend on every velocity with curvature (v·v, "
    "not |v| or q·v alone), and on every feature that its group leaves. "
    "`noetherax.euler_lagrange_terms(lagrangian, q, v).mass_matrix` shows the matrix."
)


NOT_FINITE = (
    "The derivatives of the Lagrangian are not finite there, so that it determines no acceleration. "
    "Look for a state inside a singularity (two points in one place), a norm or a square root at zero, "
    "or parameters that are NaN: `noetherax.euler_lagrange_terms(lagrangian, q, v)` shows them."
)

ROUNDS = 10
"""Of equilibration. Each takes the square root of what the entries differ by: 1e300 becomes 2."""


@singledispatch
def momentum(
    lagrangian: Callable, q: Configuration, v: Velocity, t: Time | None = None
) -> Float[Array, "points space"]:
    """Canonical momentum p = ∂L/∂v.

    !!! example

        Of a relativistic particle with mass and speed of light one, γ v:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def relativistic(q, v):
            return -jnp.sqrt(1 - jnp.sum(v**2))


        q, v = jnp.zeros((1, 3)), jnp.array([[0.6, 0.0, 0.0]])
        p = nx.momentum(relativistic, q, v)
        assert jnp.allclose(p, jnp.array([[0.75, 0.0, 0.0]]))
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or not.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.
    - `t`: time, if the Lagrangian depends on it.

    **Returns:**

    The momentum, shape `(points, space)`.

    **Raises:**

    `ValueError` or `TypeError` if `q` and `v` are not arrays of one such shape, or a time is needed and
    not given.
    """
    check_state(q, v)
    return at_once(_momentum, at_time(lagrangian, t), jnp.asarray(q), jnp.asarray(v))


def _momentum(lagrangian, q, v):
    return jax.grad(lagrangian, argnums=1)(q, v)


@singledispatch
def energy(
    lagrangian: Callable, q: Configuration, v: Velocity, t: Time | None = None
) -> Float[Array, ""]:
    """Energy E = v · ∂L/∂v − L, constant along solutions of every Lagrangian without explicit time, on
    which no force works: dE/dt = Q · v − ∂L/∂t.

    !!! example

        Of a relativistic particle with mass and speed of light one, γ:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def relativistic(q, v):
            return -jnp.sqrt(1 - jnp.sum(v**2))


        q, v = jnp.zeros((1, 3)), jnp.array([[0.6, 0.0, 0.0]])
        assert jnp.allclose(nx.energy(relativistic, q, v), 1.25)
        ```

    **Arguments:** as [`noetherax.momentum`][].

    **Returns:**

    A scalar.

    **Raises:** as there.
    """
    check_state(q, v)
    return at_once(_energy, at_time(lagrangian, t), jnp.asarray(q), jnp.asarray(v))


def _energy(lagrangian, q, v):
    value, slope = jax.value_and_grad(lagrangian, argnums=1)(q, v)
    return jnp.sum(v * slope) - value


def acceleration(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    t: Time | Float[FloatArray, "*times"] | None = None,
    u: Float[FloatArray, "*inputs"] | None = None,
    *,
    linear_solver: lx.AbstractLinearSolver = lx.LU(),
    throw: bool = True,
) -> Float[Array, "*batch points space"]:
    """The acceleration a that the Euler–Lagrange equations give,

        (∂²L/∂v²) a = ∂L/∂q − (∂²L/∂v∂q) v − ∂²L/∂v∂t + Q.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        q = jnp.linspace(-1.0, 1.0, 5).reshape(5, 1, 1)  # five states at once
        a = nx.acceleration(pendulum, q, jnp.zeros_like(q))
        assert jnp.allclose(a, -jnp.sin(q))
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or not.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`.
    - `t`: time, one for all states or one for each, where the model depends on it.
    - `u`: inputs likewise, shape `(..., inputs)`, for forces that take them.
    - `linear_solver`: any Lineax solver for the symmetric, in general indefinite ∂²L/∂v², where there
        is a system to solve. One that does not assume full rank, such as `lineax.SVD()` or
        `lineax.AutoLinearSolver(well_posed=False)`, gives the least-squares answer where ∂²L/∂v² is
        singular; derivatives of the acceleration hold where it is regular.
    - `throw`: raise where there is no acceleration; otherwise such entries are NaN.

    **Returns:**

    The acceleration, same shape as `v`.

    **Raises:**

    `RuntimeError` (through `equinox.error_if`, so also under `jax.jit`) if ∂²L/∂v² is singular to
    working precision, since then L does not determine the motion, or if it or the force is not finite.
    """

    model, many = at_time(lagrangian, t, u), jnp.ndim(q) > 2
    return at_once(_acceleration, model, q, v, linear_solver, throw, traceable=many)


def _acceleration(lagrangian, q, v, linear_solver, throw):
    asked = []

    def solve(terms):
        asked.append(True)
        a, determined = solve_terms(terms, linear_solver)
        if linear_solver.assume_full_rank():
            determined = determined & is_regular(terms.mass_matrix)
        if throw:
            # Here, where the terms are known, the cause is, too.
            finite = is_finite(terms)
            a = eqx.error_if(a, ~finite, NOT_FINITE)
            a = eqx.error_if(a, ~determined & finite, SINGULAR)
        return a, determined

    solution, determined = solve_motion(lagrangian, q, v, solve)
    if throw and not asked:  # types with a rule of their own leave `solve` aside
        # The residual has all entries of the terms in it, and needs no room for a matrix.
        def residual(a):
            return euler_lagrange_residual(lagrangian, q, v, a)

        ones = jnp.ones(jnp.shape(v), solution.dtype)
        finite = jnp.all(jnp.isfinite(residual(ones)), axis=-1)
        solution = eqx.error_if(solution, ~determined & ~finite, NOT_FINITE)
        masses = masses_for_many(lagrangian, q)
        if masses is None:
            solution = eqx.error_if(solution, ~determined, SINGULAR)
        else:
            solution = told_unsolved(solution, determined, residual, masses)
    elif not throw:
        solution = jnp.where(determined[..., None], solution, jnp.nan)
    return solution.reshape(v.shape)


def is_finite(terms: EulerLagrangeTerms) -> Bool[Array, "*batch"]:
    """Whether the equations of motion are finite.

    **Arguments:**

    - `terms`: from [`noetherax.euler_lagrange_terms`][].

    **Returns:**

    True where all their entries are.
    """
    mass_matrix, force = (jnp.isfinite(x) for x in terms)
    return jnp.all(mass_matrix, axis=(-2, -1)) & jnp.all(force, axis=-1)


@one_program
def is_regular(mass_matrix: Float[Array, "*batch n n"]) -> Bool[Array, "*batch"]:
    """Whether ∂²L/∂v² has an inverse to working precision, whatever the units of its rows.

    **Arguments:**

    - `mass_matrix`: from [`noetherax.euler_lagrange_terms`][].

    **Returns:**

    True where the smallest singular value of the equilibrated matrix is above rounding.
    """
    balanced, _ = equilibrate(mass_matrix)
    values = jnp.linalg.svd(balanced, compute_uv=False)
    bound = mass_matrix.shape[-1] * jnp.finfo(mass_matrix.dtype).eps
    return values[..., -1] > bound * values[..., 0]


@one_program
def equilibrate(
    mass_matrix: Float[Array, "*batch n n"],
) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch n"]]:
    """M / (d dᵀ), whose rows have a largest entry of one, and d: coordinates in unlike units, or light
    and heavy ones, are no sign of a singular matrix, however they are coupled."""
    balanced, units = mass_matrix, jnp.ones_like(mass_matrix[..., 0])
    for _ in range(ROUNDS):
        unit = jnp.sqrt(jnp.max(jnp.abs(balanced), axis=-1))
        unit = jnp.where((unit > 0) & jnp.isfinite(unit), unit, 1)
        balanced = balanced / unit[..., :, None] / unit[..., None, :]
        units = units * unit
    return balanced, units


def solve_terms(
    terms: EulerLagrangeTerms, linear_solver: lx.AbstractLinearSolver = lx.LU()
) -> tuple[Float[Array, "*batch n"], Bool[Array, "*batch"]]:
    """Solves `mass_matrix @ a = force`; also tells whether the solution has a correct digit.

    Lineax reports pivots that vanish exactly. Rounding usually leaves a tiny pivot instead; then the
    solution is larger than the force by 1/ε relative to the matrix. Both are compared along the
    solution, |a|ᵀ|M||a| with |a|ᵀ|F|, where units of coordinates cancel. This costs next to nothing,
    and so is what every step of a rollout checks; [`is_regular`][noetherax.dynamics.is_regular] also
    sees a singular matrix whose force happens to lie in its range.

    Solvers that do not assume full rank answer by least squares, so that any finite solution will do.
    """

    def solve(mass_matrix, force):
        a, successful = _by_lineax(mass_matrix, force, linear_solver)
        solved = successful & jnp.all(jnp.isfinite(a))
        if linear_solver.assume_full_rank():
            size = jnp.abs(a)
            epsilon = jnp.finfo(force.dtype).eps
            rounding = epsilon * jnp.sum(size * (jnp.abs(mass_matrix) @ size))
            solved = solved & (rounding <= jnp.sum(size * jnp.abs(force)))
        return a, solved

    for _ in range(terms.force.ndim - 1):
        solve = jax.vmap(solve)
    return solve(terms.mass_matrix, terms.force)


def _check_mesh(array: Array) -> None:
    """Linear solves have no types that name the devices, as those of `jax.make_mesh` do, and of
    `jax.pmap`."""
    mesh = jax.typeof(array).sharding.mesh
    kinds = {kind.name for kind in getattr(mesh, "axis_types", None) or ()} - {"Auto"}
    if kinds:
        raise ValueError(
            f"States lie on a mesh of devices with axes of type {', '.join(sorted(kinds))}, on which "
            "linear systems are not solved. Make the mesh with axes that the compiler distributes by, "
            "jax.make_mesh(shape, names, axis_types=(jax.sharding.AxisType.Auto,) * len(names)), and "
            "take jax.jit(jax.vmap(...)) instead of jax.pmap or jax.shard_map."
        )


def _by_lineax(matrix, right, linear_solver):
    """The solution and whether Lineax calls it successful; where not, NaN, with derivatives of zero.
    Lineax's own derivative raises there, so that one such member of a batch would end all."""
    _check_mesh(matrix)
    operator = lx.MatrixLinearOperator(jax.lax.stop_gradient(matrix), lx.symmetric_tag)
    factors = linear_solver.init(operator, {})

    def solve(_, right):
        solution = lx.linear_solve(operator, right[:-1], linear_solver, state=factors, throw=False)
        successful = solution.result == lx.RESULTS.successful
        return jnp.append(jnp.where(successful, solution.value, 0), successful.astype(right.dtype))

    # Whether it was successful is one more unknown. JAX has auxiliary results for that, but batches
    # them also where only tangents are batched, and `jax.jacfwd` then fails.
    solution = jax.lax.custom_linear_solve(
        lambda x: jnp.append(matrix @ x[:-1], x[-1]), jnp.append(right, 0), solve, symmetric=True
    )
    solution, successful = solution[:-1], jax.lax.stop_gradient(solution[-1]) > 0
    return jnp.where(successful, solution, jnp.nan), successful
