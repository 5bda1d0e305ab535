"""What the features of a model are good for, told by least squares before anything is trained."""

from collections.abc import Callable

import jax
from jaxtyping import PyTree

from ..lagrangians import widened
from ..losses import law_of
from ._candidates import candidates, with_networks
from ._regular_start import SAMPLES, every, part_missed

RIDGES = (1e-3, 1e-5, 1e-7)
"""Weights of ‖w‖², as in a regular start, but nothing is trained from these, so that they may be small.
The best counts: few data would not bear the least."""

WIDTH = 128
"""Units of the hidden layers, enough for features to set the error: of a particle among Lennard-Jones
forces a width of 32 told 0.31 without bends and 0.27 with them, this one 0.23 and 0.11."""

EQUATIONS = 8, 32
"""Least and most equations for each of these units: with fewer they follow what they cannot explain,
and more add nothing but time."""


def trial_of(loss: Callable, model: PyTree, observations: tuple) -> float:
    """How far from the accelerations the last layers of a model can come at best, on states between
    those that were used, by `part_missed`.

    It is to tell what the features of a model are good for, not its network: that is made wide, and
    nothing will be trained from the weights found."""
    least, most = EQUATIONS
    samples = min(SAMPLES, max(1, most * WIDTH // observations[2][0].size))
    stride = max(2, -(-len(observations[0]) // samples))
    used = every(observations, 0, stride)
    other = every(observations, stride // 2, stride) if len(observations[0]) > 1 else used
    width = min(WIDTH, used[2].size // least)

    given, plain, definite = candidates(law_of(loss, _wide(model, width)), used, RIDGES)
    return min(part_missed(start, other) for start in (given, *plain, *definite))


def _wide(model: PyTree, width: int) -> PyTree:
    """The model with wide networks where the equations of motion are linear in their last layers."""
    return with_networks(model, lambda network: widened(network, width, jax.random.key(0)))
