"""What a Lagrangian implies: momentum, energy, and the Euler–Lagrange equations."""

from . import _closed_form as _closed_form  # registers the rule of neural Lagrangians
from . import _separable as _separable  # and of constant mass matrices
from ._closed import closure_converted, known, opened
from ._derived import (
    NOT_FINITE,
    SINGULAR,
    acceleration,
    energy,
    equilibrate,
    is_finite,
    is_regular,
    momentum,
    solve_terms,
)
from ._elimination import solve_symmetric
from ._gradient import lagrangian_gradient
from ._motion import solve_motion
from ._residual import euler_lagrange_residual
from ._terms import EulerLagrangeTerms, autodiff_terms, euler_lagrange_terms

__all__ = [
    "NOT_FINITE",
    "SINGULAR",
    "EulerLagrangeTerms",
    "acceleration",
    "autodiff_terms",
    "closure_converted",
    "energy",
    "equilibrate",
    "euler_lagrange_residual",
    "euler_lagrange_terms",
    "is_finite",
    "is_regular",
    "known",
    "lagrangian_gradient",
    "momentum",
    "opened",
    "solve_motion",
    "solve_symmetric",
    "solve_terms",
]
