"""What the forces of a model that are new to the data take from it: their units."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._programs import run
from ..dynamics import euler_lagrange_terms, lagrangian_of
from ..forces import Force, Motions, is_unscaled, scaled_force
from ..losses import at_instants, law_of


def new_forces(model: PyTree) -> list[int]:
    """Which of the forces of a model, in the order of the tree, have no units yet."""
    return [index for index, force in enumerate(_forces(model)) if is_unscaled(force)]


def silenced(model: PyTree, forces: list[int], states: tuple) -> PyTree:
    """The model without those forces: what they do is not known before the scale of L is."""
    q, v, _, *instant = states
    return with_forces(model, forces, Motions(q, v, _inputs(instant), 0.0, 0.0))


def with_forces(model: PyTree, forces: list[int], motions: Motions) -> PyTree:
    """The model with those forces in units of the data."""
    index = iter(range(len(_forces(model))))

    def scaled(node: Any):
        if not _is_force(node):
            return node
        return scaled_force(node, motions) if next(index) in forces else node

    return jax.tree.map(scaled, model, is_leaf=_is_force)


def motions_of(loss: Callable, model: PyTree, states: tuple) -> Motions:
    """The energy and the power of the motions in the data, by the mass matrix of a model."""
    a = states[2]
    known = np.ones(len(states[0]), bool) if a is None else np.all(np.isfinite(a), axis=(1, 2))
    q, v = (jnp.asarray(x)[known] for x in states[:2])
    a, *instant = (None if x is None else jnp.asarray(x)[known] for x in states[2:])
    power = np.asarray(run(_powers, law_of(loss, model), q, v, a, *instant), float)
    power = np.abs(power[np.isfinite(power)])
    size = float(np.mean(power)) if len(power) else 0.0
    # In float64, where squares in any unit are in range.
    speed, rate = (
        0.0 if x is None else float(np.linalg.norm(np.asarray(x, float))) for x in (v, a)
    )
    energy = size * speed / rate if rate > 0 else size
    return Motions(q, v, _inputs(instant), energy or 1.0, size or 1.0)


def _powers(law, q, v, a, *instant):
    """v · M a at each state, a of the law itself where it was not observed."""
    mass_matrix, force = euler_lagrange_terms(at_instants(lagrangian_of(law), *instant), q, v)
    if a is not None:
        force = jnp.einsum("sij,sj->si", mass_matrix, a.reshape(force.shape))
    return jnp.sum(v.reshape(force.shape) * force, axis=-1)


def _inputs(instant: Any) -> Any:
    return instant[1] if len(instant) > 1 else None


def _forces(model: PyTree) -> list:
    return [x for x in jax.tree.leaves(model, is_leaf=_is_force) if _is_force(x)]


def _is_force(node: Any) -> bool:
    return isinstance(node, Force)
