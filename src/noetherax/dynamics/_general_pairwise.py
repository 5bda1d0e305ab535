"""All rules of L = Σ m v²/2 + Σ ψ + Σ φ over states of points and of pairs of points.

First derivatives are one sweep through one network for all pairs, pulled back to the two points of
each; second ones are derivatives of that along a motion. What each pair gives is added to its two
points. A matrix over all coordinates is made by `euler_lagrange_terms` alone, block by block; the
accelerations of many points go without, since `leading_inertia` names the masses that it is near to.
"""

import jax
import jax.numpy as jnp

from .._programs import at_once, one_program
from .._types import check_motion, check_state
from ..lagrangians import (
    GeneralPairwiseLagrangian,
    in_both_orders,
    mean_of_orders,
    over_pairs,
    with_attributes_of,
)
from ._batches import for_batch, over_batch
from ._changing_attributes import with_attributes_at
from ._derived import energy, momentum
from ._equations import (
    EulerLagrangeTerms,
    euler_lagrange_residual,
    euler_lagrange_terms,
    lagrangian_gradient,
)
from ._inertia import leading_inertia
from ._perceptron import value_and_gradient
from ._time import at_time, depends_on_time, resolved


@euler_lagrange_terms.register
@one_program
def _(lagrangian: GeneralPairwiseLagrangian, q, v):
    check_state(q, v, lagrangian.space, batched=True)
    return _over_states(_terms, lagrangian, jnp.asarray(q), jnp.asarray(v))


@euler_lagrange_residual.register
@one_program
def _(lagrangian: GeneralPairwiseLagrangian, q, v, a):
    check_motion(q, v, a)
    return _over_states(_residual, lagrangian, *(jnp.asarray(x) for x in (q, v, a)))


@lagrangian_gradient.register
@one_program
def _(lagrangian: GeneralPairwiseLagrangian, q, v):
    return _over_states(_gradient, lagrangian, jnp.asarray(q), jnp.asarray(v))


@leading_inertia.register
def _(lagrangian: GeneralPairwiseLagrangian, q):
    return _masses(lagrangian, jnp.asarray(q))


@momentum.register
def _(lagrangian: GeneralPairwiseLagrangian, q, v, t=None):
    check_state(q, v)
    return at_once(_momentum, at_time(lagrangian, t), jnp.asarray(q), jnp.asarray(v))


@energy.register
def _(lagrangian: GeneralPairwiseLagrangian, q, v, t=None):
    check_state(q, v)
    return at_once(_energy, at_time(lagrangian, t), jnp.asarray(q), jnp.asarray(v))


@depends_on_time.register
def _(lagrangian: GeneralPairwiseLagrangian) -> bool:
    return lagrangian.takes_attributes


@resolved.register
def _(lagrangian: GeneralPairwiseLagrangian, t, u):
    if not lagrangian.takes_attributes:
        return lagrangian
    return with_attributes_at(lagrangian, u)


def _momentum(lagrangian, q, v):
    return lagrangian_gradient(lagrangian, q, v)[1]


def _energy(lagrangian, q, v):
    return jnp.sum(v * lagrangian_gradient(lagrangian, q, v)[1]) - lagrangian(q, v)


def _over_states(function, lagrangian: GeneralPairwiseLagrangian, q, *motion):
    """`function(lagrangian, known, masses, q, *motion)` at a state or at each of a batch."""
    *batch, points, _ = q.shape
    known = for_batch(lagrangian.known_attributes(points), 2, batch)
    masses = _masses(lagrangian, q)
    states = known, masses, q, *motion
    return over_batch(lambda *states: function(lagrangian, *states), q)(*states)


def _masses(lagrangian: GeneralPairwiseLagrangian, q):
    """The mass of every component of a state or of a batch of states."""
    *batch, points, _ = q.shape
    masses = jnp.asarray(lagrangian.mass_of(points), q.dtype)
    return jnp.broadcast_to(for_batch(masses, 1, batch)[..., None], q.shape)


def _gradient(lagrangian, known, masses, q, v):
    """∂L/∂q and ∂L/∂v."""

    def of_part(slopes, q, v):
        return jnp.stack(slopes(q, v), axis=2)

    slopes = _summed(lagrangian, known, of_part, 2, q, v)
    return slopes[:, 0], masses * v + slopes[:, 1]


def _residual(lagrangian, known, masses, q, v, a):
    def of_part(slopes, q, v, a):
        (force, _), (_, rate) = jax.jvp(slopes, (q, v), (v, a))
        return (rate - force)[:, :, None]

    summed = _summed(lagrangian, known, of_part, 1, q, v, a)
    return (masses * a + summed[:, 0]).reshape(-1)


