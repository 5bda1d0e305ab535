"""Laws of functions of a state: invariant features, Lagrangians and charges.

They take any callables of (q, v), also ones that never heard of this package.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..charges import lift
from ..dynamics import euler_lagrange_residual, euler_lagrange_terms, solve_terms
from ..groups import component_representatives
from ._evidence import ROUNDING, SOLVED, require, require_finite


def invariance_law(function, group, q, v, coefficients) -> None:
    """f(h·q, h_* v) = f(q, v) for group elements h."""
    if not group.dimension:
        return
    moved = _act(group, coefficients, q, v)
    _unchanged("a group element", function, q, v, moved, coefficients=coefficients)


def component_law(function, group, q, v, coefficients) -> None:
    """f is unchanged by the group's further components, such as reflections."""
    for component in component_representatives(group).astype(q.dtype):
        moved = q @ component.T, v @ component.T
        _unchanged("a component of the group", function, q, v, moved, component=component)


def _unchanged(what: str, function, q, v, moved, **evidence) -> None:
    moved_q, moved_v = moved
    before, after = (np.asarray(_expansion(function, *x)[0]) for x in ((q, v), moved))
    slope_q, slope_v = _slopes(function, moved_q, moved_v)
    # Rounding of the transformed state, carried to the value.
    scale = 1.0 + np.abs(before) + np.abs(after)
    scale = scale + _size(slope_q) * np.linalg.norm(moved_q)
    scale = scale + _size(slope_v) * np.linalg.norm(moved_v)
    require(
        f"{what} leaves the value unchanged",
        after - before,
        scale,
        ROUNDING,
        state=(q, v),
        precision=q.dtype,
        index=("component",),
        **evidence,
    )


def lie_derivative_law(function, group, q, v, coefficients) -> None:
    """The derivative along every generator vanishes."""
    if not group.dimension:
        return
    slope_q, slope_v = _slopes(function, q, v)
    moved_q, moved_v = (np.asarray(x) for x in _lift(group.generators, q, v))
    slope_q, slope_v = (np.atleast_3d(x.reshape(-1, *q.shape)) for x in (slope_q, slope_v))
    change = np.einsum("mij,aij->am", slope_q, moved_q) + np.einsum("mij,aij->am", slope_v, moved_v)
    scale = 1.0 + np.multiply.outer(_norms(moved_q), _norms(slope_q))
    scale = scale + np.multiply.outer(_norms(moved_v), _norms(slope_v))
    require(
        "the Lie derivative along every generator vanishes",
        change,
        scale,
        ROUNDING,
        state=(q, v),
        precision=q.dtype,
        index=("generator", "component"),
        fields=moved_q,
    )


def regularity_law(function, group, q, v, coefficients) -> None:
    """First and second derivatives are finite, also at rest and at equal velocities."""
    at_rest = {
        "the drawn state": (q, v),
        "rest": (q, np.zeros_like(v)),
        "equal velocities": (q, np.broadcast_to(v[:1], v.shape).copy()),
    }
    _finite_derivatives(function, at_rest)


def smoothness_law(function, group, q, v, coefficients) -> None:
    """First and second derivatives are finite, also at the origin and where points coincide."""
    zero = np.zeros_like(q)
    coincidences = {
        "the origin": (zero, v),
        "rest at the origin": (zero, zero),
        "coinciding points": (np.broadcast_to(q[:1], q.shape).copy(), v),
    }
    _finite_derivatives(function, coincidences)


def _finite_derivatives(function, places: dict) -> None:
    for name, (q, v) in places.items():
        for order, derivative in enumerate(_expansion(function, q, v)):
            law = f"derivatives of order {order} are finite at {name}"
            require_finite(law, derivative, state=(q, v))


def completeness_law(function, group, points: int, dtype=np.float64) -> None:
    """At a generic state there are as many independent features as coordinates beyond the orbits."""
    q, v = np.random.default_rng(3).normal(size=(2, points, group.space)).astype(dtype)
    slope_q, slope_v = _slopes(function, q, v)
    jacobian = np.concatenate([slope_q.reshape(-1, q.size), slope_v.reshape(-1, v.size)], axis=1)
    orbit = np.concatenate(
        [np.asarray(x).reshape(-1, q.size) for x in _lift(group.generators, q, v)], axis=1
    )
    found, needed = _rank(jacobian), 2 * q.size - _rank(orbit)
    if found < needed:
        raise AssertionError(
            f"features are complete: {found} of {len(jacobian)} are independent, but {needed} are "
            f"needed ({2 * q.size} coordinates of the state minus orbits of dimension "
            f"{2 * q.size - needed})"
        )


def terms_law(lagrangian, group, q, v, coefficients) -> None:
    """The Euler–Lagrange terms of a type's own rule equal those of automatic differentiation."""
    own = _terms(lagrangian, q, v)
    mass_matrix, force = _autodiff_terms(lagrangian, q, v)
    for name, a, b in zip(own._fields, own, (mass_matrix, force), strict=True):
        # The force is a difference of terms of the size of ∂²L/∂v∂q v, which may cancel.
        scale = 1.0 + np.abs(b).max() + np.abs(mass_matrix).max()
        law = f"euler_lagrange_terms equals automatic differentiation: {name}"
        require(law, np.asarray(a) - b, scale, ROUNDING, state=(q, v), precision=q.dtype)


