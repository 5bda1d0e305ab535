"""Whether generators are those of a group: independent, and closed under the bracket."""

import numpy as np

from ._algebra import AffineAlgebra
from ._spans import independent_rows, outside


def check_closure(algebra: AffineAlgebra, size: np.ndarray, name: str) -> None:
    """Raises a `ValueError` with the evidence if generators are redundant or do not close.

    **Arguments:**

    - `algebra`: in balanced units, so that tolerances mean the same for all entries.
    - `size`: what its generators were divided by.
    - `name`: what messages call the group.
    """
    matrices = algebra.homogeneous
    count = len(matrices)
    if not count:
        _check_components(algebra, matrices, np.zeros((matrices.shape[1] ** 2, 0)), name)
        return
    norms = np.linalg.norm(matrices, axis=(1, 2))
    for a in range(count):
        if norms[a] <= np.finfo(float).tiny:
            raise ValueError(
                f"Generator {a} of {name} is zero. Leave it out: generators must be independent."
            )
    unit = matrices / norms[:, None, None]
    flat = unit.reshape(count, matrices.shape[1] ** 2)
    bound = algebra.tolerance * count
    basis, triangle = np.linalg.qr(flat.T)
    # The diagonal of R is the distance of each generator from the span of those before it.
    if count > flat.shape[1] or np.any(np.abs(np.diag(triangle)) <= bound):
        independent = independent_rows(flat, algebra.tolerance)
        a = min(set(range(count)) - set(independent))
        weights, *_ = np.linalg.lstsq(flat[:a].T, flat[a], rcond=None)
        sum_of = " + ".join(
            f"{weight * norms[a] / norms[b] * (size[a] / size[b]):.3g}·[{b}]"
            for b, weight in enumerate(weights)
            if abs(weight) > np.sqrt(algebra.tolerance)
        )
        raise ValueError(
            f"The generators of {name} are redundant: generator {a} = {sum_of}. Leave it out."
        )
    # The bracket of two random combinations leaves the span if and only if some bracket does.
    first, second = np.tensordot(np.random.default_rng(4).normal(size=(2, count)), unit, axes=1)
    bracket = (first @ second - second @ first)[None] / count
    if np.all(outside(bracket, basis) <= bound):
        _check_components(algebra, unit, basis, name)
        return
    for a in range(count):
        brackets = unit[a] @ unit - unit @ unit[a]
        residual = outside(brackets, basis)
        b = int(np.argmax(residual > bound))
        if residual[b] > bound:
            raise ValueError(
                f"The generators of {name} must close under the bracket, but [{a}, {b}] leaves "
                f"their span by {residual[b]:.2g} (generators scaled to unit size). Its matrix on "
                f"(q, 1), scaled likewise, is\n{brackets[b].round(3)}\n"
                "Add the missing generators, or drop one of these two."
            )


def _check_components(algebra: AffineAlgebra, unit: np.ndarray, basis: np.ndarray, name: str):
    """Other components must map the identity component to itself: R ξ R⁻¹ stays in the span."""
    for index, component in enumerate(algebra.components):
        if not np.linalg.cond(component) < 1 / algebra.tolerance:
            raise ValueError(
                f"Component {index} of {name} is a singular map:\n{component.round(3)}"
            )
        extended = np.eye(len(component) + 1)
        extended[:-1, :-1] = component
        residual = outside(extended @ unit @ np.linalg.inv(extended), basis)
        if np.any(residual > algebra.tolerance * len(unit) * np.linalg.cond(component)):
            a = int(np.argmax(residual))
            raise ValueError(
                f"Component {index} of {name} must normalise the identity component, but it takes "
                f"generator {a} out of their span by {residual[a]:.2g}."
            )
