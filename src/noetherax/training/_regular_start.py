from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._types import FloatArray
from ..dynamics import euler_lagrange_terms, leading_inertia
from ..features import linear_weights
from ..losses import (
    at_instants,
    by_samples,
    check_finite,
    check_observations,
    holds_times,
    law_of,
    square_errors,
)
from ._checks import check_precision
from ._default_loss import relative_floor
from ._trainable import standardised_parts

SAMPLES = 1024
"""Most observations used: the unknowns are the weights of one layer."""

RIDGE = 1e-3
"""Weight of ‖w‖² relative to the mean square of the residuals' columns. Smaller ones fit the data
better, by differences of large weights that the first steps of training destroy: over 16 seeds of a
network of width 32, 1e-2 and 1e-3 lost none, 1e-5 one, 1e-7 three."""

LINEAR = 1e3
"""Largest departure of the equations of motion from linear in the last layers that is taken for
rounding, in units of the precision of the sum of all their terms: each is a sum over a hidden layer."""

LEARNED = 0.1
"""Part missed below which a model that is given has learned something: it is kept unless its mean error
is larger, too. With random weights about half is missed."""

COLUMNS = 16
"""Weights whose equations of motion are held at a time, or equations of every sample: a network has
hundreds, each with a matrix for every observation."""


