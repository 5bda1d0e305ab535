"""What every Lagrangian gives to the rest of the library: six functions, each with a rule that holds
for any function of (q, v), by automatic differentiation.

Those rules are the referee. A type with a faster one registers it, `function.register`, and then no
part of the library asks what type it is. All rules of a type stand in one file of this folder, and
`noetherax.testing.check_rules` holds them against the referee, which differentiates the same
Lagrangian as a plain function.

A type that is more than its value (a Lagrangian with a force beside it) registers all but
`terms_and_change`, and how it is converted, `closure_converted`: else it would be taken for its value.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._precision import PRECISION, full_precision
from .._types import Configuration, FloatArray, Velocity, check_motion, check_state
from ._batches import over_batch
from ._closed import closure_converted
from ._inertia import constant_inertia, divides
from ._matrix_free import masses_for_many, solve_without_matrix


class EulerLagrangeTerms(NamedTuple):
    """The equations of motion as a linear system for the acceleration, `mass_matrix @ a = force`.

    With the n = points × space components of the state flattened:

    - `mass_matrix`: ∂²L/∂v∂v, shape `(..., n, n)`, symmetric.
    - `force`: ∂L/∂q − (∂²L/∂v∂q) v, shape `(..., n)`.

    !!! example

        What a rule for a type of your own returns, here of a particle of mass 2 on a spring:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Spring(nx.Lagrangian):
            stiffness: jax.Array

            def __call__(self, q, v):
                return jnp.sum(v**2) - self.stiffness * jnp.sum(q**2) / 2


        @nx.euler_lagrange_terms.register
        def _(lagrangian: Spring, q, v):
            force = -lagrangian.stiffness * q.reshape(*q.shape[:-2], -1)
            matrix = 2 * jnp.eye(force.shape[-1])
            return nx.EulerLagrangeTerms(
                jnp.broadcast_to(matrix, (*force.shape, force.shape[-1])), force
            )


        q, v = jnp.array([[3.0]]), jnp.array([[1.0]])
        assert jnp.allclose(nx.acceleration(Spring(jnp.array(4.0)), q, v), -6.0)
        ```
    """

    mass_matrix: Float[Array, "*batch n n"]
    force: Float[Array, "*batch n"]


@singledispatch
def euler_lagrange_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """Terms of the Euler–Lagrange equations d/dt ∂L/∂v = ∂L/∂q,

        (∂²L/∂v²) a = ∂L/∂q − (∂²L/∂v∂q) v.

    (Müller 2023, Eq. 9, prints ∂L/∂v for the first term on the right, a misprint.)

    Any callable of (q, v) is differentiated automatically. Types with a faster rule register it,
    `euler_lagrange_terms.register(MyLagrangian)`; [`noetherax.NeuralLagrangian`][] has a closed one.

    !!! example

        A free particle in polar coordinates, m = 1: r̈ = r φ̇² and r² φ̈ = −2 r ṙ φ̇.

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def polar(q, v):
            (r, _), (r_dot, phi_dot) = q[0], v[0]
            return (r_dot**2 + (r * phi_dot) ** 2) / 2


        q, v = jnp.array([[2.0, 0.0]]), jnp.array([[1.0, 3.0]])
        terms = nx.euler_lagrange_terms(polar, q, v)
        assert terms.mass_matrix.tolist() == [[1.0, 0.0], [0.0, 4.0]]
        assert terms.force.tolist() == [18.0, -12.0]
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(..., points, space)`. This function, unlike the
        others, takes leading batch axes, since that is where the time of training goes.

    **Returns:**

    A named tuple `(mass_matrix, force)`, [`noetherax.EulerLagrangeTerms`][].

    **Raises:**

    `ValueError` or `TypeError` if `q` and `v` are not arrays of one such shape.
    """
    check_state(q, v, batched=True)
    return over_batch(lambda q, v: _terms(lagrangian, q, v), q)(q, v)


@singledispatch
def euler_lagrange_residual(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
    a: Float[FloatArray, "*batch points space"],
) -> Float[Array, "*batch n"]:
    """The Euler–Lagrange expression of a motion that is at q with velocity v and acceleration a,

        d/dt ∂L/∂v − ∂L/∂q = (∂²L/∂v²) a + (∂²L/∂v∂q) v − ∂L/∂q,

    zero where the motion is one of L. It takes one derivative of ∂L/∂v, along (v, a), where
    [`noetherax.euler_lagrange_terms`][] takes one for every coordinate.

    A type with rules for these terms and none for this function goes by the terms.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q, v = jnp.array([[0.7]]), jnp.array([[1.0]])
        assert nx.euler_lagrange_residual(spring, q, v, -q) == 0  # a motion of it
        assert nx.euler_lagrange_residual(spring, q, v, 0 * q) == q[0]  # held by a force
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`, `a`: configuration, velocity and acceleration, shape `(..., points, space)`.

    **Returns:**

    An array of shape `(..., points·space)`.

    **Raises:**

    `ValueError` or `TypeError` if `q`, `v` and `a` are not arrays of one such shape.
    """
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))
    if has_rule(euler_lagrange_terms, type(lagrangian)):
        mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
        a = a.reshape(force.shape)
        return jnp.einsum("...ij,...j->...i", mass_matrix, a, precision=PRECISION) - force
    return over_batch(lambda *motion: _residual(lagrangian, *motion), q)(q, v, a)


@singledispatch
def lagrangian_gradient(
    lagrangian: Callable, q: Configuration, v: Velocity
) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
    """The generalised force and the momentum, (∂L/∂q, ∂L/∂v).

    What solvers that move (q, p) evaluate at every step. An implicit one also takes their Jacobian, by
    forward mode: a rule is worth having if its own derivatives are cheap.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return 3 * jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        q, v = jnp.array([[jnp.pi / 2]]), jnp.array([[2.0]])
        force, p = nx.dynamics.lagrangian_gradient(pendulum, q, v)
        assert jnp.allclose(force, -1.0) and jnp.allclose(p, 6.0)
        ```

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`, `v`: configuration and velocity, shape `(points, space)`.

    **Returns:**

    Two arrays of that shape.
    """
    with full_precision():
        return jax.grad(lagrangian, argnums=(0, 1))(q, v)


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


RULES: tuple[Any, ...] = (
    euler_lagrange_terms,
    euler_lagrange_residual,
    terms_and_change,
    solve_motion,
    lagrangian_gradient,
    constant_inertia,
)
"""The functions above, and `constant_inertia` of `_inertia.py`, for which types register rules."""


def has_rule(function: Any, kind: type) -> bool:
    """Whether a type or one that it inherits from has registered a rule of its own."""
    return function.dispatch(kind) is not function.dispatch(object)


def pass_on(kind: type, inside: Callable, *functions: Any) -> None:
    """Registers for a type that holds another model, `inside(model)`, the rules of that model."""

    def rule(function):
        return lambda model, *arguments: function(inside(model), *arguments)

    for function in functions:
        function.register(kind, rule(function))


def autodiff_terms(
    lagrangian: Callable,
    q: Float[FloatArray, "*batch points space"],
    v: Float[FloatArray, "*batch points space"],
) -> EulerLagrangeTerms:
    """[`noetherax.euler_lagrange_terms`][] by automatic differentiation, whatever the type."""
    return euler_lagrange_terms.dispatch(object)(lagrangian, q, v)


def differentiated_residual(system, tangents, a):
    """∂R/∂w dw by differentiating [`noetherax.euler_lagrange_residual`][]."""

    def residual(lagrangian, q, v):
        # In the wider precision, if those of the weights and of the state differ.
        return euler_lagrange_residual(lagrangian, q.astype(a.dtype), v.astype(a.dtype), a)

    return eqx.filter_jvp(residual, system, tangents)[1]


@full_precision()
def _terms(lagrangian, q, v):
    q, v = jnp.asarray(q), jnp.asarray(v)
    size = v.size
    momentum = jax.grad(lagrangian, argnums=1)
    mass_matrix = jax.jacfwd(momentum, argnums=1)(q, v).reshape(size, size)
    _, transport = jax.jvp(lambda q: momentum(q, v), (q,), (v,))
    force = jax.grad(lagrangian, argnums=0)(q, v) - transport
    return EulerLagrangeTerms(mass_matrix, force.reshape(size))


@full_precision()
def _residual(lagrangian, q, v, a):
    slope, momentum = (jax.grad(lagrangian, argnums=index) for index in (0, 1))
    _, rate = jax.jvp(momentum, (q, v), (v, a))
    return (rate - slope(q, v)).reshape(-1)


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
