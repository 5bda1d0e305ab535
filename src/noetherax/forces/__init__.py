"""Forces beside a Lagrangian: known ones, neural ones, friction, and what drives them."""

from ._arguments import arguments_of, called
from ._base import Force
from ._forced import Forced
from ._inputs import Driven, Inputs, Kind

__all__ = ["Driven", "Force", "Forced", "Inputs", "Kind", "arguments_of", "called"]
