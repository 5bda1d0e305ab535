"""What acts: symmetry groups, declared by their generators."""

from ._affine import AffineGroup
from ._base import SymmetryGroup
from ._product import AffineProduct
from ._rotations import Rotations
from ._translations import Translations
from ._trivial import Trivial

__all__ = [
    "AffineGroup",
    "AffineProduct",
    "Rotations",
    "SymmetryGroup",
    "Translations",
    "Trivial",
]
