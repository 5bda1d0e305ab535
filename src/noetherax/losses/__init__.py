"""What a model is judged by: residuals of a batch, and the states in it."""

from ._acceleration import AccelerationLoss, RelativeAccelerationLoss, square_errors
from ._base import Loss, States
from ._checks import check_finite, check_observations
from ._discrete import DiscreteLoss
from ._forces import ForceLoss, ForceObservations, law_of
from ._instants import at_instants, by_samples, check_kind, holds_times
from ._samples import samples_of
from ._trajectory import TrajectoryLoss

__all__ = [
    "AccelerationLoss",
    "DiscreteLoss",
    "ForceLoss",
    "ForceObservations",
    "Loss",
    "RelativeAccelerationLoss",
    "States",
    "TrajectoryLoss",
    "at_instants",
    "by_samples",
    "check_finite",
    "check_kind",
    "check_observations",
    "holds_times",
    "law_of",
    "samples_of",
    "square_errors",
]
