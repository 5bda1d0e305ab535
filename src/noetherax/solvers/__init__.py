"""Diffrax solvers that Diffrax lacks."""

from ._gauss import VariationalGauss4, VariationalGauss6, VariationalMidpoint
from ._rk4 import RK4
from ._term import LagrangianTerm
from ._variational import VariationalSolver, velocity

__all__ = [
    "RK4",
    "LagrangianTerm",
    "VariationalGauss4",
    "VariationalGauss6",
    "VariationalMidpoint",
    "VariationalSolver",
    "velocity",
]
