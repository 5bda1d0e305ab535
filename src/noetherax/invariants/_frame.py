"""Where a block of axes lies: its points, axes and units, and the centre of the group on it."""

from typing import NamedTuple

import numpy as np

from ..algebras import AffineAlgebra, translations
from ..features import StateVectors


class Frame(NamedTuple):
    """A block of `axes` of states of `points` points, analysed in coordinates y where x = C y with the
    columns of C = `coordinates`; of configurations alone if not `velocities`."""

    points: int
    space: int
    axes: tuple[int, ...]
    coordinates: np.ndarray
    velocities: bool = True

    @property
    def own(self) -> str:
        """What to write by hand where nothing is found."""
        if self.velocities:
            return "an InvariantFeatures of your own and check it with noetherax.testing.check_features"
        return (
            "a ConfigurationFeatures of your own, such as noetherax.AtRest of features of the state, "
            "and check it with noetherax.testing.check_configuration_features"
        )

    def vectors(self, about: np.ndarray | None, **options) -> StateVectors:
        """The vectors of a state, about a centre given in coordinates of the analysis."""
        point = None if about is None else tuple((self.coordinates @ about).tolist())
        return StateVectors(
            self.points, self.space, self.axes, point, velocities=self.velocities, **options
        )

    def covariant(self, tensor: np.ndarray) -> np.ndarray:
        """A tensor of any rank that acts on y as one that acts on x, its first entry scaled to one.
        The last of homogeneous coordinates stays."""
        inverse = np.linalg.inv(self.coordinates)
        homogeneous = np.eye(len(inverse) + 1)
        homogeneous[:-1, :-1] = inverse
        for size in tensor.shape:
            tensor = np.tensordot(tensor, homogeneous[:size, :size], axes=(0, 0))
        entries = tensor.ravel()
        # Units scale entries and leave zeros; other coordinates leave rounding in their place.
        mixed = np.any(self.coordinates != np.diag(np.diag(self.coordinates)))
        least = 1e-10 * np.abs(entries).max() if mixed else 0.0
        return tensor / entries[np.argmax(np.abs(entries) > least)]


def centre(block: AffineAlgebra) -> np.ndarray | None:
    """A point c that the group moves along its own translations only, A_a c + b_a ∈ B; or `None`."""
    dim = block.shift.shape[1]
    if not np.any(block.shift):
        return np.zeros(dim)
    moved = translations(block)
    beyond = np.eye(dim) - moved.T @ moved
    maps = block.components - np.eye(dim)
    linear = np.concatenate([(beyond @ x).reshape(-1, dim) for x in (block.linear, maps)])
    shift = np.concatenate([(block.shift @ beyond.T).ravel(), np.zeros(len(maps) * dim)])
    # What is rounding of the maps themselves has no inverse, though it may be all that is left of them.
    size = max(1.0, float(np.abs(block.linear).max(initial=0.0)))
    left, values, right = np.linalg.svd(linear, full_matrices=False)
    kept = values > block.tolerance * size
    point = -right[kept].T @ ((left[:, kept].T @ shift) / values[kept])
    scale = max(1.0, float(np.abs(shift).max(initial=0.0)))
    if np.abs(linear @ point + shift).max(initial=0.0) > block.tolerance * scale * dim:
        return None
    return np.where(np.abs(point) <= block.tolerance, 0.0, point)


def nested(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """A matrix as hashable static data."""
    return tuple(tuple(row) for row in matrix.tolist())
