"""All rules of friction between pairs: its attributes may be inputs, and differ over a batch."""

import jax.numpy as jnp

from ..forces import PairFriction
from ..lagrangians import NO_ATTRIBUTES, with_inputs
from ._batches import for_batch, over_batch
from ._forced import covector
from ._time import NoInputs, depends_on_time, resolved, value_of


@covector.register
def _(force: PairFriction, q, v):
    *batch, points, _ = q.shape
    known = for_batch(force.known_attributes(points), 2, batch)
    return over_batch(force.between, q)(jnp.asarray(q), jnp.asarray(v), known)


@depends_on_time.register
def _(force: PairFriction) -> bool:
    return force.takes_attributes


@resolved.register
def _(force: PairFriction, t, u):
    if not force.takes_attributes:
        return force
    if u is None:
        raise NoInputs(NO_ATTRIBUTES)
    return with_inputs(force, value_of(u))
