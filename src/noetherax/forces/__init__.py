"""Forces beside a Lagrangian: known ones, neural ones, friction, and what drives them."""

from ._arguments import arguments_of, called
from ._base import Force
from ._dissipation import Dissipation
from ._drag import Drag
from ._forced import Forced
from ._friction import DryFriction, LinearFriction, QuadraticFriction
from ._inputs import Driven, Inputs, Kind
from ._jumps import are_steady, held_until, jumps_in, jumps_of, just_before, kinks_within, together
from ._neural import NeuralControl, NeuralForce
from ._neural_friction import Friction
from ._pair_friction import PairFriction
from ._scale import ForceScale, Motions, is_unscaled, scaled_force

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
    "Motions",
    "NeuralControl",
    "NeuralForce",
    "PairFriction",
    "QuadraticFriction",
    "are_steady",
    "arguments_of",
    "called",
    "held_until",
    "is_unscaled",
    "jumps_in",
    "jumps_of",
    "just_before",
    "kinks_within",
    "scaled_force",
    "together",
]
