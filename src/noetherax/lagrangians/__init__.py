"""Lagrangians: analytic ones by subclassing, neural ones of invariant features, sums, averages."""

from . import _prepared_pairs  # noqa: F401 (it registers)
from ._activation import check_activation
from ._attributes import NO_ATTRIBUTES, Attributes, symmetric_attributes
from ._average import AveragedLagrangian
from ._base import Lagrangian
from ._given_attributes import with_attributes, with_inputs
from ._neural import NeuralLagrangian
from ._neural_mechanical import NeuralMechanicalLagrangian
from ._neural_separable import NeuralSeparableLagrangian
from ._pairs import Neighbourhood, Pairs, over_pairs
from ._pairwise import PairwiseLagrangian
from ._perceptron import _identity as linear_output
from ._separable import SeparableLagrangian, inertia_of, inertia_times
from ._sum import LagrangianSum

__all__ = [
    "NO_ATTRIBUTES",
    "Attributes",
    "AveragedLagrangian",
    "Lagrangian",
    "LagrangianSum",
    "Neighbourhood",
    "NeuralLagrangian",
    "NeuralMechanicalLagrangian",
    "NeuralSeparableLagrangian",
    "Pairs",
    "PairwiseLagrangian",
    "SeparableLagrangian",
    "check_activation",
    "inertia_of",
    "inertia_times",
    "linear_output",
    "over_pairs",
    "symmetric_attributes",
    "with_attributes",
    "with_inputs",
]
