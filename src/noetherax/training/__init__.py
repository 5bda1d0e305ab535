"""Learning a Lagrangian from data: the training loop, and files."""

from . import _pickling  # noqa: F401 (registers)
from ._checkpoints import Checkpoints
from ._ensemble import fit_ensemble
from ._files import load, load_metadata, save
from ._fit import fit
from ._history import History
from ._optimizer import default_optimizer
from ._polish import polish
from ._preparation import prepare
from ._regular_start import regular_start
from ._safetensors import load_safetensors, save_safetensors
from ._trainable import standardise, trainable
from ._validation import Report, Validation

__all__ = [
    "Checkpoints",
    "History",
    "Report",
    "Validation",
    "default_optimizer",
    "fit",
    "fit_ensemble",
    "load",
    "load_metadata",
    "load_safetensors",
    "polish",
    "prepare",
    "regular_start",
    "save",
    "save_safetensors",
    "standardise",
    "trainable",
]
