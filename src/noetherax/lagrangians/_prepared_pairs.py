"""What laws of pairs take from the data before they train."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..features import Unit, linear_weights, standardisation_of, standardised_part
from ._general_pairwise import GeneralPairwiseLagrangian
from ._pairs import Neighbourhood
from ._pairwise import PairwiseLagrangian

MOST = 100_000
"""Most pairs by whose features a standardisation is set."""


@standardisation_of.register
def _(lagrangian: PairwiseLagrangian | GeneralPairwiseLagrangian):
    return lagrangian.pair.standardisation


@standardised_part.register
def _(lagrangian: PairwiseLagrangian | GeneralPairwiseLagrangian, q, v, bend):
    space = np.shape(q)[-1]
    seen = sampled_pairs(lagrangian.neighbourhood, q, v, type(lagrangian).__name__)
    pair = lagrangian.pair.standardised(seen.q, seen.v, bend)
    vertex = lagrangian.vertex
    if vertex is not None:
        at, moving = (np.asarray(x)[seen.chosen].reshape(-1, 1, space) for x in (q, v))
        vertex = vertex.standardised(at, moving, bend)
    size = _kinetic_size(lagrangian, np.asarray(v))
    unit = Unit.of("energy", size, lagrangian.energy_unit.value.dtype)
    return eqx.tree_at(
        lambda x: (x.pair, x.vertex, x.energy_unit),
        lagrangian,
        (pair, vertex, unit),
        is_leaf=lambda x: x is None,
    )


class SampledPairs(NamedTuple):
    """Pairs of points from data that see each other.

    - `q`, `v`: their states, shape `(pairs, 2, space)`.
    - `chosen`: the samples that they are from.
    - `number`: of pairs in a sample, in the mean.
    """

    q: np.ndarray
    v: np.ndarray
    chosen: slice
    number: float


def sampled_pairs(neighbourhood: Neighbourhood, q, v, name: str) -> SampledPairs:
    """At most `MOST` pairs from states of shape `(samples, points, space)`.

    Raises a `ValueError` that names what asks, if there are no pairs.
    """
    samples, points, space = np.shape(q)
    q, v = (np.asarray(x) for x in (q, v))
    first, second = np.triu_indices(points, 1)
    most = max(1, MOST // max(len(first), 1))
    chosen = slice(None, None, -(-samples // most))
    at, moving = q[chosen], v[chosen]
    if not len(first):
        raise ValueError(f"A {name} needs two points at least, but q is {np.shape(q)}.")
    of_pairs = (jnp.asarray(at[:, k].reshape(-1, space)) for k in (first, second))
    states, apart = (np.asarray(x) for x in neighbourhood.states(*of_pairs))
    rates = np.stack([moving[:, first], moving[:, second]], axis=2).reshape(-1, 2, space)
    cutoff = neighbourhood.cutoff
    if cutoff is not None:
        distances = np.linalg.norm(apart, axis=1)
        if not np.any(distances < cutoff):
            raise ValueError(
                f"No two points of {len(at)} configurations of the data are within the cut-off "
                f"{cutoff:.4g}: the nearest are {np.min(distances):.4g} apart."
            )
        states, rates = states[distances < cutoff], rates[distances < cutoff]
    return SampledPairs(states, rates, chosen, len(states) / len(at))


def _kinetic_size(lagrangian: Any, v) -> float:
    """The mean of m v² over points and samples, of velocities about their mean, in float64. Masses that
    come with the data count as one unit of theirs."""
    points = v.shape[1]
    column = lagrangian.mass_attribute
    attributes: Any = lagrangian.attributes
    if column is not None and attributes.values is None:
        masses = np.full(points, float(attributes.unit[column]))
    else:
        masses = np.asarray(lagrangian.mass_of(points), float)
    v = np.asarray(v, float)
    spread = v - np.mean(v, axis=0)
    spread = spread if np.any(spread) else v
    return float(np.mean(masses * np.sum(np.square(spread), axis=-1)))


@linear_weights.register
def _(lagrangian: PairwiseLagrangian | GeneralPairwiseLagrangian):
    parts = (lagrangian.pair, lagrangian.vertex)
    return [part.network.layers[-1].weight for part in parts if part is not None]
