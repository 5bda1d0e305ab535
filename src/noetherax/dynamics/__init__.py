"""What a Lagrangian implies: momentum, energy, and the Euler–Lagrange equations.

`_contracts` names the functions for which types register rules; `_equations` and `_motion` have them,
with the rules that hold for all types. Then there is one file for each type with all rules of its own.
"""

from . import (  # noqa: F401 (they register)
    _average,
    _general_pairwise,
    _instant,
    _linear,
    _neural,
    _neural_mechanical,
    _pair_friction,
    _pairwise,
    _separable,
    _sum,
)
from ._closed import closure_converted
from ._contracts import RULES
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
from ._equations import (
    EulerLagrangeTerms,
    autodiff_terms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._forced import covector, forces_of, lagrangian_of, total_force
from ._inertia import constant_inertia, leading_inertia
from ._inverse import ForceParts, force_parts, generalised_force
from ._known import known, opened
from ._matrix_free import masses_for_many
from ._motion import solve_motion, terms_and_change
from ._registration import has_rule
from ._since import Since
from ._time import at_time, clock_of, depends_on_time, is_at_instant, resolved, takes_inputs
from ._without_rules import without_rules

__all__ = [
    "NOT_FINITE",
    "RULES",
    "SINGULAR",
    "EulerLagrangeTerms",
    "ForceParts",
    "Since",
    "acceleration",
    "at_time",
    "autodiff_terms",
    "clock_of",
    "closure_converted",
    "constant_inertia",
    "covector",
    "depends_on_time",
    "energy",
    "equilibrate",
    "euler_lagrange_residual",
    "euler_lagrange_terms",
    "force_parts",
    "forces_of",
    "generalised_force",
    "has_rule",
    "is_at_instant",
    "is_finite",
    "is_regular",
    "known",
    "lagrangian_gradient",
    "lagrangian_of",
    "leading_inertia",
    "masses_for_many",
    "momentum",
    "opened",
    "resolved",
    "solve_motion",
    "solve_symmetric",
    "solve_terms",
    "takes_inputs",
    "terms_and_change",
    "total_force",
    "without_rules",
]
