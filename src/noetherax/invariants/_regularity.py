"""Whether a Lagrangian of given invariants can have a regular mass matrix at all.

∂²L/∂v² = Jᵀ H J + Σ_m g_m ∂²S_m/∂v² with J = ∂S/∂v; where it is singular for random g and H at a
random state, it is singular for every L of the invariants S.
"""

import warnings
from collections.abc import Callable

import numpy as np

SINGULAR_VALUE = 1e-6
"""Singular values below this, relative to the largest, are zero at a generic state."""

STEP = 1e-2
"""Step of the differences of order four that give second derivatives, for vectors of size one."""


def warn_if_singular(rank: int, points: int, axes: tuple[int, ...], name: str, depth: int) -> None:
    """Says that a group forces a singular mass matrix, if the generic `rank` is too low. The warning
    shows the user's line: `depth` functions of this room lead here."""
    size = points * len(axes)
    if rank < size:
        warnings.warn(
            f"{name} on {points} point(s) makes ∂²L/∂v² singular for every Lagrangian of its "
            f"invariants alone: on the axes {axes} its rank is {rank}, where {size} is needed. Such a "
            "Lagrangian does not determine the motion. Take more points or a smaller group, or add a "
            "term of your own with noetherax.LagrangianSum.",
            stacklevel=depth + 4,  # Equinox adds a frame to methods
        )


def generic_rank(slopes: np.ndarray, curvature: Callable[[np.ndarray], np.ndarray]) -> int:
    """Rank of Jᵀ H J + Σ_m g_m ∂²S_m/∂v² for random g and diagonal H; a full H has the same rank.

    `slopes` is J, `(features, n)`; `curvature(g)` the sum, `(n, n)`.
    """
    rng = np.random.default_rng(6)
    features = len(slopes)
    if not features:
        return 0
    matrix = (slopes.T * rng.normal(size=features)) @ slopes
    matrix = matrix + curvature(rng.normal(size=features))
    unit = np.sqrt(np.maximum(np.abs(matrix).max(axis=1), 1e-300))
    values = np.linalg.svd(matrix / unit / unit[:, None], compute_uv=False)
    return int(np.sum(values > SINGULAR_VALUE * values[0]))


def determinants_rank(subsets: np.ndarray, points: int, dim: int, num_vectors: int) -> int:
    """[`generic_rank`][] of the determinants of `subsets` of vectors, the last `points` of which are
    velocities."""
    x = np.random.default_rng(7).normal(size=(num_vectors, dim))
    size = points * dim

    def slopes(shift):
        """∂S/∂v by complex steps, at velocities displaced by `shift` `(size,)`."""
        step = 1e-30
        states = np.broadcast_to(x.astype(complex), (size, *x.shape)).copy()
        states[:, -points:] += (shift + 1j * step * np.eye(size)).reshape(size, points, dim)
        return np.linalg.det(states[:, subsets]).imag.T / step

    def curvature(weights):
        def along(direction):
            far, near = (
                weights @ (slopes(h * direction) - slopes(-h * direction)) for h in (2 * STEP, STEP)
            )
            return (8 * near - far) / (12 * STEP)

        return np.array([along(direction) for direction in np.eye(size)])

    return generic_rank(slopes(np.zeros(size)), curvature) if len(subsets) else 0