def regular_start(
    lagrangian: PyTree,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    a: Float[FloatArray, "samples points space"],
    t: Float[FloatArray, " samples"] | None = None,
    u: Float[FloatArray, "samples inputs"] | None = None,
) -> PyTree:
    """Sets the last layer of a neural Lagrangian by least squares, so that training starts from a
    regular ∂²L/∂v² of the right signature, and near to the forces.

    With random weights ∂²L/∂v² has eigenvalues of either sign, one here and another there, and is
    singular in between, where the acceleration and its gradient are infinite. Training often cannot
    carry such a wall across the data, and ends before it. But L = Σ_k w_k φ_k is linear in the weights
    w of the last layer, and so are the equations of motion. Their residuals over the data,

        r_k = (∂²φ_k/∂v²) a + (∂²φ_k/∂v∂q) v − ∂φ_k/∂q,

    give w as the minimum of mean ‖Σ_k w_k r_k‖² + ρ ‖w‖² with the mean of tr(∂²L/∂v²)/n held at one,
    since the equations leave scale and sign of L free: not for laws whose trace vanishes, such as that
    of a relativistic particle on a line. The result is scaled to the norm of the random weights, whose
    place it takes.

    Where a few samples would rule such a mean, as close encounters do among bodies that attract each
    other, each counts relative to its acceleration, whatever the loss: then [`noetherax.fit`][] takes
    such a loss, too, if none is named.

    Forces beside L stand on the other side, as they are now, and set its scale: w is the minimum of
    mean ‖Σ_k w_k r_k − Q‖² + ρ ‖w‖², or the one above in the scale in which Q fits best, whichever has
    the nearer acceleration.

    Where ∂²L/∂v² does not depend on these weights, as in [`noetherax.NeuralSeparableLagrangian`][] and
    [`noetherax.NeuralMechanicalLagrangian`][], whose last layer is that of the potential, nothing of
    L is left free: the residuals are r₀ + Σ_k w_k r_k, and w is the minimum of
    mean ‖r₀ + Σ_k w_k r_k‖² + ρ ‖w‖². Where they add to masses that L has
    ([`leading_inertia`][noetherax.dynamics.leading_inertia]), as in
    [`noetherax.GeneralPairwiseLagrangian`][], it is that minimum, or the one that changes nothing of
    the mean trace, whichever has the nearer acceleration.

    [`noetherax.fit`][] does this, once, with a model that is new to it.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        model = nx.standardise(model, q, v)
        started = nx.regular_start(model, q, v, -q)
        loss = eqx.filter_jit(nx.AccelerationLoss())
        assert loss(started, (q, v, -q)) < loss(model, (q, v, -q))
        ```

    **Arguments:**

    - `lagrangian`: a standardised neural Lagrangian, or a model that is linear in the last layers of
        those it holds, such as an [`noetherax.AveragedLagrangian`][] of one. Any other (a
        [`noetherax.NeuralLagrangian`][] with a known Lagrangian added, for instance) is returned as
        it is. Types of yours register which weights they are linear in, see
        [`linear_weights`][noetherax.features.linear_weights].
    - `q`, `v`, `a`: observations, of which a thousand are used.
    - `t`, `u`: their times and inputs, for a model that depends on them.

    **Returns:**

    The model with other last layers, or the one given if its acceleration is nearer to the data's.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does, if the observations are not finite, or not
    of one shape and the precision of the weights.
    """
    given_states = (q, v, a) if t is None else (q, v, a, t, u)
    observations = check_observations(given_states)
    observations = tuple(None if x is None else jnp.asarray(x) for x in observations)
    check_finite(observations)
    states = every(observations, 0, -(-len(q) // SAMPLES))
    models = candidates(lagrangian, states, [RIDGE])
    if len(models) == 1:
        return lagrangian
    missed = [part_missed(model, states) for model in models]
    best = int(np.argmin(missed))  # where nothing is better, that which was given
    if missed[0] < LEARNED:
        means = [np.mean(_counts(states[2]) * square_errors(models[k], states)) for k in (0, best)]
        best = best if means[1] < means[0] else 0
    return models[best]


def part_missed(model: PyTree, states: tuple) -> float:
    """The mean of e/(e + ‖a‖²) over states, e the squared error of a model's acceleration. It goes from
    0 to 1, so that a few singular states do not decide."""
    size = np.mean(np.square(np.asarray(states[2], float)), axis=(1, 2))
    error = square_errors(model, states)
    with np.errstate(invalid="ignore"):
        part = error / (error + size)
    # Neither force nor error, or an infinite error.
    part = np.where(error > 0, part, 0)
    return float(np.mean(np.where(np.isfinite(part), part, 1)))


def candidates(lagrangian: PyTree, states: tuple, ridges: Sequence[float]) -> list[PyTree]:
    """The model given, and those with last layers that least squares find."""
    if not last_layers(lagrangian):
        return [lagrangian]
    check_precision(last_layers(lagrangian), states)
    weights, unravel = ravel_pytree(last_layers(lagrangian))
    equations, rest, columns = map(_together, by_samples(_linear_parts, lagrangian, states))
    if not all(np.all(np.isfinite(part)) for part in (equations, rest, columns)):
        return [lagrangian]  # its own motion leaves the range of numbers
    given = np.asarray(weights, float)
    epsilon = float(jnp.finfo(weights.dtype).eps)
    if not _is_affine(equations, rest, columns, given, epsilon):
        return [lagrangian]
    rows = np.append(np.repeat(np.sqrt(_counts(states[2])), states[2][0].size), 1)
    rest, columns = rows * rest, rows[:, None] * columns
    if not np.any(columns[-1]):  # the potential alone
        found = [_plain(columns, rest, ridge) for ridge in ridges]
    elif not np.any(rest[-1:]):  # of L nothing is known; there may be forces beside it
        norm = float(np.linalg.norm(given))
        found = [x for ridge in ridges for x in _solutions(columns, -rest, norm, ridge)]
    elif leading_inertia(at_instants(lagrangian, *states[3:]), states[0]) is not None:
        ways = (_plain, _without_trace)
        found = [solve(columns, rest, ridge) for ridge in ridges for solve in ways]
    else:
        return [lagrangian]
    return [lagrangian] + [
        eqx.tree_at(last_layers, lagrangian, unravel(jnp.asarray(solution, weights.dtype)))
        for solution in found
        if np.any(solution)  # else no weight gives ∂²L/∂v² a trace, or any of the forces
    ]


def _counts(a) -> np.ndarray:
    """How much every sample counts."""
    squares = np.sum(np.square(np.asarray(a, float)), axis=(1, 2))
    floor = relative_floor(squares)
    return np.ones(len(squares)) if floor is None else 1 / (floor**2 + squares)


def _plain(columns: np.ndarray, rest: np.ndarray, ridge: float) -> np.ndarray:
    """Weights that make the residuals least, where the scale of L is given."""
    residuals = columns[:-1]
    return np.linalg.solve(_gram(residuals, ridge), -residuals.T @ rest[:-1])


def _without_trace(columns: np.ndarray, rest: np.ndarray, ridge: float) -> np.ndarray:
    """The same with a mean trace of ∂²L/∂v² of zero: masses that are known keep their scale, where L in
    any scale would obey the data, of zero as well."""
    residuals, trace = columns[:-1], columns[-1]
    gram = _gram(residuals, ridge)
    free = np.linalg.solve(gram, -residuals.T @ rest[:-1])
    along = np.linalg.solve(gram, trace)
    return free - along * (trace @ free) / (trace @ along)


def _gram(residuals: np.ndarray, ridge: float) -> np.ndarray:
    gram = residuals.T @ residuals
    return gram + (ridge * np.trace(gram) / len(gram) or 1.0) * np.eye(len(gram))


def _solutions(
    columns: np.ndarray, acting: np.ndarray, norm: float, ridge: float
) -> list[np.ndarray]:
    """Weights of last layers that solve the equations of motion best, in one way or another."""
    residuals, trace = columns[:-1], columns[-1]
    gram = _gram(residuals, ridge)
    solution = np.linalg.solve(gram, trace)
    if not np.any(solution):
        return []
    found = [solution * norm / np.linalg.norm(solution)]
    if np.any(acting):
        force = residuals.T @ acting[:-1]
        # Of w with a trace of one, s Q is nearest to Σ w_k r_k: then w/s has the scale of the force.
        square = np.sum(np.square(acting))
        fitted = np.block([[gram, -force[:, None]], [-force[None], np.array([[square]])]])
        *solution, scale = np.linalg.lstsq(fitted, np.append(trace, 0.0), rcond=None)[0]
        found += [_plain(columns, -acting, ridge)] + ([np.array(solution) / scale] if scale else [])
    return found


def regular_start_of(loss: Callable, model: PyTree, states: tuple) -> PyTree:
    """The same for the law that the states of a loss follow; the model is the one that is changed."""
    law = law_of(loss, model)
    found = regular_start(law, *states)
    layers = last_layers(model)
    return eqx.tree_at(last_layers, model, last_layers(found)) if layers else model


def every(observations: tuple, first: int, stride: int) -> tuple:
    return tuple(None if x is None else x[first::stride] for x in observations)


def last_layers(model: PyTree) -> list:
    """The weights that the parts of a model are linear in."""
    return [weight for part in standardised_parts(model) for weight in linear_weights(part)]


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
    """Residuals of all samples, and the mean of their traces."""
    residuals = rows[:, :-1].reshape(-1, *rows.shape[2:])
    return np.concatenate([residuals, np.mean(rows[:, -1:], axis=0)])


def _linear_parts(lagrangian: PyTree, q, v, a, *instant) -> tuple[Array, Array, Array]:
    """Of every sample the residuals of the equations of motion, with the trace of ∂²L/∂v² as the last
    entry, those of last layers of zero, and their derivative with respect to these, one column for
    each weight."""
    weights, unravel = ravel_pytree(last_layers(lagrangian))
    states = q, v, a, *instant

    def equations(weights, q, v, a, *instant):
        model = at_instants(eqx.tree_at(last_layers, lagrangian, unravel(weights)), *instant)
        mass_matrix, force = euler_lagrange_terms(model, q, v)
        residual = jnp.einsum("sij,sj->si", mass_matrix, a.reshape(force.shape)) - force
        traces = jnp.trace(mass_matrix, axis1=-2, axis2=-1)
        return jnp.concatenate([residual, traces[:, None]], axis=1)

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
    if few and not holds_times(lagrangian, *instant):
        return jax.vmap(of_sample)(states)
    units = jnp.eye(weights.size, dtype=weights.dtype)
    columns = jnp.moveaxis(jax.lax.map(column, units, batch_size=COLUMNS), 0, -1)
    return equations(weights, *states), equations(0 * weights, *states), columns
