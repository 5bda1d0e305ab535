"""Invariant maps of (q, v), and of q alone. They know nothing of groups."""

from ._base import InvariantFeatures
from ._comoving import Comoving, Turn
from ._concatenation import Concatenation
from ._configuration import AtRest, ConfigurationFeatures
from ._contractions import TensorContractions, contract
from ._coordinates import Coordinates
from ._determinants import Determinants
from ._exchange import ExchangeFeatures, generic_pairs
from ._names import feature_names
from ._periodic import PeriodicCoordinates
from ._prepared import linear_weights, standardisation_of, standardised_part
from ._relative import RelativeVelocities
from ._scalar_products import ScalarProducts
from ._standardisation import Bend, Standardisation, check_bend
from ._units import Unit
from ._vectors import StateVectors
from ._without_velocity import WithoutVelocity

__all__ = [
    "AtRest",
    "Bend",
    "Comoving",
    "Concatenation",
    "ConfigurationFeatures",
    "Coordinates",
    "Determinants",
    "ExchangeFeatures",
    "InvariantFeatures",
    "PeriodicCoordinates",
    "RelativeVelocities",
    "ScalarProducts",
    "Standardisation",
    "StateVectors",
    "TensorContractions",
    "Turn",
    "Unit",
    "WithoutVelocity",
    "check_bend",
    "contract",
    "feature_names",
    "generic_pairs",
    "linear_weights",
    "standardisation_of",
    "standardised_part",
]
