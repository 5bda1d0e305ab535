"""Lagrangians: analytic ones by subclassing, neural ones of invariant features, and sums of both."""

from ._base import Lagrangian
from ._neural import NeuralLagrangian
from ._sum import LagrangianSum

__all__ = ["Lagrangian", "LagrangianSum", "NeuralLagrangian"]
