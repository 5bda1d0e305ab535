"""Weights as safetensors: arrays by name, which any framework reads."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._checks import needed
from .._types import Model
from ._atomic import checked_path, write_atomically
from ._files import check_structure, with_data
from ._structure import data_leaves, is_data, structure

STRUCTURE = "noetherax.structure"
"""The entry of a file's metadata that describes the model."""

LARGEST = 8
"""Bytes of a number: safetensors knows no `float128`."""


def save_safetensors(
    path: str | os.PathLike, model: PyTree, *, metadata: dict[str, str] | None = None
) -> None:
    """Writes the arrays of a model to a safetensors file, for the tools of others.

    Arrays are named by where they stand in the model, `network.layers.0.weight`. Python numbers of the
    model become arrays without axes. The file appears whole or not at all. Between users of noetherax,
    [`noetherax.save`][] keeps more: a checksum, any JSON as metadata, integers of any size.

    !!! example

        ```python
        import jax
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
        nx.interop.save_safetensors("model.safetensors", model)

        other = nx.NeuralLagrangian(features, width=4, key=jax.random.key(1))
        again = nx.interop.load_safetensors("model.safetensors", like=other)
        q, v = jax.random.normal(jax.random.key(2), (2, 1, 3))
        assert again(q, v) == model(q, v)
        ```

    **Arguments:**

    - `path`: where to; an existing file is replaced.
    - `model`: any PyTree of arrays and Python numbers.
    - `metadata`: texts by name, for the file's header.

    **Raises:**

    `TypeError` for leaves that are not numeric, or metadata that are not texts; `ValueError` for kinds
    of numbers that safetensors does not know; `ModuleNotFoundError` without the library; `OSError` from
    the disk.
    """
    safetensors = _library("save_safetensors")
    path = checked_path("path", path).resolve()
    header = _texts(metadata)
    header[STRUCTURE] = json.dumps(structure(model).lines)
    arrays = {}
    for name, leaf in _named(model).items():
        array = np.asarray(leaf)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > LARGEST:
            what = f"the number {leaf!r:.50}" if array.dtype.hasobject else array.dtype.name
            raise ValueError(
                f"{name} is {what}, which safetensors cannot give back to NumPy; noetherax.save can."
            )
        arrays[name] = np.asarray(array, order="C")
    write_atomically(path, [safetensors.numpy.save(arrays, metadata=header)])


def load_safetensors(path: str | os.PathLike, like: Model) -> Model:
    """Reads the arrays of a safetensors file into the structure of `like`.

    If [`noetherax.interop.save_safetensors`][] wrote the file, its model must have the structure of
    `like` and the same activation. Of a file from elsewhere, names, shapes and types of arrays must
    agree.

    !!! example

        ```python
        import jax
        import noetherax as nx
        import numpy as np
        from safetensors.numpy import save_file

        save_file({"mass": np.array(2.0)}, "mass.safetensors")
        model = nx.interop.load_safetensors("mass.safetensors", {"mass": np.array(0.0)})
        assert model["mass"] == 2.0
        ```

    **Arguments:**

    - `path`: the file.
    - `like`: a model of the same structure, such as a freshly made one; its numbers are ignored.

    **Returns:**

    The model of the file.

    **Raises:**

    `ValueError` that says what differs, or that the file is damaged; `ModuleNotFoundError` without the
    library.
    """
    safetensors = _library("load_safetensors")
    path = checked_path("path", path)
    content = path.read_bytes()
    try:
        found = safetensors.numpy.load(content)
        told = _metadata(content).get(STRUCTURE)
        lines = None if told is None else json.loads(told)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no valid safetensors file: {error}") from error
    if lines is not None:
        if not (isinstance(lines, list) and all(isinstance(x, str) and "=" in x for x in lines)):
            raise ValueError(f"{path} is damaged: its metadata {STRUCTURE!r} describe no model.")
        check_structure(path, lines, like)
    expected = _named(like)
    missing, unknown = sorted(expected.keys() - found), sorted(found.keys() - expected)
    if missing or unknown:
        raise ValueError(
            f"{path} does not hold the arrays of `like`: it lacks {missing or 'none'}, and has "
            f"{unknown or 'none'} besides."
        )
    return with_data(like, [_as(leaf, found[name], name, path) for name, leaf in expected.items()])


def _library(function: str) -> Any:
    purpose = f"noetherax.interop.{function} needs safetensors"
    needed("safetensors.numpy", purpose, "interop")
    return needed("safetensors", purpose, "interop")


def _texts(metadata: Any) -> dict[str, str]:
    if metadata is not None and not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dictionary, but it is {metadata!r}.")
    texts = dict(metadata or {})
    for name, text in texts.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise TypeError(
                f"metadata of safetensors are texts by name, but {name!r} is {text!r}: json.dumps "
                "makes a text of it."
            )
    if STRUCTURE in texts:
        raise ValueError(f"The entry {STRUCTURE!r} of the metadata is written by noetherax itself.")
    return texts


def _named(model: PyTree) -> dict[str, Any]:
    """The leaves that are stored, by where they stand: `network.layers.0.weight`."""
    paths = [path for path, leaf in jax.tree_util.tree_leaves_with_path(model) if is_data(leaf)]
    names = [jax.tree_util.keystr(path, simple=True, separator=".") or "value" for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two leaves of the model would have the name {twice[0]!r} in the file.")
    return dict(zip(names, (leaf for _, leaf in data_leaves(model)), strict=True))


def _metadata(content: bytes) -> dict[str, str]:
    """The texts in the header: JSON, after its length in eight bytes."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]).get("__metadata__", {})


def _as(leaf: Any, array: np.ndarray, name: str, path: Path) -> Any:
    """An array of a file in the place of a leaf: of its kind, type and shape."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    if (array.dtype, array.shape) != (dtype, np.shape(leaf)):
        raise ValueError(
            f"{path} holds {name} as {array.dtype}{list(array.shape)}, but `like` has "
            f"{dtype}{list(np.shape(leaf))}."
        )
    if isinstance(leaf, np.ndarray):
        return array
    if isinstance(leaf, np.generic):
        return array[()]
    if not hasattr(leaf, "dtype"):
        return type(leaf)(array.item())
    result = jnp.asarray(array)
    if result.dtype != array.dtype:
        raise ValueError(f"{name} is {array.dtype}, which JAX only holds with jax_enable_x64.")
    return result
