"""Models with other last layers, found by least squares."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from ..dynamics import euler_lagrange_terms, leading_inertia
from ..features import linear_weights
from ..losses import at_instants, by_samples, holds_times
from ._checks import check_precision
from ._default_loss import relative_floor
from ._least_squares import Equations, near_the_identity, of_trace_one, plain, without_trace
from ._trainable import standardised_parts

LINEAR = 1e3
"""Largest departure of the equations of motion from linear in the last layers that is taken for
rounding, in units of the precision of the sum of all their terms: each is a sum over a hidden layer."""

COLUMNS = 16
"""Weights whose equations of motion are held at a time, or equations of every sample: a network has
hundreds, each with a matrix for every observation."""


class Candidates(NamedTuple):
    """Models with other last layers: the one given, those by least squares alone, and those with
    ∂²L/∂v² held near the identity besides."""

    given: PyTree
    plain: list[PyTree]
    definite: list[PyTree]


def candidates(lagrangian: PyTree, states: tuple, ridges: Sequence[float]) -> Candidates:
    """The model given, and those with last layers that least squares find."""
    nothing = Candidates(lagrangian, [], [])
    if not last_layers(lagrangian):
        return nothing
    check_precision(last_layers(lagrangian), states)
    weights, unravel = ravel_pytree(last_layers(lagrangian))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(states[0]), states[0][0].size))
    held = (*states, None, None)[:5]  # times and inputs, if there are none
    found = by_samples(_linear_parts, lagrangian, (*held, signs.astype(weights.dtype)))
    if not all(np.all(np.isfinite(part)) for part in found):
        return nothing  # its own motion leaves the range of numbers
    given = np.asarray(weights, float)
    epsilon = float(jnp.finfo(weights.dtype).eps)
    full, rest, columns = map(_together, found)
    if not _is_affine(full, rest, columns, given, epsilon):
        return nothing
    equations, norm = _equations(found, states[2], signs), float(np.linalg.norm(given))
    near: list[np.ndarray] = []
    if not np.any(equations.trace):  # the potential alone
        solved = [plain(equations, ridge) for ridge in ridges]
    elif not np.any(
        _together(found[1])[-1:]
    ):  # of L nothing is known; there may be forces beside it
        solved = [x for ridge in ridges for x in of_trace_one(equations, norm, ridge)]
        near = [x for ridge in ridges for x in near_the_identity(equations, norm, ridge)]
    elif leading_inertia(at_instants(lagrangian, *states[3:]), states[0]) is not None:
        ways = (plain, without_trace)
        solved = [solve(equations, ridge) for ridge in ridges for solve in ways]
    else:
        return nothing

    def models(solutions: list[np.ndarray]) -> list[PyTree]:
        return [
            eqx.tree_at(last_layers, lagrangian, unravel(jnp.asarray(x, weights.dtype)))
            for x in solutions
            if np.any(x)  # else no weight gives ∂²L/∂v² a trace, or any of the forces
        ]

    return Candidates(lagrangian, models(solved), models(near))


def _equations(parts: tuple, a: Array, signs: np.ndarray) -> Equations:
    """Those of all samples, each as it counts."""
    _, rest, columns = parts
    counts, n = np.sqrt(counts_of(a)), signs.shape[1]
    size = np.mean(np.square(counts[:, None] * np.asarray(a, float).reshape(signs.shape)))

    def flat(rows):
        return rows.reshape(-1, *rows.shape[2:])

    return Equations(
        flat(counts[:, None, None] * columns[:, :n]),
        flat(counts[:, None] * rest[:, :n]),
        np.mean(columns[:, -1], axis=0),
        flat(columns[:, n:-1]),
        flat(signs),
        float(size),
    )


def counts_of(a) -> np.ndarray:
    """How much every sample counts."""
    squares = np.sum(np.square(np.asarray(a, float)), axis=(1, 2))
    floor = relative_floor(squares)
    return np.ones(len(squares)) if floor is None else 1 / (floor**2 + squares)


def _is_affine(equations, rest, columns, given, epsilon: float) -> bool:
    """Whether the equations are `rest` plus linear in the weights that are given, but for rounding."""
    rounding = LINEAR * epsilon * (np.abs(columns) @ np.abs(given) + np.abs(rest))
    departure = np.abs(rest + columns @ given - equations)
    # Apart, since residuals and trace have units of their own.
    return all(
        bool(np.all(departure[rows] <= np.max(rounding[rows])))
        for rows in (slice(-1), slice(-1, None))
    )


def _together(rows: np.ndarray) -> np.ndarray:
    """Residuals of all samples, products with their signs, and the mean of their traces."""
    residuals = rows[:, :-1].reshape(-1, *rows.shape[2:])
    return np.concatenate([residuals, np.mean(rows[:, -1:], axis=0)])


def _linear_parts(lagrangian: PyTree, q, v, a, t, u, signs) -> tuple[Array, Array, Array]:
    """Of every sample the residuals of the equations of motion, the product of ∂²L/∂v² with its signs
    and the trace, those of last layers of zero, and their derivative with respect to these, one column
    for each weight."""
    weights, unravel = ravel_pytree(last_layers(lagrangian))
    states = q, v, a, t, u, signs

    def equations(weights, q, v, a, t, u, signs):
        model = at_instants(eqx.tree_at(last_layers, lagrangian, unravel(weights)), t, u)
        mass_matrix, force = euler_lagrange_terms(model, q, v)
        residual = jnp.einsum("sij,sj->si", mass_matrix, a.reshape(force.shape)) - force
        traces = jnp.trace(mass_matrix, axis1=-2, axis2=-1)
        inertia = jnp.einsum("sij,sj->si", mass_matrix, signs)
        return jnp.concatenate([residual, inertia, traces[:, None]], axis=1)

    def column(unit):
        return jax.jvp(lambda weights: equations(weights, *states), (weights,), (unit,))[1]

    def of_sample(sample):
        alone = jax.tree.map(lambda x: x[None], sample)

        def at(weights):
            value, pull_back = jax.vjp(lambda weights: equations(weights, *alone)[0], weights)
            return value, jax.vmap(pull_back)(jnp.eye(value.size, dtype=value.dtype))[0]

        # Both at once make a smaller program, which is what takes the time.
        (given, nothing), (columns, _) = jax.vmap(at)(jnp.stack([weights, 0 * weights]))
        return given, nothing, columns

    few = q[0].size < min(COLUMNS, weights.size)
    if few and not holds_times(lagrangian, t):
        return jax.vmap(of_sample)(states)
    units = jnp.eye(weights.size, dtype=weights.dtype)
    columns = jnp.moveaxis(jax.lax.map(column, units, batch_size=COLUMNS), 0, -1)
    return equations(weights, *states), equations(0 * weights, *states), columns


def with_networks(model: PyTree, change: Callable) -> PyTree:
    """The model with its networks changed whose last layers its equations are linear in."""
    linear = {id(weight) for weight in last_layers(model)}

    def is_network(node) -> bool:
        return isinstance(node, eqx.nn.MLP)

    def changed(node):
        known = is_network(node) and id(node.layers[-1].weight) in linear
        return change(node) if known else node

    return jax.tree.map(changed, model, is_leaf=is_network)


def last_layers(model: PyTree) -> list:
    """The weights that the parts of a model are linear in."""
    return [weight for part in standardised_parts(model) for weight in linear_weights(part)]
