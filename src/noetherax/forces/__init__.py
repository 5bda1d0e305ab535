"""Forces beside a Lagrangian: known ones, neural ones, friction, and what drives them."""

from ._arguments import arguments_of, called
from ._base import Force
from ._dissipation import Dissipation
from ._drag import Drag
from ._forced import Forced
from ._friction import DryFriction, LinearFriction, QuadraticFriction
from ._inputs import Driven, Inputs, Kind
from ._neural import NeuralControl, NeuralForce
from ._neural_friction import Friction
from ._scale import ForceScale

__all__ = [
    "Dissipation",
    "Drag",
    "Driven",
    "DryFriction",
    "Force",
    "ForceScale",
    "Forced",
    "Friction",
    "Inputs",
    "Kind",
    "LinearFriction",
    "NeuralControl",
    "NeuralForce",
    "QuadraticFriction",
    "arguments_of",
    "called",
]
