"""Learned dynamics that keep what physics conserves.

Declare what a system's symmetry does to its coordinates, and receive the invariant layer of a neural
Lagrangian and its conserved Noether charges; learn the rest from data; integrate it without losing
what was conserved.
"""

import importlib
from typing import TYPE_CHECKING

from ._balance import balance, impulses
from ._describe import GroupDescription, describe
from ._drift import drift
from ._rates import rates
from ._rollout import rollout
from ._trajectory import Trajectory
from .baselines import AccelerationLaw, EquivariantODE, NeuralODE
from .charges import Energy, MomentumMap, NoetherCharge, lift
from .data import (
    DrivenWindows,
    Observations,
    Recording,
    Smoothing,
    TimedObservations,
    TimedWindows,
    Tracks,
    Windows,
    smooth,
)
from .dynamics import (
    EulerLagrangeTerms,
    ForceParts,
    acceleration,
    at_time,
    energy,
    euler_lagrange_residual,
    euler_lagrange_terms,
    force_parts,
    generalised_force,
    momentum,
)
from .features import (
    AtRest,
    Comoving,
    Concatenation,
    ConfigurationFeatures,
    Coordinates,
    Determinants,
    InvariantFeatures,
    PeriodicCoordinates,
    ScalarProducts,
    Standardisation,
    StateVectors,
    TensorContractions,
    feature_names,
)
from .forces import (
    Dissipation,
    Drag,
    Driven,
    DryFriction,
    Force,
    Forced,
    Friction,
    Inputs,
    LinearFriction,
    NeuralControl,
    NeuralForce,
    PairFriction,
    QuadraticFriction,
)
from .groups import (
    AffineGroup,
    AffineProduct,
    AxialRotations,
    Euclidean,
    Lorentz,
    Orthogonal,
    Periodic,
    Poincare,
    Rotations,
    SpecialLinear,
    SpecialUnitary,
    SymmetryGroup,
    Symplectic,
    Translations,
    Trivial,
    Unitary,
    component_representatives,
    periods,
)
from .lagrangians import (
    AveragedLagrangian,
    GeneralPairwiseLagrangian,
    Lagrangian,
    LagrangianSum,
    LinearLagrangian,
    NeuralLagrangian,
    NeuralMechanicalLagrangian,
    NeuralSeparableLagrangian,
    PairwiseLagrangian,
    SeparableLagrangian,
    with_attributes,
)
from .losses import (
    AccelerationLoss,
    DiscreteLoss,
    ForceLoss,
    ForceObservations,
    Loss,
    RelativeAccelerationLoss,
    TrajectoryLoss,
)
from .solvers import (
    RK4,
    Compensated,
    LagrangianTerm,
    VariationalGauss4,
    VariationalGauss6,
    VariationalMidpoint,
)
from .training import (
    Checkpoints,
    History,
    Report,
    Validation,
    default_optimizer,
    fit,
    fit_ensemble,
    load,
    load_metadata,
    polish,
    prepare,
    regular_start,
    save,
    standardise,
    trainable,
)

if TYPE_CHECKING:
    from .evaluation import Evaluation, Measure, evaluate

__version__ = "0.2.0"

_LAZY = ("evaluation", "interop", "plot", "systems", "testing")
_OF_EVALUATION = ("Evaluation", "Measure", "evaluate")

__all__ = [
    "RK4",
    "AccelerationLaw",
    "AccelerationLoss",
    "AffineGroup",
    "AffineProduct",
    "AtRest",
    "AveragedLagrangian",
    "AxialRotations",
    "Checkpoints",
    "Comoving",
    "Compensated",
    "Concatenation",
    "ConfigurationFeatures",
    "Coordinates",
    "Determinants",
    "DiscreteLoss",
    "Dissipation",
    "Drag",
    "Driven",
    "DrivenWindows",
    "DryFriction",
    "Energy",
    "EquivariantODE",
    "Euclidean",
    "EulerLagrangeTerms",
    "Evaluation",
    "Force",
    "ForceLoss",
    "ForceObservations",
    "ForceParts",
    "Forced",
    "Friction",
    "GeneralPairwiseLagrangian",
    "GroupDescription",
    "History",
    "Inputs",
    "InvariantFeatures",
    "Lagrangian",
    "LagrangianSum",
    "LagrangianTerm",
    "LinearFriction",
    "LinearLagrangian",
    "Lorentz",
    "Loss",
    "Measure",
    "MomentumMap",
    "NeuralControl",
    "NeuralForce",
    "NeuralLagrangian",
    "NeuralMechanicalLagrangian",
    "NeuralODE",
    "NeuralSeparableLagrangian",
    "NoetherCharge",
    "Observations",
    "Orthogonal",
    "PairFriction",
    "PairwiseLagrangian",
    "Periodic",
    "PeriodicCoordinates",
    "Poincare",
    "QuadraticFriction",
    "Recording",
    "RelativeAccelerationLoss",
    "Report",
    "Rotations",
    "ScalarProducts",
    "SeparableLagrangian",
    "Smoothing",
    "SpecialLinear",
    "SpecialUnitary",
    "Standardisation",
    "StateVectors",
    "SymmetryGroup",
    "Symplectic",
    "TensorContractions",
    "TimedObservations",
    "TimedWindows",
    "Tracks",
    "Trajectory",
    "TrajectoryLoss",
    "Translations",
    "Trivial",
    "Unitary",
    "Validation",
    "VariationalGauss4",
    "VariationalGauss6",
    "VariationalMidpoint",
    "Windows",
    "__version__",
    "acceleration",
    "at_time",
    "balance",
    "component_representatives",
    "default_optimizer",
    "describe",
    "drift",
    "energy",
    "euler_lagrange_residual",
    "euler_lagrange_terms",
    "evaluate",
    "feature_names",
    "fit",
    "fit_ensemble",
    "force_parts",
    "generalised_force",
    "impulses",
    "lift",
    "load",
    "load_metadata",
    "momentum",
    "periods",
    "polish",
    "prepare",
    "rates",
    "regular_start",
    "rollout",
    "save",
    "smooth",
    "standardise",
    "trainable",
    "with_attributes",
]


def __getattr__(name: str):
    # Matplotlib, Hypothesis and the systems load only when they are asked for.
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    if name in _OF_EVALUATION:
        return getattr(importlib.import_module(".evaluation", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, *_LAZY])
