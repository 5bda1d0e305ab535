"""Laws of groups, features, Lagrangians and charges, for your own objects as for ours.

Needs the extra `testing` (Hypothesis).
"""

from ._checks import check_charge, check_features, check_group, check_lagrangian
from ._strategies import group_elements, states

__all__ = [
    "check_charge",
    "check_features",
    "check_group",
    "check_lagrangian",
    "group_elements",
    "states",
]
