"""The acceleration that solves the equations of motion, and its derivative by the implicit function
theorem."""

from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._types import FloatArray
from ._closed import closure_converted
from ._equations import EulerLagrangeTerms, euler_lagrange_residual, euler_lagrange_terms
from ._inertia import constant_inertia, divides
from ._matrix_free import masses_for_many, solve_without_matrix


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

    Types that need no linear solve at every state leave `solve` aside: those whose
    [`constant_inertia`][noetherax.dynamics.constant_inertia] is known divide by it, those of many
    points whose [`leading_inertia`][noetherax.dynamics.leading_inertia] is known are solved for
    iteratively, and others register a rule.

    !!! example

        A type that knows its acceleration says so, and then no system is solved:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Spring(nx.Lagrangian):
            stiffness: jax.Array

            def __call__(self, q, v):
                return jnp.sum(v**2) - self.stiffness * jnp.sum(q**2) / 2


        @nx.dynamics.solve_motion.register
        def _(lagrangian: Spring, q, v, solve):
            a = -lagrangian.stiffness * q.reshape(*q.shape[:-2], -1) / 2
            return a, jnp.all(jnp.isfinite(a), axis=-1)


        q, v = jnp.array([[3.0]]), jnp.array([[1.0]])
        assert nx.acceleration(Spring(jnp.array(4.0)), q, v) == -6.0
        ```

    **Arguments:**

    - `lagrangian`, `q`, `v`: as for [`noetherax.euler_lagrange_terms`][].
    - `solve`: a function of these terms, `terms -> (a, determined)`.

    **Returns:**

    What `solve` returns, of shapes `(..., points·space)` and `(...)`.
    """
    inertia = constant_inertia(lagrangian, q)
    if divides(inertia):
        motionless = jnp.zeros(v.shape, v.dtype)
        force = -euler_lagrange_residual(lagrangian, q, v, motionless)
        masses = jnp.broadcast_to(jnp.asarray(inertia, force.dtype), v.shape)
        a = force / masses.reshape(force.shape)
        return a, jnp.all(jnp.isfinite(a), axis=-1)
    masses = masses_for_many(lagrangian, q)
    if masses is not None:
        return solve_without_matrix(lambda a: euler_lagrange_residual(lagrangian, q, v, a), masses)
    # A custom derivative does not see what a function closes over.
    return _solution(closure_converted(lagrangian, q, v), q, v, solve)


@singledispatch
def terms_and_change(lagrangian: Callable, q, v) -> tuple[EulerLagrangeTerms, Callable]:
    """The terms at a state, and how the residual there changes with L and with the state,
    `change_of_residual(a, tangents) -> (∂R/∂w) dw`: what the derivative of
    [`noetherax.dynamics.solve_motion`][] is made of.

    Types whose residual shares work with the terms register a rule.

    !!! example

        How the residual m a + k q of a spring changes when the position does, which is by k:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return 2 * jnp.sum(v**2) / 2 - 5 * jnp.sum(q**2) / 2


        q, v = jnp.array([[0.3]]), jnp.array([[1.0]])
        terms, change = nx.dynamics.terms_and_change(spring, q, v)
        assert jnp.allclose(terms.mass_matrix, 2.0)
        moved = None, jnp.ones_like(q), None  # of the Lagrangian, of q and of v
        assert jnp.allclose(change(q, moved), 5.0)
        ```

    **Arguments:**

    - `lagrangian`, `q`, `v`: as for [`noetherax.euler_lagrange_terms`][].

    **Returns:**

    The terms, and a function of an acceleration, shaped as `v`, and of the tangents of
    `(lagrangian, q, v)`, each a tree with `None` for all that does not change. It returns an array of
    shape `(..., points·space)`, or `None` for no change.
    """

    def change_of_residual(a, tangents):
        return differentiated_residual((lagrangian, q, v), tangents, a)

    return euler_lagrange_terms(lagrangian, q, v), change_of_residual


def differentiated_residual(system, tangents, a):
    """∂R/∂w dw by differentiating [`noetherax.euler_lagrange_residual`][]."""

    def residual(lagrangian, q, v):
        # In the wider precision, if those of the weights and of the state differ.
        return euler_lagrange_residual(lagrangian, q.astype(a.dtype), v.astype(a.dtype), a)

    return eqx.filter_jvp(residual, system, tangents)[1]


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
