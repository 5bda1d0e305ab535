"""What every Lagrangian gives to the rest of the library: six functions, each with a rule that holds
for any function of (q, v), by automatic differentiation.

Those rules are the referee. A type with a faster one registers it, `function.register`, and then no
part of the library asks what type it is. All rules of a type stand in one file of this folder, and
`noetherax.testing.check_rules` holds them against the referee, which differentiates the same
Lagrangian as a plain function.

A type that is more than its value (a Lagrangian with a force beside it) registers all but
`terms_and_change`, and how it is converted, `closure_converted`: else it would be taken for its value.
"""

from typing import Any

from ._equations import euler_lagrange_residual, euler_lagrange_terms, lagrangian_gradient
from ._inertia import constant_inertia
from ._motion import solve_motion, terms_and_change

RULES: tuple[Any, ...] = (
    euler_lagrange_terms,
    euler_lagrange_residual,
    terms_and_change,
    solve_motion,
    lagrangian_gradient,
    constant_inertia,
)
"""The functions for which types register rules."""
