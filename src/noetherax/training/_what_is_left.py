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

ALIKE = 0.3
"""Likeness of neighbours from which on what is left is called a function of the state. Noise has zero
but for chance, and half of a function beside half of noise has about this."""

CHANCE = 5.0
"""Standard errors, of as many independent pairs as there are states, by which it has to be larger."""

SAME = 1e-5
"""Distance, in units of the deviations, below which two states are one that was recorded twice. It
brings its noise along."""


def likeness_of_neighbours(loss: Callable, model: PyTree, drawn: PyTree) -> float | None:
    """How alike what is left is at a state and at its nearest neighbour, from 0 for noise to 1 for a
    smooth function of the state, if it is clearly more than that of noise; `None` if it is not, if
    residuals are not those of single states, or if these are few.

    Coordinates and velocities count in units of their deviations, and times where they are known."""
    if not isinstance(loss, Loss):
        return None
    batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), at_most(drawn))
    states = states_in(loss, batch)
    if states is None or states[2] is None:
        return None
    left = np.asarray(run(_residuals, loss, model, batch), float)
    if len(left) != len(states[0]) or left[0].size != states[0][0].size:
        return None  # of windows, or of something else than a force at every state
    # Not accelerations and inputs: one of them is what was measured, and holds the noise itself.
    known = (*states[:2], *states[3:4])
    parts = [np.asarray(x, float).reshape(len(left), -1) for x in known if x is not None]
    alike, chance = likeness(np.concatenate(parts, axis=1), left.reshape(len(left), -1))
    return alike if alike > max(ALIKE, CHANCE * chance) else None


def likeness(at: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """The likeness of rows of `left` that are neighbours in `at`, and the standard error of it.

    It is the mean cosine between them, in which sizes do not count, so that a few large rows do not
    decide. The direction of all rows is taken out of it, since skewed noise has one, too; but not their
    mean, which such noise does not have: its share of the mean square is added."""
    finite = np.all(np.isfinite(left), axis=1) & np.any(left != 0, axis=1)
    at, left = at[finite], left[finite]
    if len(at) < ENOUGH:
        return 0.0, np.inf
    deviations = np.std(at, axis=0)
    at = (at - np.mean(at, axis=0)) / np.where(deviations > 0, deviations, 1)
    _, first = np.unique(np.round(at / SAME), axis=0, return_index=True)
    at, left = at[first], left[first]
    if len(at) < ENOUGH:
        return 0.0, np.inf
    from scipy.spatial import KDTree  # here, since it is slow to import

    nearest = np.asarray(KDTree(at).query(at, k=2)[1])[:, 1]  # the first is itself
    directions = left / np.linalg.norm(left, axis=1, keepdims=True)
    cosines = np.sum(directions * directions[nearest], axis=1)
    of_all = np.sum(np.square(np.mean(directions, axis=0)))
    share = np.sum(np.square(np.mean(left, axis=0))) / np.mean(np.sum(np.square(left), axis=1))
    alike = float(np.mean(cosines) - of_all + share)
    return min(alike, 1.0), float(np.std(cosines) / np.sqrt(len(cosines)))


def _residuals(loss, model, batch):
    return loss.residuals(model, batch)
