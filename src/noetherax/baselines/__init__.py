"""Models without a Lagrangian, to compare with: networks straight to the acceleration."""

from ._equivariant import EquivariantODE
from ._law import AccelerationLaw
from ._neural import NeuralODE

__all__ = ["AccelerationLaw", "EquivariantODE", "NeuralODE"]
