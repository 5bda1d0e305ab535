import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._types import FloatArray
from ..dynamics import euler_lagrange_terms
from ..lagrangians import NeuralLagrangian
from ._checks import check_observations, check_precision
from ._losses import acceleration_loss

SAMPLES = 1024
"""Most observations used: the unknowns are the weights of one layer."""

RIDGE = 1e-3
"""Weight of ‖w‖² relative to the mean square of the residuals' columns. Smaller ones fit the data
better, by differences of large weights that the first steps of training destroy: over 16 seeds of a
network of width 32, 1e-2 and 1e-3 lost none, 1e-5 one, 1e-7 three."""

LINEAR = 1e-3
"""Largest departure of the equations of motion from linear in the last layers, relative, that is taken
for rounding: of float32, where residuals are small differences."""


def regular_start(
    lagrangian: PyTree,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    a: Float[FloatArray, "samples points space"],
) -> PyTree:
    """Sets the last layer of a neural Lagrangian by least squares, so that training starts from a
    regular ∂²L/∂v² of the right signature.

    With random weights ∂²L/∂v² has eigenvalues of either sign, one here and another there, and is
    singular in between, where the acceleration and its gradient are infinite. Training cannot carry
    such a wall across the data, and ends before it. But L = Σ_k w_k φ_k is linear in the weights w of
    the last layer, and so are the equations of motion. Their residuals over the data,

        r_k = (∂²φ_k/∂v²) a + (∂²φ_k/∂v∂q) v − ∂φ_k/∂q,

    give w as the minimum of mean ‖Σ_k w_k r_k‖² + ρ ‖w‖² with the mean of tr(∂²L/∂v²)/n held at one,
    since the equations leave scale and sign of L free. The result is scaled to the norm of the random
    weights, whose place it takes.

    [`noetherax.fit`][] does this, once, after it has set the standardisation.

    **Arguments:**

    - `lagrangian`: a standardised [`noetherax.NeuralLagrangian`][], or a model that is linear in the
        last layers of those it holds, such as an [`noetherax.AveragedLagrangian`][] of one. Any other
        (with a known Lagrangian added, for instance) is returned as it is.
    - `q`, `v`, `a`: observations, of which a thousand are used.

    **Returns:**

    The model with other last layers, or the one given if its acceleration is nearer to the data's.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does, if the observations are not finite, or not
    of one shape and the precision of the weights.
    """
    observations = check_observations((q, v, a))
    states = jax.tree.map(lambda x: x[:: -(-len(x) // SAMPLES)], observations)
    if not _last_layers(lagrangian):
        return lagrangian
    check_precision(_last_layers(lagrangian), states)
    weights, unravel = ravel_pytree(_last_layers(lagrangian))
    residual, columns, trace = (np.asarray(x, float) for x in _linear_parts(lagrangian, *states))
    misfit = np.linalg.norm(columns @ np.asarray(weights, float) - residual)
    if not misfit <= LINEAR * np.linalg.norm(columns) * np.linalg.norm(weights):
        return lagrangian
    gram = columns.T @ columns
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    solution = np.linalg.solve(gram, trace)
    solution *= np.linalg.norm(weights) / np.linalg.norm(solution)
    found = eqx.tree_at(_last_layers, lagrangian, unravel(jnp.asarray(solution, weights.dtype)))
    before, after = (float(_loss(model, states)) for model in (lagrangian, found))
    return found if after < before or not np.isfinite(before) else lagrangian


def _last_layers(model: PyTree) -> list:
    """The weights that the neural Lagrangians of a model are linear in."""

    def neural(node):
        return isinstance(node, NeuralLagrangian)

    nodes = jax.tree.leaves(model, is_leaf=neural)
    return [node.network.layers[-1].weight for node in nodes if neural(node)]


@eqx.filter_jit
def _linear_parts(lagrangian: PyTree, q, v, a) -> tuple[Array, Array, Array]:
    """Residuals of the equations of motion, their derivative with respect to the last layers, and that
    of the mean trace of ∂²L/∂v²."""
    weights, unravel = ravel_pytree(_last_layers(lagrangian))

    def equations(weights):
        model = eqx.tree_at(_last_layers, lagrangian, unravel(weights))
        mass_matrix, force = euler_lagrange_terms(model, q, v)
        residual = jnp.einsum("sij,sj->si", mass_matrix, a.reshape(force.shape)) - force
        return residual.reshape(-1), jnp.mean(jnp.trace(mass_matrix, axis1=-2, axis2=-1))

    columns, trace = jax.jacfwd(equations)(weights)
    return equations(weights)[0], columns, trace


_loss = eqx.filter_jit(acceleration_loss)