def residual_law(lagrangian, group, q, v, coefficients) -> None:
    """The Euler–Lagrange residual of a type's own rule equals that of automatic differentiation."""
    a = q - v  # any acceleration will do
    own = np.asarray(_residual(lagrangian, q, v, a))
    mass_matrix, force = _autodiff_terms(lagrangian, q, v)
    scale = 1.0 + np.abs(force).max() + np.abs(mass_matrix).max() * (1.0 + np.abs(a).sum())
    law = "euler_lagrange_residual equals automatic differentiation"
    difference = own - (mass_matrix @ a.reshape(-1) - force)
    require(law, difference, scale, ROUNDING, state=(q, v), precision=q.dtype)


def noether_law(lagrangian, group, q, v, coefficients) -> None:
    """The Noether charges of the group are constant along the equations of motion."""
    if group.dimension:
        conservation_law(group.noether_charge(lagrangian), lagrangian, q, v)


def conservation_law(charge, lagrangian, q, v, t=0.0) -> None:
    """dI/dt = 0 along the Lagrangian's own equations of motion."""
    a, regular = _solve(_terms(lagrangian, q, v))
    if not bool(regular):
        return  # ∂²L/∂v² is singular at this state, so that there is no motion to test.
    rate, scale = _rate(charge, q, v, a.reshape(v.shape), np.asarray(t, q.dtype))
    require(
        "the charge is constant along the equations of motion",
        rate,
        1.0 + np.asarray(scale),
        SOLVED,
        state=(q, v),
        precision=q.dtype,
        index=("charge",),
    )


FEATURE_LAWS = (
    regularity_law,
    smoothness_law,
    invariance_law,
    lie_derivative_law,
    component_law,
)
LAGRANGIAN_LAWS = (
    regularity_law,
    terms_law,
    residual_law,
    invariance_law,
    lie_derivative_law,
    component_law,
    noether_law,
)
CHARGE_LAWS = (conservation_law,)


@eqx.filter_jit
def _expansion(function, q, v):
    """Value, first and second derivatives in the state; one program for all the laws of a function."""

    def of_state(state):
        return function(state[0], state[1])

    state = jnp.stack([q, v])
    # Forward, so that tangents pass through the function: a cast to float32 shows in them.
    return of_state(state), jax.jacfwd(of_state)(state), jax.jacfwd(jax.jacrev(of_state))(state)


def _slopes(function, q, v):
    slope = np.asarray(_expansion(function, q, v)[1])
    return slope[..., 0, :, :], slope[..., 1, :, :]


def _autodiff_terms(lagrangian, q, v) -> tuple[np.ndarray, np.ndarray]:
    """∂²L/∂v² and ∂L/∂q − (∂²L/∂v∂q) v, of the derivatives that all laws share."""
    _, slope, second = (np.asarray(x) for x in _expansion(lagrangian, q, v))
    second = second.reshape(2, q.size, 2, q.size)
    return second[1, :, 1], slope[0].ravel() - second[1, :, 0] @ v.ravel()


@eqx.filter_jit
def _act(group, coefficients, q, v):
    return group.act(coefficients, q, v)


@eqx.filter_jit
def _lift(generators, q, v):
    return lift(generators, q, v)


@eqx.filter_jit
def _terms(lagrangian, q, v):
    return euler_lagrange_terms(lagrangian, q, v)


@eqx.filter_jit
def _residual(lagrangian, q, v, a):
    return euler_lagrange_residual(lagrangian, q, v, a)


_solve = eqx.filter_jit(solve_terms)


@eqx.filter_jit
def _rate(charge, q, v, a, t):
    """dI/dt along a motion, and what it is made of: ‖∂I/∂q‖‖v‖ + ‖∂I/∂v‖‖a‖ for each charge."""
    q, v = jnp.asarray(q), jnp.asarray(v)
    slope_q, slope_v, slope_t = jax.jacrev(charge, argnums=(0, 1, 2))(q, v, t)
    axes = (-2, -1)
    rate = slope_t + jnp.sum(slope_q * v, axes) + jnp.sum(slope_v * a, axes)
    scale = jnp.sqrt(jnp.sum(slope_q**2, axes)) * jnp.linalg.norm(v)
    return rate, scale + jnp.sqrt(jnp.sum(slope_v**2, axes)) * jnp.linalg.norm(a)


def _size(slope):
    return np.sqrt(np.sum(np.square(slope), axis=(-2, -1)))


def _norms(stack: np.ndarray) -> np.ndarray:
    return np.linalg.norm(stack.reshape(len(stack), -1), axis=1)


def _rank(matrix: np.ndarray) -> int:
    if not len(matrix):
        return 0
    epsilon = np.finfo(matrix.dtype).eps
    # Columns first, then rows, to unit size: lengths and rates may differ by orders of magnitude.
    for axis in (0, 1):
        size = np.linalg.norm(matrix, axis=axis, keepdims=True)
        small = size <= 100 * epsilon * size.max(initial=0.0)
        matrix = matrix / np.where(small, 1, size)
    return int(np.linalg.matrix_rank(matrix, tol=epsilon**0.5))
