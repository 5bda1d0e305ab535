"""Judgements of a model against what was recorded, or against the truth."""

from . import _system as _system  # registers how a system judges a model
from . import _tracks as _tracks  # and how recordings do
from ._evaluate import evaluate
from ._judged import judged
from ._record import Evaluation, Measure

__all__ = ["Evaluation", "Measure", "evaluate", "judged"]
