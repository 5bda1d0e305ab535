"""All rules of L = Σ m v²/2 − Σ U − Σ φ over points and pairs of points.

Only first derivatives of the potentials are needed, in the few features of a pair: one sweep through
one network for all pairs. What each pair pulls is then added to its two points. No matrix over all
coordinates is made but for `euler_lagrange_terms`, whose it is.
"""

import jax
import jax.numpy as jnp

from .._precision import full_precision
from .._programs import one_program
from .._types import check_motion, check_state
from ..lagrangians import Pairs, PairwiseLagrangian, over_pairs
from ._batches import for_batch, over_batch
from ._changing_attributes import with_attributes_at
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._inertia import constant_inertia
from ._perceptron import value_and_gradient
from ._time import depends_on_time, resolved


@euler_lagrange_terms.register
@one_program
def _(lagrangian: PairwiseLagrangian, q, v):
    check_state(q, v, lagrangian.space, batched=True)
    force = _force(lagrangian, jnp.asarray(q))
    inertia = _inertia(lagrangian, force)
    size = v.shape[-2] * v.shape[-1]
    flat = inertia.reshape(*inertia.shape[:-2], size)
    matrix = flat[..., None] * jnp.eye(size, dtype=flat.dtype)
    return EulerLagrangeTerms(matrix, force.reshape(*force.shape[:-2], size))


@euler_lagrange_residual.register
@one_program
def _(lagrangian: PairwiseLagrangian, q, v, a):
    check_motion(q, v, a)
    force = _force(lagrangian, jnp.asarray(q))
    residual = _inertia(lagrangian, force) * jnp.asarray(a) - force
    return residual.reshape(*force.shape[:-2], -1)


@constant_inertia.register
def _(lagrangian: PairwiseLagrangian, q):
    return _inertia(lagrangian, jnp.asarray(q))


@lagrangian_gradient.register
@one_program
def _(lagrangian: PairwiseLagrangian, q, v):
    force = _force(lagrangian, jnp.asarray(q))
    return force, _inertia(lagrangian, force) * jnp.asarray(v)


@depends_on_time.register
def _(lagrangian: PairwiseLagrangian) -> bool:
    return lagrangian.takes_attributes


@resolved.register
def _(lagrangian: PairwiseLagrangian, t, u):
    if not lagrangian.takes_attributes:
        return lagrangian
    return with_attributes_at(lagrangian, u)


def _inertia(lagrangian: PairwiseLagrangian, force):
    """The mass of every component of a state or of a batch of states."""
    *batch, points, _ = force.shape
    masses = jnp.asarray(lagrangian.mass_of(points), force.dtype)
    return jnp.broadcast_to(for_batch(masses, 1, batch)[..., None], force.shape)


@full_precision()
def _force(lagrangian: PairwiseLagrangian, q):
    """−∂V/∂q at a configuration or at each of a batch."""
    *batch, points, _ = q.shape
    known = for_batch(lagrangian.known_attributes(points), 2, batch)
    return over_batch(lambda q, known: _of_configuration(lagrangian, q, known), q)(q, known)


def _of_configuration(lagrangian: PairwiseLagrangian, q, known):
    def added(total, pairs):
        return _added(total, lagrangian, q, known, pairs)

    total = over_pairs(added, jnp.zeros_like(q), lagrangian.neighbourhood, q)
    if lagrangian.vertex is not None:
        total = total + _of_points(lagrangian.vertex, q[:, None], known)[0][:, 0]
    # Where no neighbours can be looked for, there is no force.
    return -lagrangian.energy_unit.value.astype(q.dtype) * total + 0 * q


def _added(total, lagrangian: PairwiseLagrangian, q, known, pairs: Pairs):
    """∂/∂q of the potentials of some pairs, added to what there is."""
    first, second, present = pairs
    states, apart = lagrangian.neighbourhood.states(q[first], q[second])
    attributes, strength = lagrangian.of_pairs(known[first], known[second])
    slope, value = _of_points(lagrangian.pair, states, attributes)
    if lagrangian.neighbourhood.cutoff is not None:
        square = jnp.sum(jnp.square(apart), axis=1)
        taper, change = jax.vmap(jax.value_and_grad(lagrangian.neighbourhood.taper))(square)
        along = (2 * value * change)[:, None] * apart
        slope = taper[:, None, None] * slope + jnp.stack([-along, along], axis=1)
    slope = strength[..., None, None] * slope
    if present is not None:
        slope = jnp.where(present[:, None, None], slope, 0)
    return total.at[first].add(slope[:, 0]).at[second].add(slope[:, 1])


def _of_points(part, states, attributes):
    """∂/∂q of a network of the features of a few points, and its value, at each of many states."""
    values = jax.vmap(part.features)(states)
    x = part.standardisation(values)
    seen = jnp.concatenate([x, attributes.astype(x.dtype)], axis=-1)
    value, slope = value_and_gradient(part.network, seen)
    weights = slope[:, : values.shape[1]] * part.standardisation.slope(values)

    def pulled_back(state, weights):
        _, pull_back = jax.vjp(part.features, state)
        return pull_back(weights.astype(values.dtype))[0]

    return jax.vmap(pulled_back)(states, weights), value
