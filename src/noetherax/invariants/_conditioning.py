"""Coordinates in which a representation is well-conditioned.

Invariant tensors of rank k lose the condition number of the coordinates to the power of k. Among all
linear changes of coordinates the one with the least Σ_a ‖D⁻¹ A_a D‖² makes the generators as normal as
they can be (Kempf and Ness 1979); those of a compact group become antisymmetric.
"""

import numpy as np

from ..algebras import AffineAlgebra
from ._frame import Frame

NORMAL = 1e-3
"""Generators are normal enough when Σ [A_a, A_aᵀ] is this small relative to Σ ‖A_a‖²."""

STEPS = 500
WORST = 1e4
"""Nilpotent generators have no best coordinates: the search ends at this condition number."""


def well_conditioned(block: AffineAlgebra, frame: Frame) -> tuple[AffineAlgebra, Frame]:
    """The same group in better coordinates y = D⁻¹ x, and the frame that leads back."""
    change = _change(block.linear)
    inverse = np.linalg.inv(change)
    linear, shift = inverse @ block.linear @ change, block.shift @ inverse.T
    size = np.linalg.norm(np.concatenate([linear, shift[:, :, None]], axis=2), axis=(1, 2))
    better = AffineAlgebra(
        linear / size[:, None, None],
        shift / size[:, None],
        block.tolerance,
        inverse @ block.components @ change,
    )
    return better, frame._replace(coordinates=frame.coordinates @ change)


def _change(linear: np.ndarray) -> np.ndarray:
    """D by steepest descent on positive definite matrices, from the identity."""
    change = np.eye(linear.shape[1])
    rate = 0.5
    for _ in range(STEPS):
        size = np.sum(linear**2)
        twist = np.sum(linear @ _transpose(linear) - _transpose(linear) @ linear, axis=0) / size
        if np.abs(twist).max() <= NORMAL or np.linalg.cond(change) > WORST:
            break
        values, vectors = np.linalg.eigh(twist)
        while rate > 1e-6:
            step = (vectors * np.exp(rate * values)) @ vectors.T
            moved = np.linalg.solve(step, linear @ step)
            if np.sum(moved**2) < size:
                change, linear, rate = change @ step, moved, 2 * rate
                break
            rate /= 2
    return change


def _transpose(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, 1, 2)
