"""Learning a Lagrangian from data: losses, the training loop, and files."""

from . import _pickling  # noqa: F401 (registers)
from ._checkpoints import Checkpoints
from ._discrete_loss import discrete_euler_lagrange_loss
from ._ensemble import fit_ensemble
from ._files import load, load_metadata, save
from ._fit import fit
from ._loop import History
from ._losses import (
    acceleration_loss,
    acceleration_residual,
    relative_acceleration_loss,
    relative_acceleration_residual,
)
from ._optimizer import default_optimizer
from ._polish import polish
from ._regular_start import regular_start
from ._trainable import standardise, trainable
from ._trajectory_loss import trajectory_loss

__all__ = [
    "Checkpoints",
    "History",
    "acceleration_loss",
    "acceleration_residual",
    "default_optimizer",
    "discrete_euler_lagrange_loss",
    "fit",
    "fit_ensemble",
    "load",
    "load_metadata",
    "polish",
    "regular_start",
    "relative_acceleration_loss",
    "relative_acceleration_residual",
    "save",
    "standardise",
    "trainable",
    "trajectory_loss",
]
