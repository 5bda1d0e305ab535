"""What `fit` does with a model that is new to it, before the first step: chosen by trying."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._types import Model
from ..dynamics import depends_on_time, forces_of
from ..features import Bend, standardisation_of
from ..losses import AccelerationLoss, law_of
from ._batches import samples_at
from ._checks import check_flag, check_loss, check_precision
from ._default_loss import suited
from ._first_layers import best_first_layers
from ._force_units import motions_of, new_forces, silenced, with_forces
from ._observed import as_samples, first_look, states_of
from ._regular_start import odds, regular_start_of
from ._trainable import (
    chosen_leaves,
    is_new,
    needs_standardisation,
    standardised,
    with_attribute_units,
)
from ._trial import trial_of

BETTER = 0.6
"""Ratio of the odds of two starts, e/(1 − e) of an error e from 0 to 1, from which on that with bends
is taken to be the better one. Of laws of attraction it was at most 0.52 over widths, amounts of data
and seeds; of an oscillator, which needs none, at least 0.68, where friction still to be learned hides
the difference. Only where few data explained little was it 0.52 as well."""

POOR, POOR_OF_FEW = 0.8, 0.5
"""Errors of starts that explain too little to decide anything: from many data, and from few."""

FEW = 2048
"""Components of accelerations that are many: half of them fill the trial's network."""

RIGHT = 1e-4
"""Error of a start that needs no bends: it is right to a hundredth. Near to nothing, ratios of errors
say little, and a feature that is not bent goes on to zero as it is."""

BENDS: tuple[Bend, ...] = (None, "logarithm", "inverse")
"""What is tried. The first needs no reason; of the others the better one has to be clearly better."""


class Preparation(NamedTuple):
    """The model that training starts from, and what was done with it, in words."""

    model: PyTree
    description: str


def prepare(
    model: Model,
    observations: Any,
    *,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]] | None = None,
    mask: PyTree | None = None,
    first_layer: bool = True,
    key: PRNGKeyArray | None = None,
) -> tuple[Model, str]:
    """Makes a model that is new ready to train on observations, as [`noetherax.fit`][] does before its
    first step unless told not to.

    Neural Lagrangians that have no standardisation yet get one from the states of the data, as by
    [`noetherax.standardise`][]. Where the loss knows accelerations, features of position are bent only
    if least squares with bends come clearly nearer to them, of which each kind is tried. The trial has
    a network of its own, so that features and data alone decide. A model that is new altogether gets
    the last layer of [`noetherax.regular_start`][]. Where that leaves much of the accelerations
    unexplained, first layers are tried that are spread over the data, with larger weights and with
    biases, and taken if a brief training brings them clearly nearer to accelerations that they have not
    seen; not beside new forces, whose part is still to be learned, nor before a fit of no more than the
    600 steps of such a trial.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        prepared, done = nx.prepare(model, nx.Observations(q, v, a=-q))
        print(done)
        assert "last layer by least squares" in done
        again, nothing = nx.prepare(prepared, nx.Observations(q, v, a=-q))
        assert nothing == ""  # it has seen data already
        ```

    **Arguments:**

    - `model`: usually a [`noetherax.NeuralLagrangian`][]; not changed. One that has seen data comes
        back as it is.
    - `observations`, `loss`, `mask`: as in [`noetherax.fit`][].
    - `first_layer`: whether first layers may be changed, too.
    - `key`: random key for a sampler.

    **Returns:**

    The model, and what was done with it, in words.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does, in particular if a batch holds no states.
    """
    given, loss = loss, AccelerationLoss() if loss is None else loss
    check_loss(loss)
    check_flag("first_layer", first_layer)
    if callable(observations) and key is None:
        raise TypeError("A sampler needs a random key: prepare(..., key=jax.random.key(0)).")
    observations = as_samples(observations, loss, model)
    _, drawn = first_look(observations, loss, key)
    chosen = chosen_leaves(model, mask)
    check_precision(eqx.filter(model, chosen), drawn)
    return prepared(model, drawn, suited(given, [drawn])[0], mask, first_layer)


def prepared(
    lagrangian: PyTree,
    drawn: PyTree,
    loss: Callable,
    mask: PyTree | None,
    first_layer: bool = True,
) -> Preparation:
    """A model with its standardisation; and, if it is new and accelerations are known, from a regular
    start. Which features are bent the accelerations decide, where there are any. New forces get their
    units last, when the scale of L is known."""
    forces = new_forces(lagrangian)
    if not forces and not needs_standardisation(lagrangian):
        return Preparation(lagrangian, "")
    states = states_of(loss, drawn)
    if states is None:
        batch = jax.tree.map(lambda x: x[0], drawn)
        raise TypeError(
            "To prepare a model, fit takes the states of the data: those of a noetherax.Loss, "
            "or q and v, each of shape (samples, points, space), as the first two members of a batch. "
            f"But the batch is {eqx.tree_pformat(batch)}. Pass preparation=False, and call "
            "noetherax.standardise(lagrangian, q, v) before."
        )
    if len(states) > 4 and states[4] is not None:
        lagrangian = with_attribute_units(lagrangian, states[4])
        forces = new_forces(lagrangian)
    silent = silenced(lagrangian, forces, states) if forces else lagrangian
    # What forces that are still to be learned leave is not for the network to explain.
    prepared = _prepared(silent, states, loss, mask, first_layer and not forces)
    if not forces:
        return prepared
    model = with_forces(prepared.model, forces, motions_of(loss, prepared.model, states))
    notes = (prepared.description, f"{len(forces)} new force(s) in units of the data")
    return Preparation(model, "; ".join(filter(None, notes)))


