from collections.abc import Callable

import numpy as np
from jaxtyping import PyTree

from ..dynamics import euler_lagrange_terms, lagrangian_of
from ..losses import at_instants
from ._observed import states_in


def diagnosis(message: str, lagrangian: PyTree, loss: Callable, batch: PyTree) -> str:
    """A message, and what the mass matrix on a batch says about it."""
    try:
        states = states_in(loss, batch)
        if states is None:
            raise ValueError
        q, v, _, *instant = states
        law = at_instants(lagrangian_of(lagrangian), *instant)
        mass = np.asarray(euler_lagrange_terms(law, q, v).mass_matrix, np.float64)
        condition = np.linalg.cond(mass) if np.all(np.isfinite(mass)) else np.full(1, np.inf)
        message += " The loss or its gradient is not finite."
        message += (
            f" The condition number of ∂²L/∂v² on the first batch is {np.median(condition):.2g} in "
            f"the median and {np.max(condition):.2g} at most; above {1 / np.finfo(q.dtype).eps:.1g} "
            "the Lagrangian does not determine the acceleration: do its features depend on every "
            "velocity with curvature? Below, look for a square root or a norm at zero."
        )
    except (TypeError, ValueError):
        message += " Is the loss finite on this batch?"
    return message
