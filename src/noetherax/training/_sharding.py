"""Training on several devices: batches split between them and weights on each, or the members of an
ensemble split between them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree


def split_sharding(
    sharding: Any, arrays: PyTree, name: str = "Every array of a batch", *, few: bool = False
) -> NamedSharding | None:
    """How the leading axis of arrays is split: over all devices of a mesh, or as one says. Where there
    are `few`, which may be any number, those that do not divide evenly go to every device.

    Raises `TypeError` for anything else, and `ValueError` if an array does not divide evenly.
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
        raise ValueError(f"sharding may split the leading axis only, but it is {sharding.spec}.")
    axes = sharding.spec[0] if len(sharding.spec) else None
    axes = () if axes is None else (axes,) if isinstance(axes, str) else tuple(axes)
    parts = int(np.prod([sharding.mesh.shape[axis] for axis in axes]))
    split = NamedSharding(_automatic(sharding.mesh), sharding.spec)
    for leaf in jax.tree.leaves(arrays):
        if not np.ndim(leaf) or len(leaf) % parts:
            if few:
                return whole(split)
            raise ValueError(
                f"{name} must divide evenly between {parts} devices, but the shape is "
                f"{np.shape(leaf)}."
            )
    return split


def _automatic(mesh):
    """The mesh with axes along which the compiler may distribute as it sees fit: `jax.make_mesh` gives
    such as appear in the types of arrays, and every user's loss would have to know of them."""
    if not isinstance(mesh, Mesh):
        return mesh
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def whole(sharding: NamedSharding | None) -> NamedSharding | None:
    """Everything on every device of the same mesh."""
    return None if sharding is None else NamedSharding(sharding.mesh, PartitionSpec())


def from_first_process(tree: PyTree) -> PyTree:
    """A tree with the floating-point arrays of the first process: what each has computed for itself may
    differ by rounding from host to host."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental.multihost_utils import broadcast_one_to_all

    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(jnp.asarray, broadcast_one_to_all(arrays)), rest)


def in_any_process(flag: bool) -> bool:
    """Whether a flag is set in one of the processes, which all of them must then know."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental.multihost_utils import process_allgather

    return bool(np.any(process_allgather(np.array(flag))))


def on_devices(sharding: NamedSharding | None, tree: PyTree) -> PyTree:
    """A tree with its arrays on the devices of a sharding, whichever process those belong to."""
    if sharding is None:
        return tree

    def place(x):
        if not isinstance(x, jax.Array):
            return x
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            words = place(jax.random.key_data(x))
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(x))
        value = np.asarray(x)
        return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

    return jax.tree.map(place, tree)


def constrained(sharding: NamedSharding | None, tree: PyTree) -> PyTree:
    """A tree that is distributed so, inside a compiled function."""
    if sharding is None:
        return tree
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), tree)


def on_this_process(sharding: NamedSharding | None, tree: PyTree) -> PyTree:
    """A tree with its arrays, all of them, on this process' own device."""
    if sharding is None:
        return tree
    collect = jax.jit(lambda x: x, out_shardings=whole(sharding))

    def gather(x):
        if not (x.is_fully_addressable or x.is_fully_replicated):
            x = collect(x)  # parts of it are in other processes
        return jnp.asarray(np.asarray(x))

    return jax.tree.map(gather, tree)