def _terms(lagrangian, known, masses, q, v):
    points, space = q.shape
    unit = lagrangian.energy_unit.value.astype(q.dtype)

    def of_part(slopes, q, v):
        """The matrix of each pair, column by column, and its force."""
        (force, _), (_, drag) = jax.jvp(lambda q: slopes(q, v), (q,), (v,))
        size = v.shape[1] * space
        turning = jnp.eye(size, dtype=v.dtype).reshape(size, 1, *v.shape[1:])

        def column(along):
            along = jnp.broadcast_to(along, v.shape)
            return jax.jvp(lambda v: slopes(q, v)[1], (v,), (along,))[1]

        columns = jnp.moveaxis(jax.vmap(column)(turning), 0, -1)
        return force - drag, columns.reshape(*v.shape, *v.shape[1:])

    def added(total, pairs):
        first, second, present = pairs
        states = lagrangian.pair_states(q, v, known, pairs)
        parts = of_part(_pair_slopes(lagrangian, states[2]), *states[:2])
        if present is not None:
            parts = (jnp.where(_spread(present, x), x, 0) for x in parts)
        force, blocks = parts
        new, matrix = total
        for row, i in enumerate((first, second)):
            new = new.at[i].add(force[:, row])
            for column, j in enumerate((first, second)):
                matrix = matrix.at[i, j].add(blocks[:, row, :, column])
        return new, matrix

    start = jnp.zeros_like(q), jnp.zeros((points, points, space, space), q.dtype)
    force, matrix = over_pairs(added, start, lagrangian.neighbourhood, q)
    if lagrangian.vertex is not None:
        of_points = of_part(_vertex_slopes(lagrangian, known), q[:, None], v[:, None])
        every = jnp.arange(points)
        force = force + of_points[0][:, 0]
        matrix = matrix.at[every, every].add(of_points[1][:, 0, :, 0])
    matrix = jnp.swapaxes(matrix, 1, 2).reshape(q.size, q.size)
    matrix = unit * matrix + jnp.diag(masses.reshape(-1))
    # Where no neighbours can be looked for, there is no force.
    return EulerLagrangeTerms(matrix, (unit * force + 0 * q).reshape(-1))


def _summed(lagrangian, known, of_part, entries: int, q, *motion):
    """What `of_part(slopes, *states)` makes of all pairs and points, of shape
    `(·, points, entries, space)`, added up at each point, with its unit."""

    def added(total, pairs):
        first, second, present = pairs
        places, moving, attributes = lagrangian.pair_states(q, motion[0], known, pairs)
        further = (jnp.stack([x[first], x[second]], axis=1) for x in motion[1:])
        found = of_part(_pair_slopes(lagrangian, attributes), places, moving, *further)
        if present is not None:
            found = jnp.where(_spread(present, found), found, 0)
        return total.at[first].add(found[:, 0]).at[second].add(found[:, 1])

    start = jnp.zeros((len(q), entries, q.shape[1]), q.dtype)
    total = over_pairs(added, start, lagrangian.neighbourhood, q)
    if lagrangian.vertex is not None:
        states = (x[:, None] for x in (q, *motion))
        total = total + of_part(_vertex_slopes(lagrangian, known), *states)[:, 0]
    # Where no neighbours can be looked for, there is no force.
    return lagrangian.energy_unit.value.astype(q.dtype) * total + 0 * q[:, None]


def _spread(flags, x):
    return flags.reshape(-1, *[1] * (x.ndim - 1))


def _pair_slopes(lagrangian, attributes):
    """The derivatives of φ by positions and velocities of two points, a function of (q, v), of shape
    `(pairs, 2, space)`."""

    def slopes(q, v):
        value, by_q, by_v = _of_part(lagrangian.pair, q, v, lagrangian.seen(attributes))
        weight, pull_back = jax.vjp(lambda q: lagrangian.weight(q, attributes), q)
        (along,) = pull_back(value.astype(weight.dtype))
        weight = weight[:, None, None]
        return weight * by_q + along, weight * by_v

    return slopes


def _vertex_slopes(lagrangian, known):
    def slopes(q, v):
        _, by_q, by_v = _of_part(lagrangian.vertex, q, v, known[:, None])
        return by_q, by_v

    return slopes


def _of_part(part, q, v, attributes):
    """A network of the states of a few points, and its derivatives by them, at each of many."""
    points = q.shape[1]
    q, v, attributes = (in_both_orders(x) for x in (q, v, attributes))
    values, pull_back = jax.vjp(jax.vmap(part.features), q, v)
    x = part.standardisation(values)
    value, slope = value_and_gradient(part.network, with_attributes_of(x, attributes))
    slope = slope[:, : values.shape[1]] * part.standardisation.slope(values)
    by_q, by_v = pull_back(slope.astype(values.dtype))
    value, by_q, by_v = (mean_of_orders(x, points) for x in (value[:, None], by_q, by_v))
    return value[:, 0], by_q, by_v
