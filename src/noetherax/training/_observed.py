"""What a model is trained on: checked as its loss asks, and the states in it."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..data import Tracks
from ..dynamics import depends_on_time, takes_inputs
from ..lagrangians import columns_in_momentum
from ..losses import Loss, States, check_finite, check_observations, samples_of
from ._batches import first_batches

SAME = 1e-6
"""Part of an attribute by which it may change along a recording and count as constant: written with
few digits, or in single precision."""


@functools.singledispatch
def as_samples(observations: Any, loss: Callable, model: PyTree) -> Any:
    """What a loss compares, from what a user has: tracks are cut into samples, with times and inputs
    where the model depends on them."""
    return observations


@as_samples.register
def _(observations: Tracks, loss: Callable, model: PyTree):
    if not depends_on_time(model):
        return samples_of(loss, observations)
    samples = samples_of(loss, observations, timed=True)
    if np.ndim(samples.q) == 3:  # states, of which no rates of inputs are known
        _warn_of_changing_attributes(model, observations)
    return samples


@as_samples.register
def _(observations: list, loss: Callable, model: PyTree):
    return [as_samples(each, loss, model) for each in observations]  # one for each member


def _warn_of_changing_attributes(model: PyTree, tracks: Tracks) -> None:
    laws = jax.tree.leaves(model, is_leaf=lambda x: bool(columns_in_momentum(x)))
    laws = [law for law in laws if columns_in_momentum(law)]
    known = [recording for recording in tracks if recording.u is not None]
    for recording in known if laws and takes_inputs(model) else ():
        u = np.asarray(recording.u)
        for law in laws:
            columns = np.arange(u.shape[1]) % law.attributes.columns
            change = np.ptp(u, axis=0) - SAME * np.max(np.abs(u), axis=0)
            told = np.isin(columns, columns_in_momentum(law)) & (change > 0)
            if np.any(told):
                i = int(np.argmax(np.where(told, change, 0)))
                warnings.warn(
                    f"Attributes of a law of pairs change in time: input {i} of recording "
                    f"{recording.name!r} goes from {np.min(u[:, i]):.3g} to {np.max(u[:, i]):.3g}. "
                    "Momenta change with them, and a loss of accelerations takes them for constants. "
                    "noetherax.TrajectoryLoss() does not.",
                    stacklevel=2,
                )
                return


def first_look(observations: Any, loss: Callable, key) -> tuple[Any, Any]:
    """Observations, checked: the arrays, or `None` for a sampler; and first batches, stacked."""
    if not callable(observations):
        data = checked_arrays(observations, loss)
        return data, jax.tree.map(lambda x: x[None], data)
    drawn = first_batches(observations, key)
    batch = jax.tree.map(lambda x: x[0], drawn)
    states_in(loss, batch)
    check_finite(batch)
    return None, drawn


def checked_arrays(observations: Any, loss: Callable) -> PyTree:
    """Observations as JAX arrays, all with the same samples along their first axis."""
    data = tuple(observations) if isinstance(observations, list) else observations
    # Nested lists of numbers are arrays, too.
    data = jax.tree.map(_array_of_list, data, is_leaf=lambda x: isinstance(x, list))
    if not isinstance(loss, Loss) and isinstance(data, tuple):
        check_observations(data)
    states_in(loss, data)
    data = jax.tree.map(jnp.asarray, data)
    shapes = [np.shape(x) for x in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or shapes[0][:1] in ((), (0,)):
        raise ValueError(
            "observations must be arrays with the same samples along their first axis, or a sampler "
            f"key -> batch, but their shapes are {shapes}."
        )
    check_finite(data)
    return data


def _array_of_list(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, list) else x


@functools.singledispatch
def states_in(loss: Callable, batch: PyTree) -> States | None:
    """The states in a batch, which the loss checks; of a plain function of a batch its first two
    members, if they are states."""
    pair = tuple(batch[:2]) if isinstance(batch, tuple | list) else ()
    if len(pair) != 2 or any(np.ndim(x) != 3 for x in pair):
        return None
    return *pair, None


@states_in.register
def _(loss: Loss, batch: PyTree) -> States | None:
    return loss.states(batch)


def states_of(loss: Callable, drawn: PyTree) -> States | None:
    """The states in stacked batches."""
    return states_in(loss, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), drawn))
