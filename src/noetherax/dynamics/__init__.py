"""What a Lagrangian implies: momentum, energy, and the Euler–Lagrange equations."""

from . import _closed_form as _closed_form  # registers the rule of neural Lagrangians
from ._derived import acceleration, energy, momentum, solve_terms
from ._terms import EulerLagrangeTerms, autodiff_terms, euler_lagrange_terms

__all__ = [
    "EulerLagrangeTerms",
    "acceleration",
    "autodiff_terms",
    "energy",
    "euler_lagrange_terms",
    "momentum",
    "solve_terms",
]
