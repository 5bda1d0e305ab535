"""Last layers by least squares: L = Σ_k w_k φ_k is linear in their weights w, and so are its equations
of motion."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

DEFINITE = 1e-2
"""Weight of ∂²L/∂v² near the identity, in units of the mean square of the acceleration. Over twelve
problems and three seeds each, 1e-1 and 1e-2 were alike, 1 kept some away from their forces, and 1e-3
left some singular."""


class Equations(NamedTuple):
    """What the weights w of last layers shall do over the data: `columns @ w + rest` is to vanish."""

    columns: np.ndarray  # (equations, weights)
    rest: np.ndarray  # (equations,)
    trace: np.ndarray  # (weights,): of the mean tr(∂²L/∂v²)
    inertia: np.ndarray  # (equations, weights): of (∂²L/∂v²) z for vectors of random signs z
    signs: np.ndarray  # (equations,): these z
    size: float  # mean square of what the equations hold, for ∂²L/∂v² the identity


def plain(equations: Equations, ridge: float) -> np.ndarray:
    """Weights that make the residuals least, where the scale of L is given."""
    columns, rest = equations.columns, equations.rest
    return np.linalg.solve(_gram(columns, ridge), -columns.T @ rest)


def without_trace(equations: Equations, ridge: float) -> np.ndarray:
    """The same with a mean trace of ∂²L/∂v² of zero: masses that are known keep their scale, where L in
    any scale would obey the data, of zero as well."""
    columns, rest, trace = equations[:3]
    gram = _gram(columns, ridge)
    free = np.linalg.solve(gram, -columns.T @ rest)
    along = np.linalg.solve(gram, trace)
    return free - along * (trace @ free) / (trace @ along)


def of_trace_one(equations: Equations, norm: float, ridge: float) -> Iterator[np.ndarray]:
    """Weights where L is free but for forces beside it, in one way or another."""
    columns, rest, trace = equations[:3]
    gram = _gram(columns, ridge)
    solution = np.linalg.solve(gram, trace)
    if not np.any(solution):
        return
    yield solution * norm / np.linalg.norm(solution)
    if np.any(rest):
        yield from _in_scale(gram, columns, rest, trace)
        yield plain(equations, ridge)


def near_the_identity(equations: Equations, norm: float, ridge: float) -> Iterator[np.ndarray]:
    """The same with ∂²L/∂v² near the identity at every state, in place of its mean trace. Where the
    coordinates of a system do not act on each other, L may have any sum of their Lagrangians, and
    functions of their energies: nothing else would keep such a sum from being singular."""
    columns, rest, _, inertia, signs, size = equations
    weight = np.sqrt(DEFINITE * size)
    if not weight:
        return
    near = weight * inertia
    # E‖(M − 1) z‖² over random signs z is the square of all entries of M − 1.
    gram = _gram(columns, ridge) + near.T @ near
    wanted = near.T @ (weight * signs)
    if not np.any(rest):
        solution = np.linalg.solve(gram, wanted)
        yield solution * norm / np.linalg.norm(solution)
    else:
        yield from _in_scale(gram, columns, rest, wanted)


def _in_scale(gram, columns, rest, wanted) -> Iterator[np.ndarray]:
    """Of `gram @ w = wanted`, the solution in the scale in which the forces −`rest` fit it best."""
    force = -columns.T @ rest
    # s Q is nearest to Σ w_k r_k: then w/s has the scale of the force.
    fitted = np.block([[gram, -force[:, None]], [-force[None], np.array([[rest @ rest]])]])
    *solution, scale = np.linalg.lstsq(fitted, np.append(wanted, 0.0), rcond=None)[0]
    if scale:
        yield np.array(solution) / scale


def _gram(columns: np.ndarray, ridge: float) -> np.ndarray:
    gram = columns.T @ columns
    return gram + (ridge * np.trace(gram) / len(gram) or 1.0) * np.eye(len(gram))
