"""Diffrax solvers that Diffrax lacks."""

from ._control import EndingController, RelativeController, StateRounding
from ._gauss import VariationalGauss4, VariationalGauss6, VariationalMidpoint
from ._options import check_options, chosen_steps, in_precision
from ._rk4 import RK4
from ._term import LagrangianTerm
from ._times import plan_times
from ._variational import VariationalSolver, velocity

__all__ = [
    "RK4",
    "EndingController",
    "LagrangianTerm",
    "RelativeController",
    "StateRounding",
    "VariationalGauss4",
    "VariationalGauss6",
    "VariationalMidpoint",
    "VariationalSolver",
    "check_options",
    "chosen_steps",
    "in_precision",
    "plan_times",
    "velocity",
]
