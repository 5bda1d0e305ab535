import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from .._types import FloatArray
from ..dynamics import forces_of, has_rule
from ..lagrangians import in_unit_of
from ..losses import check_finite, check_observations, law_of, square_errors
from ._candidates import candidates, counts_of, last_layers

SAMPLES = 1024
"""Most observations used: the unknowns are the weights of one layer."""

RIDGE = 1e-3
"""Weight of ‖w‖² relative to the mean square of the residuals' columns. Smaller ones fit the data
better, by differences of large weights that the first steps of training destroy: over 16 seeds of a
network of width 32, 1e-2 and 1e-3 lost none, 1e-5 one, 1e-7 three."""

BETTER = 0.6
"""Ratio of the odds of two starts from which on the one with a prior is taken to be the better one."""

LEARNED = 0.1
"""Part missed below which a model that is given has learned something: it is kept unless its mean error
is larger, too. With random weights about half is missed."""


def regular_start(
    lagrangian: PyTree,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    a: Float[FloatArray, "samples points space"],
    t: Float[FloatArray, " samples"] | None = None,
    u: Float[FloatArray, "samples inputs"] | None = None,
) -> PyTree:
    """Sets the last layer of a neural Lagrangian by least squares, so that training starts from a
    regular ∂²L/∂v² of the right signature, and near to the forces.

    With random weights ∂²L/∂v² has eigenvalues of either sign, one here and another there, and is
    singular in between, where the acceleration and its gradient are infinite. Training often cannot
    carry such a wall across the data, and ends before it. But L = Σ_k w_k φ_k is linear in the weights
    w of the last layer, and so are the equations of motion. Their residuals over the data,

        r_k = (∂²φ_k/∂v²) a + (∂²φ_k/∂v∂q) v − ∂φ_k/∂q,

    give w as the minimum of mean ‖Σ_k w_k r_k‖² + ρ ‖w‖² with the mean of tr(∂²L/∂v²)/n held at one,
    since the equations leave scale and sign of L free: not for laws whose trace vanishes, such as that
    of a relativistic particle on a line. The result is scaled to the norm of the random weights, whose
    place it takes.

    Some data leave more than the scale free. Where coordinates do not act on each other, as in an
    oscillator with an axis of its own, any sum of their Lagrangians obeys the data, and many of these
    sums are singular. So a second w has ∂²L/∂v² near the identity at every state, by
    mean ‖Σ_k w_k r_k‖² + η ‖a‖² mean ‖∂²L/∂v² − 1‖² + ρ ‖w‖² with a small η, and takes the place of the
    first where its acceleration is clearly nearer to the data's.

    Where a few samples would rule such a mean, as close encounters do among bodies that attract each
    other, each counts relative to its acceleration, whatever the loss: then [`noetherax.fit`][] takes
    such a loss, too, if none is named.

    Forces beside L stand on the other side, as they are now, and set its scale: w is the minimum of
    mean ‖Σ_k w_k r_k − Q‖² + ρ ‖w‖², or the one above in the scale in which Q fits best, whichever has
    the nearer acceleration.

    Where ∂²L/∂v² does not depend on these weights, as in [`noetherax.NeuralSeparableLagrangian`][] and
    [`noetherax.NeuralMechanicalLagrangian`][], whose last layer is that of the potential, nothing of
    L is left free: the residuals are r₀ + Σ_k w_k r_k, and w is the minimum of
    mean ‖r₀ + Σ_k w_k r_k‖² + ρ ‖w‖². Where they add to masses that L has
    ([`leading_inertia`][noetherax.dynamics.leading_inertia]), as in
    [`noetherax.GeneralPairwiseLagrangian`][], it is that minimum, or the one that changes nothing of
    the mean trace, whichever has the nearer acceleration.

    [`noetherax.fit`][] does this, once, with a model that is new to it.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        model = nx.standardise(model, q, v)
        started = nx.regular_start(model, q, v, -q)
        loss = eqx.filter_jit(nx.AccelerationLoss())
        assert loss(started, (q, v, -q)) < loss(model, (q, v, -q))
        ```

    **Arguments:**

    - `lagrangian`: a standardised neural Lagrangian, or a model that is linear in the last layers of
        those it holds, such as an [`noetherax.AveragedLagrangian`][] of one. Any other (a
        [`noetherax.NeuralLagrangian`][] with a known Lagrangian added, for instance) is returned as
        it is. Types of yours register which weights they are linear in, see
        [`linear_weights`][noetherax.features.linear_weights].
    - `q`, `v`, `a`: observations, of which a thousand are used.
    - `t`, `u`: their times and inputs, for a model that depends on them.

    **Returns:**

    The model with other last layers, or the one given if its acceleration is nearer to the data's.

    **Raises:**

    `ValueError` or `TypeError` as [`noetherax.fit`][] does, if the observations are not finite, or not
    of one shape and the precision of the weights.
    """
    given_states = (q, v, a) if t is None else (q, v, a, t, u)
    observations = check_observations(given_states)
    observations = tuple(None if x is None else jnp.asarray(x) for x in observations)
    check_finite(observations)
    states = every(observations, 0, -(-len(q) // SAMPLES))
    given, plain, definite = candidates(lagrangian, states, [RIDGE])
    if not plain:
        return lagrangian
    of_given = part_missed(given, states)
    found, of_found = _nearest(plain, states)
    if definite:
        other, of_other = _nearest(definite, states)
        if odds(of_other) < BETTER * odds(of_found):
            found, of_found = other, of_other
    if of_given <= of_found:
        return given
    if of_given < LEARNED:
        means = [np.mean(counts_of(states[2]) * square_errors(x, states)) for x in (given, found)]
        return found if means[1] < means[0] else given
    return found


def _nearest(models: list[PyTree], states: tuple) -> tuple[PyTree, float]:
    """The model that misses least, and what it misses."""
    missed = [part_missed(model, states) for model in models]
    best = int(np.argmin(missed))
    return models[best], missed[best]


def odds(missed: float) -> float:
    """e/(1 − e) of a part missed: their ratios tell starts apart, be they near or far."""
    return missed / (1 - missed) if missed < 1 else math.inf


def part_missed(model: PyTree, states: tuple) -> float:
    """The mean of e/(e + ‖a‖²) over states, e the squared error of a model's acceleration. It goes from
    0 to 1, so that a few singular states do not decide."""
    return float(np.mean(parts_missed(model, states)))


def parts_missed(model: PyTree, states: tuple) -> np.ndarray:
    """What `part_missed` is the mean of: e/(e + ‖a‖²) at every state."""
    size = np.mean(np.square(np.asarray(states[2], float)), axis=(1, 2))
    error = square_errors(model, states)
    with np.errstate(invalid="ignore"):
        part = error / (error + size)
    # Neither force nor error, or an infinite error.
    part = np.where(error > 0, part, 0)
    return np.where(np.isfinite(part), part, 1)


def regular_start_of(loss: Callable, model: PyTree, states: tuple) -> PyTree:
    """The same for the law that the states of a loss follow; the model is the one that is changed."""
    law = law_of(loss, model)
    found = regular_start(law, *states)
    layers = last_layers(model)
    if not layers:
        return model
    found = eqx.tree_at(last_layers, model, last_layers(found))
    # Beside forces that are known L has a scale. Weights are of order one, whatever the unit of mass.
    return _in_units_of(model, found) if forces_of(law) else found


def _in_units_of(model: PyTree, found: PyTree) -> PyTree:
    """The model found, in units in which last layers are as large as those of the model given."""

    def has_unit(node: Any) -> bool:
        return has_rule(in_unit_of, type(node))

    return jax.tree.map(
        lambda before, after: in_unit_of(after, before), model, found, is_leaf=has_unit
    )


def every(observations: tuple, first: int, stride: int) -> tuple:
    return tuple(None if x is None else x[first::stride] for x in observations)
