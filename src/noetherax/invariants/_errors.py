"""Why a search for invariants ends without a result."""

from typing import final

NEARLY = (
    "Numbers that should agree, such as two frequencies, a frequency and a multiple of another, or "
    "a coupling and zero, do so nearly: make them agree exactly, or differ clearly. Or else the "
    "generators are noisy or their coordinates ill-conditioned: give them in float64, in coordinates "
    "that make their entries of similar size."
)


@final
class IllConditioned(ValueError):
    """Whether something is invariant, or new, cannot be told from rounding."""


@final
class Incomplete(ValueError):
    """Polynomials are not all the invariants that there are."""


@final
class TooManyTensors(ValueError):
    """A representation has more invariant tensors than anyone could use as features."""
