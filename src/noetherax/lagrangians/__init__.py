"""Lagrangians: analytic ones by subclassing, neural ones of invariant features, sums, averages."""

from ._activation import check_activation
from ._attributes import (
    NO_ATTRIBUTES,
    Attributes,
    are_to_come,
    attributes_of_points,
    symmetric_attributes,
    symmetric_size,
    values_for,
)
from ._average import AveragedLagrangian
from ._base import Lagrangian
from ._general_pairwise import GeneralPairwiseLagrangian
from ._given_attributes import (
    columns_in_momentum,
    given_attributes,
    takes_new_attributes,
    with_attributes,
    with_inputs,
)
from ._linear import LinearLagrangian
from ._local_networks import check_local
from ._moving_networks import in_both_orders, mean_of_orders, with_attributes_of
from ._neural import NeuralLagrangian, in_unit_of
from ._neural_mechanical import NeuralMechanicalLagrangian
from ._neural_separable import NeuralSeparableLagrangian
from ._pairs import Neighbourhood, Pairs, over_pairs
from ._pairwise import PairwiseLagrangian
from ._perceptron import linear_output, widened
from ._prepared_pairs import sampled_pairs
from ._separable import SeparableLagrangian, inertia_of, inertia_times
from ._sum import LagrangianSum

__all__ = [
    "NO_ATTRIBUTES",
    "Attributes",
    "AveragedLagrangian",
    "GeneralPairwiseLagrangian",
    "Lagrangian",
    "LagrangianSum",
    "LinearLagrangian",
    "Neighbourhood",
    "NeuralLagrangian",
    "NeuralMechanicalLagrangian",
    "NeuralSeparableLagrangian",
    "Pairs",
    "PairwiseLagrangian",
    "SeparableLagrangian",
    "are_to_come",
    "attributes_of_points",
    "check_activation",
    "check_local",
    "columns_in_momentum",
    "given_attributes",
    "in_both_orders",
    "in_unit_of",
    "inertia_of",
    "inertia_times",
    "linear_output",
    "mean_of_orders",
    "over_pairs",
    "sampled_pairs",
    "symmetric_attributes",
    "symmetric_size",
    "takes_new_attributes",
    "values_for",
    "widened",
    "with_attributes",
    "with_attributes_of",
    "with_inputs",
]
