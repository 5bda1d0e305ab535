"""Diffrax solvers that Diffrax lacks."""

from ._compensated import Compensated, by_default
from ._control import RelativeController
from ._diffrax_options import diffrax_options
from ._endings import (
    ENDS,
    LEAVES,
    Equations,
    cause,
    equations_at,
    warn_of_length,
    warn_of_rounding,
    where_lost,
)
from ._formulation import (
    Formulation,
    asks_in_turn,
    check_formulated,
    first_memory,
    for_adjoint,
    for_single_steps,
    formulate,
    keeps_charges,
)
from ._gauss import VariationalGauss4, VariationalGauss6, VariationalMidpoint
from ._options import check_kind, check_options, chosen_steps, in_precision
from ._quadrature import Nodes, quadrature
from ._rk4 import RK4
from ._term import LagrangianTerm
from ._times import plan_times
from ._variational import VariationalSolver, velocity

__all__ = [
    "ENDS",
    "LEAVES",
    "RK4",
    "Compensated",
    "Equations",
    "Formulation",
    "LagrangianTerm",
    "Nodes",
    "RelativeController",
    "VariationalGauss4",
    "VariationalGauss6",
    "VariationalMidpoint",
    "VariationalSolver",
    "asks_in_turn",
    "by_default",
    "cause",
    "check_formulated",
    "check_kind",
    "check_options",
    "chosen_steps",
    "diffrax_options",
    "equations_at",
    "first_memory",
    "for_adjoint",
    "for_single_steps",
    "formulate",
    "in_precision",
    "keeps_charges",
    "plan_times",
    "quadrature",
    "velocity",
    "warn_of_length",
    "warn_of_rounding",
    "where_lost",
]
