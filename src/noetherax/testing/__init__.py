"""Laws of groups, features, Lagrangians, charges, forces, solvers and losses, for your own as for ours.

Needs the extra `testing` (Hypothesis).
"""

try:
    import hypothesis as hypothesis
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "noetherax.testing draws its cases with Hypothesis, which is not installed: "
        "pip install 'noetherax[testing]'",
        name=error.name,
    ) from error

from ._checks import check_configuration_features, check_features, check_group
from ._elements import group_elements
from ._evidence import Seen
from ._force_states import instants
from ._force_subject import Force, check_force
from ._laws import laws
from ._loss_subject import Loss, check_loss
from ._motion_checks import check_charge, check_lagrangian
from ._parametrize import parametrize_with_laws
from ._rules import check_rules
from ._solver_subject import Solver, check_solver
from ._states import states
from ._subjects import Charge, ConfigurationFeatures, Features, Group, Lagrangian
from ._weights import weights

__all__ = [
    "Charge",
    "ConfigurationFeatures",
    "Features",
    "Force",
    "Group",
    "Lagrangian",
    "Loss",
    "Seen",
    "Solver",
    "check_charge",
    "check_configuration_features",
    "check_features",
    "check_force",
    "check_group",
    "check_lagrangian",
    "check_loss",
    "check_rules",
    "check_solver",
    "group_elements",
    "instants",
    "laws",
    "parametrize_with_laws",
    "states",
    "weights",
]
