"""Learning a Lagrangian from data: losses, the training loop, and files."""

from ._files import load, load_metadata, save
from ._fit import History, fit
from ._losses import Observations, acceleration_loss, relative_acceleration_loss
from ._optimizer import default_optimizer
from ._trainable import standardise, trainable

__all__ = [
    "History",
    "Observations",
    "acceleration_loss",
    "default_optimizer",
    "fit",
    "load",
    "load_metadata",
    "relative_acceleration_loss",
    "save",
    "standardise",
    "trainable",
]
