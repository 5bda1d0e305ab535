"""Lie algebras of affine groups: generators as matrices, read, checked and balanced once, and their
exponential."""

from ._algebra import AffineAlgebra, translations
from ._balance import balance
from ._blocks import blocks, restrict
from ._checked import CheckedAlgebra, check_precision, checked_algebra
from ._exponential import affine_exponential
from ._reading import read_algebra
from ._spans import independent_rows, null_space

__all__ = [
    "AffineAlgebra",
    "CheckedAlgebra",
    "affine_exponential",
    "balance",
    "blocks",
    "check_precision",
    "checked_algebra",
    "independent_rows",
    "null_space",
    "read_algebra",
    "restrict",
    "translations",
]
