"""Lagrangians: analytic ones by subclassing, neural ones of invariant features, sums, averages."""

from ._activation import check_activation
from ._average import AveragedLagrangian
from ._base import Lagrangian
from ._neural import NeuralLagrangian
from ._neural_mechanical import NeuralMechanicalLagrangian
from ._neural_separable import NeuralSeparableLagrangian
from ._separable import SeparableLagrangian, inertia_of, inertia_times
from ._sum import LagrangianSum

__all__ = [
    "AveragedLagrangian",
    "Lagrangian",
    "LagrangianSum",
    "NeuralLagrangian",
    "NeuralMechanicalLagrangian",
    "NeuralSeparableLagrangian",
    "SeparableLagrangian",
    "check_activation",
    "inertia_of",
    "inertia_times",
]
