import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._programs import run
from .._types import FloatArray
from ..dynamics import euler_lagrange_terms
from ..features import linear_weights
from ..losses import check_finite, check_observations, square_errors
from ._checks import check_precision
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

COLUMNS = 16
"""Weights whose equations of motion are held at a time: a network has hundreds, each with a matrix for
every observation."""


def regular_start(
    lagrangian: PyTree,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    a: Float[FloatArray, "samples points space"],
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

    Where ∂²L/∂v² does not depend on these weights, as in [`noetherax.NeuralSeparableLagrangian`][] and
    [`noetherax.NeuralMechanicalLagrangian`][], whose last layer is that of the potential, nothing of
    L is left free: the residuals are r₀ + Σ_k w_k r_k, and w is the minimum of
    mean ‖r₀ + Σ_k w_k r_k‖² + ρ ‖w‖².

    [`noetherax.fit`][] does this, once, with a model that is new to it.

    **Arguments:**

    - `lagrangian`: a standardised neural Lagrangian, or a model that is linear in the last layers of
        those it holds, such as an [`noetherax.AveragedLagrangian`][] of one. Any other (a
        [`noetherax.NeuralLagrangian`][] with a known Lagrangian added, for instance) is returned as
        it is. Types of yours register which weights they are linear in, see
        [`linear_weights`][noetherax.features.linear_weights].
    - `q`, `v`, `a`: observations, of which a thousand are used.

    **Returns:**

    The model with other last layers, or the one given if its acceleration is nearer to the data's.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does, if the observations are not finite, or not
    of one shape and the precision of the weights.
    """
    observations = tuple(jnp.asarray(x) for x in check_observations((q, v, a)))
    check_finite(observations)
    states, _ = start_samples(observations)
    if not _last_layers(lagrangian):
        return lagrangian
    check_precision(_last_layers(lagrangian), states)
    weights, unravel = ravel_pytree(_last_layers(lagrangian))
    parts = run(_linear_parts, lagrangian, *states)
    equations, rest, columns = (np.asarray(x, float) for x in parts)
    given = np.asarray(weights, float)
    forces_alone = bool(np.any(rest[-1:])) and not np.any(columns[-1])
    if not forces_alone:
        rest = np.zeros_like(rest)
    if not _is_affine(equations, rest, columns, given, float(jnp.finfo(weights.dtype).eps)):
        return lagrangian
    residuals, trace = columns[:-1], columns[-1]
    gram = residuals.T @ residuals
    gram += (RIDGE * np.trace(gram) / len(gram) or 1.0) * np.eye(len(gram))
    solution = np.linalg.solve(gram, -residuals.T @ rest[:-1] if forces_alone else trace)
    if not np.any(solution):
        return lagrangian  # no weight gives ∂²L/∂v² a trace, or any of the forces
    if not forces_alone:
        solution *= np.linalg.norm(given) / np.linalg.norm(solution)
    found = eqx.tree_at(_last_layers, lagrangian, unravel(jnp.asarray(solution, weights.dtype)))
    before, after = (np.mean(square_errors(model, states)) for model in (lagrangian, found))
    return found if after < (before if np.isfinite(before) else np.inf) else lagrangian


def start_samples(observations: tuple) -> tuple[tuple, tuple]:
    """At most `SAMPLES` observations, and others from between them where there are more."""
    stride = -(-len(observations[0]) // SAMPLES)
    used = tuple(x[::stride] for x in observations)
    return used, tuple(x[stride // 2 :: stride] for x in observations)


def _last_layers(model: PyTree) -> list:
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


def _linear_parts(lagrangian: PyTree, q, v, a) -> tuple[Array, Array, Array]:
    """Residuals of the equations of motion, with the mean trace of ∂²L/∂v² as the last entry, those of
    last layers of zero, and their derivative with respect to these, one column for each weight."""
    weights, unravel = ravel_pytree(_last_layers(lagrangian))

    def equations(weights):
        model = eqx.tree_at(_last_layers, lagrangian, unravel(weights))
        mass_matrix, force = euler_lagrange_terms(model, q, v)
        residual = jnp.einsum("sij,sj->si", mass_matrix, a.reshape(force.shape)) - force
        trace = jnp.mean(jnp.trace(mass_matrix, axis1=-2, axis2=-1))
        return jnp.append(residual.reshape(-1), trace)

    def column(unit):
        return jax.jvp(equations, (weights,), (unit,))[1]

    units = jnp.eye(weights.size, dtype=weights.dtype)
    return (
        equations(weights),
        equations(0 * weights),
        jax.lax.map(column, units, batch_size=COLUMNS).T,
    )
