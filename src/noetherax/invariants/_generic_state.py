"""What the invariants found are worth at a generic state: how many are independent, whether the
generators leave them alone, and whether a Lagrangian of them determines the motion."""

import itertools

import numpy as np

from ..algebras import AffineAlgebra
from ._errors import NEARLY, IllConditioned
from ._monomials import contract, monomials
from ._regularity import generic_rank
from ._search import Search

LEFT_ALONE = 1e4
"""Units of rounding by which a generator may seem to change a feature, as in `noetherax.testing`."""


def jacobian_rank(search: Search) -> int:
    """Rank of the features' Jacobian at a generic state."""
    jacobian, _ = _jacobian(search)
    size = np.linalg.norm(jacobian, axis=1, keepdims=True)
    if not len(jacobian):
        return 0
    return int(np.linalg.matrix_rank(jacobian / np.maximum(size, 1e-300), tol=search.small))


def largest_change(search: Search) -> float:
    """The largest Lie derivative of a feature along a generator at a generic state, in units of
    their sizes."""
    jacobian, (q, v) = _jacobian(search)
    if not len(search.block.shift) or not len(jacobian):
        return 0.0
    along = moved(search.block, q, v)
    derivative = np.abs(jacobian @ along.T)
    scale = np.linalg.norm(jacobian, axis=1)[:, None] * np.linalg.norm(along, axis=1)
    return float((derivative / np.maximum(scale, 1e-300)).max())


def moved(block: AffineAlgebra, q: np.ndarray, v: np.ndarray | None) -> np.ndarray:
    """The generators at a state, or at a configuration, `(generators, coordinates)`."""
    parts = [np.einsum("aij,pj->api", block.linear, q) + block.shift[:, None]]
    if v is not None:
        parts.append(np.einsum("aij,pj->api", block.linear, v))
    return np.concatenate([x.reshape(len(x), q.size) for x in parts], axis=1)


def verify(search: Search) -> None:
    """Generators must leave every feature alone, but for rounding."""
    worst, dim = largest_change(search), search.block.shift.shape[1]
    bound = min(10 * search.block.tolerance * dim, LEFT_ALONE * search.block.precision)
    if worst > bound:
        raise IllConditioned(
            f"The generators change a feature by {worst:.2g} of its slope times theirs, where "
            f"rounding explains {bound:.1g}. {NEARLY}"
        )


def velocity_rank(search: Search) -> int:
    """Generic rank of ∂²L/∂v² for Lagrangians of the invariants found."""
    vectors = search.vectors
    dim, n = len(vectors.axes), vectors.points
    x = search.rng.normal(size=(vectors.num_vectors, vectors.dim))
    if vectors.homogeneous:
        x[:, -1] = np.eye(len(x))[-1]
    velocity = {n - vectors.relative + i: i for i in range(n)}
    slopes = []
    for slots, tensors in search.found.items():
        slope = np.zeros((len(tensors), n, dim))
        for place, vector in enumerate(slots):
            if vector in velocity:
                part = contract(tensors, x, slots, [place])
                slope[:, velocity[vector]] += part[:, :dim]
        slopes.append(slope.reshape(len(tensors), n * dim))

    def curvature(weights):
        total, start = np.zeros((n, dim, n, dim)), 0
        for slots, tensors in search.found.items():
            weighted = weights[None, start : start + len(tensors)] @ tensors
            start += len(tensors)
            for first, second in itertools.permutations(range(len(slots)), 2):
                i, j = velocity.get(slots[first]), velocity.get(slots[second])
                if i is not None and j is not None:
                    part = contract(weighted, x, slots, [first, second])[0]
                    total[i, :, j, :] += part[:dim, :dim]
        return total.reshape(n * dim, n * dim)

    return generic_rank(np.concatenate([np.zeros((0, n * dim)), *slopes]), curvature)


def _jacobian(search: Search):
    """Derivatives of all invariants at a generic state, by complex-step differentiation, and the
    state; without a velocity where the vectors have none."""
    dim, points = len(search.vectors.axes), search.vectors.points
    parts = search.rng.normal(size=(1 + search.vectors.velocities, points, dim))
    step = 1e-30
    state = parts.ravel()
    x = _evaluate(search, state[:, None] + 1j * step * np.eye(len(state)))
    rows = [
        np.imag(monomials([x[vector] for vector in slots]) @ tensors.T).T / step
        for slots, tensors in search.found.items()
    ]
    q, v = parts if search.vectors.velocities else (parts[0], None)
    return np.concatenate([np.zeros((0, len(state))), *rows]), (q, v)


def _evaluate(search: Search, states: np.ndarray) -> np.ndarray:
    """`StateVectors` in units of the analysis, for complex states in columns, `(vectors, columns,
    dim)`."""
    vectors, n = search.vectors, search.vectors.points
    count = 1 + vectors.velocities
    q, *v = states.T.reshape(-1, count, n, len(vectors.axes)).transpose(1, 2, 0, 3)
    if search.centre is not None:
        q = q - search.centre
    parts = [q[:-1] - q[-1:] if vectors.relative else q, *v]
    if vectors.anchored:
        parts.append(q[-1:])
    result = np.concatenate(parts)
    if vectors.homogeneous:
        last = np.zeros((*result.shape[:2], 1), complex)
        last[-1] = 1.0
        result = np.concatenate([result, last], axis=2)
    return result