def _prepared(
    lagrangian: PyTree, states: tuple, loss: Callable, mask: PyTree | None, first_layer: bool
) -> Preparation:
    q, v, a, *instant = states
    notes: list[str] = []
    if not needs_standardisation(lagrangian):
        return Preparation(lagrangian, "")
    if a is None:
        model = standardised(lagrangian, q, v, lambda fitted: _untried(fitted, notes))
        return Preparation(model, "; ".join(notes))
    finite = np.flatnonzero(np.all(np.isfinite(a), axis=(1, 2)))
    data = samples_at((q, v, a, *instant), finite)
    law = law_of(loss, lagrangian)
    if forces_of(law) or depends_on_time(law):
        model = _tried_whole(lagrangian, loss, (q, v), data, notes)
    else:
        model = standardised(lagrangian, q, v, lambda fitted: _tried(fitted, data[:3], notes))
    start = model
    if is_new(lagrangian) and mask is None:
        start = regular_start_of(loss, model, data)
        solved = not _equal(start, model)
        notes.append(f"last layer {'by least squares' if solved else 'as it was'}")
        if first_layer and solved and len(data[0]) > 1:
            start, told = best_first_layers(loss, model, start, data)
            notes += [told] if told else []
    return Preparation(start, "; ".join(notes))


def _equal(one: PyTree, other: PyTree) -> bool:
    """Whether two models have the same numbers."""
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(x is y or np.array_equal(x, y) for x, y in leaves if eqx.is_array(x))


def _untried(fitted: Callable, notes: list[str]):
    bent = fitted("logarithm")
    untried = ", as no accelerations were there to try" if _count(bent) else ""
    notes.append(_bent(bent, "logarithm") + untried)
    return bent


def _tried(fitted: Callable, data, notes: list[str]):
    """A neural Lagrangian with its features bent in one way or not, whichever gets nearest to the
    accelerations by its last layer alone."""
    tried = [fitted(bend) for bend in BENDS]
    names = list(map(_bent, tried, BENDS))

    def error(neural):
        return trial_of(AccelerationLoss(), neural, data)

    return _nearest(tried, names, error, data[2].size, notes)


def _tried_whole(model: PyTree, loss: Callable, states, data, notes: list[str]) -> PyTree:
    """The same where forces act or time counts: a neural Lagrangian alone then says nothing of the
    accelerations, so that all of the model have their features bent in one way."""
    whole = [_standardised_whole(model, states, bend) for bend in BENDS]
    tried, names = zip(*whole, strict=True)

    def error(model):
        return trial_of(loss, model, data)

    return _nearest(tried, names, error, data[2].size, notes)


def _standardised_whole(model: PyTree, states, bend: Bend) -> tuple[PyTree, str]:
    parts: list[str] = []

    def chosen(fitted: Callable):
        neural = fitted(bend)
        parts.append(_bent(neural, bend))
        return neural

    q, v = states
    return standardised(model, q, v, chosen), "; ".join(parts)


def _nearest(
    tried: Sequence, names: Sequence[str], error: Callable, components: int, notes: list[str]
):
    """The better one with bends if its start is clearly better than that without, else that without."""
    if len(set(names)) == 1:
        notes.append(names[0])
        return tried[0]
    known: dict[str, float] = {}
    for name, model in zip(names, tried, strict=True):
        # Where the plain features are right, nothing is bent, and no more need be tried.
        if name not in known and (not known or known[names[0]] > RIGHT):
            known[name] = error(model)
    errors = [known.get(name, math.nan) for name in names]
    best = 0
    if errors[0] > RIGHT:
        bent = 1 + int(np.argmin(errors[1:]))
        better = odds(errors[bent]) < BETTER * odds(errors[0])
        told_enough = errors[bent] < (POOR if components >= FEW else POOR_OF_FEW)
        best = bent if better and told_enough else 0
    told = zip(("without", *BENDS[1:]), errors, strict=True)
    starts = ", ".join(f"{how} {x:.2g}" for how, x in told if not math.isnan(x))
    notes.append(f"{names[best]} (part missed by trials: {starts})")
    return tried[best]


def _count(neural) -> int:
    return int(np.sum(_bends(neural) > 0))


def _bends(neural) -> np.ndarray:
    standardisation: Any = standardisation_of(neural)  # there is one: it has just been set
    return np.asarray(standardisation.bends)


def _bent(neural, bend: Bend) -> str:
    how = f" ({bend})" if _count(neural) else ""
    return f"{_count(neural) or 'none'} of {len(_bends(neural))} features bent{how}"
