"""What acts: symmetry groups, declared by their generators."""

from ._affine import AffineGroup, declared_algebra
from ._axial import AxialRotations
from ._base import SymmetryGroup
from ._components import component_representatives
from ._euclidean import Euclidean
from ._lorentz import Lorentz
from ._orthogonal import Orthogonal
from ._periodic import Periodic
from ._periods import periods
from ._poincare import Poincare
from ._product import AffineProduct
from ._rotations import Rotations
from ._special_linear import SpecialLinear
from ._symplectic import Symplectic
from ._translations import Translations
from ._trivial import Trivial
from ._unitary import SpecialUnitary, Unitary

__all__ = [
    "AffineGroup",
    "AffineProduct",
    "AxialRotations",
    "Euclidean",
    "Lorentz",
    "Orthogonal",
    "Periodic",
    "Poincare",
    "Rotations",
    "SpecialLinear",
    "SpecialUnitary",
    "SymmetryGroup",
    "Symplectic",
    "Translations",
    "Trivial",
    "Unitary",
    "component_representatives",
    "declared_algebra",
    "periods",
]
