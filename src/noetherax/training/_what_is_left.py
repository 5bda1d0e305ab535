"""Whether what a law leaves unexplained is noise, or a function of the state that it did not learn."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import PyTree

from .._programs import run
from ..losses import Loss
from ._batches import at_most
from ._observed import states_in

ENOUGH = 64
"""States below which neighbours say nothing."""

COSINE = 0.3
"""Mean cosine from which on what is left is called a function of the state. Of noise it is zero but for
chance, and half of a function beside half of noise has about this."""

CHANCE = 5.0
"""Standard deviations of the mean cosine of pure noise by which it has to be larger, besides."""


def cosine_between_neighbours(loss: Callable, model: PyTree, drawn: PyTree) -> float | None:
    """The mean cosine between what is left at a state and at its nearest neighbour, if it is clearly
    more than that of noise; `None` if it is not, if residuals are not those of single states, or if
    these are few.

    Noise knows nothing of its neighbour's, and has a mean cosine of zero; a smooth function of the
    state has one. Sizes do not count, so that a few large residuals do not decide, and coordinates and
    velocities count in units of their deviations."""
    if not isinstance(loss, Loss):
        return None
    batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), at_most(drawn))
    states = states_in(loss, batch)
    if states is None or states[2] is None:
        return None
    left = np.asarray(run(_residuals, loss, model, batch), float).reshape(len(states[0]), -1)
    if left.shape[1] != states[0][0].size:
        return None  # of windows, or of something else than accelerations
    known = states[:2] + states[3:]  # accelerations hold the noise themselves
    parts = [np.asarray(x, float).reshape(len(left), -1) for x in known if x is not None]
    at = np.concatenate(parts, axis=1)
    cosines = cosines_of_neighbours(at, left)
    if len(cosines) < ENOUGH:
        return None
    mean = float(np.mean(cosines))
    return mean if mean > max(COSINE, CHANCE * np.std(cosines) / np.sqrt(len(cosines))) else None


def cosines_of_neighbours(at: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The cosine between each row of `left` and that of the nearest other one of `at`."""
    finite = np.all(np.isfinite(left), axis=1) & np.any(left != 0, axis=1)
    # A state that was recorded twice brings its noise along.
    at, first = np.unique(at[finite], axis=0, return_index=True)
    left = left[finite][first]
    if len(at) < 2:
        return np.zeros(0)
    deviations = np.std(at, axis=0)
    at = (at - np.mean(at, axis=0)) / np.where(deviations > 0, deviations, 1)
    from scipy.spatial import KDTree  # here, since it is slow to import

    nearest = np.asarray(KDTree(at).query(at, k=2)[1])[:, 1]  # the first is itself
    directions = left / np.linalg.norm(left, axis=1, keepdims=True)
    return np.sum(directions * directions[nearest], axis=1)


def _residuals(loss, model, batch):
    return loss.residuals(model, batch)
