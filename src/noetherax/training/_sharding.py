"""Data-parallel training: weights on every device, batches split between them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


def batch_sharding(sharding: Any, batch: PyTree) -> NamedSharding | None:
    """How the leading axis of batches is split: over all devices of a mesh, or as one says.

    Raises `TypeError` for anything else, and `ValueError` if a batch does not divide evenly.
    """
    if sharding is None:
        return None
    if isinstance(sharding, Mesh):
        sharding = NamedSharding(sharding, PartitionSpec(sharding.axis_names))
    if not isinstance(sharding, NamedSharding):
        raise TypeError(
            "sharding must be a jax.sharding.Mesh or NamedSharding, but it is of type "
            f"{type(sharding).__name__}."
        )
    if len(sharding.spec) > 1 and any(axis is not None for axis in sharding.spec[1:]):
        raise ValueError(
            f"sharding may split the leading axis of batches only, but it is {sharding.spec}."
        )
    axes = sharding.spec[0] if len(sharding.spec) else None
    axes = () if axes is None else (axes,) if isinstance(axes, str) else tuple(axes)
    parts = int(np.prod([sharding.mesh.shape[axis] for axis in axes]))
    for leaf in jax.tree.leaves(batch):
        if not np.ndim(leaf) or len(leaf) % parts:
            raise ValueError(
                f"Every array of a batch must divide evenly between {parts} devices, but one has "
                f"shape {np.shape(leaf)}."
            )
    return NamedSharding(_automatic(sharding.mesh), sharding.spec)


def _automatic(mesh):
    """The mesh with axes along which the compiler may distribute as it sees fit: `jax.make_mesh` gives
    such as appear in the types of arrays, and every user's loss would have to know of them."""
    if not isinstance(mesh, Mesh):
        return mesh
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def replicated(split: NamedSharding | None, tree: PyTree) -> PyTree:
    """A tree with its arrays on every device of the mesh, whichever process that belongs to."""
    if split is None:
        return tree
    whole = NamedSharding(split.mesh, PartitionSpec())

    def spread(x):
        if not isinstance(x, jax.Array):
            return x
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            words = spread(jax.random.key_data(x))
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(x))
        value = np.asarray(x)
        return jax.make_array_from_callback(value.shape, whole, lambda index: value[index])

    return jax.tree.map(spread, tree)


def gathered(split: NamedSharding | None, tree: PyTree) -> PyTree:
    """A replicated tree with its arrays on this process' own device."""
    if split is None:
        return tree
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), tree)


def kept(split: NamedSharding | None, tree: PyTree) -> PyTree:
    """A replicated tree that stays so, inside a compiled function."""
    if split is None:
        return tree
    whole = NamedSharding(split.mesh, PartitionSpec())
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, whole), tree)


def divided(split: NamedSharding | None, batch: PyTree) -> PyTree:
    """A batch with the leading axis of its arrays split, inside a compiled function."""
    if split is None:
        return batch
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, split), batch)
