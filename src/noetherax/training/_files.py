"""One file for a model: a JSON header, then the bytes of its arrays. Loading never runs code.

Layout: the magic line, the header as one line of JSON (format version, structure, leaves, metadata,
checksum of the rest), and the leaves in order, little-endian and C-contiguous.
"""

import difflib
import functools
import hashlib
import inspect
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

MAGIC = b"noetherax model\n"
VERSION = 1
LONGEST_HEADER = 1 << 24


def save(path: str | os.PathLike, model: PyTree, *, metadata: dict[str, Any] | None = None) -> None:
    """Writes a model to one file: arrays and Python numbers, with a description of its structure.

    The file appears whole or not at all: it is written under a temporary name in the same folder,
    synced, and renamed.

    **Arguments:**

    - `path`: where to; an existing file is replaced.
    - `model`: any PyTree, such as a trained Lagrangian with its standardisation.
    - `metadata`: anything JSON can hold, read back with [`noetherax.load_metadata`][].

    **Raises:**

    `TypeError` for metadata that is not JSON or leaves that are not numeric; `OSError` from the disk.
    """
    path = Path(path).resolve()
    if metadata is not None and not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dictionary, but it is {metadata!r}.")
    leaves, entries = [], []
    for name, leaf in _data_leaves(model):
        array = np.asarray(leaf)
        array = array.astype(array.dtype.newbyteorder("<")) if array.dtype.kind in "iufc" else array
        leaves.append(np.ascontiguousarray(array).tobytes())
        entries.append({"name": name, "dtype": _dtype_name(leaf), "shape": list(array.shape)})
    body = b"".join(leaves)
    header = {
        "version": VERSION,
        "structure": _structure(model),
        "leaves": entries,
        "metadata": {} if metadata is None else metadata,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    try:
        line = json.dumps(header, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"metadata must be JSON (numbers, strings, lists, dicts): {error}."
        ) from error
    _write_atomically(path, MAGIC + line + body)


def load(path: str | os.PathLike, like: PyTree) -> PyTree:
    """Reads a model that [`noetherax.save`][] wrote, into the structure of `like`.

    **Arguments:**

    - `path`: the file.
    - `like`: a model of the same structure, for instance a freshly made one; its numbers are ignored.

    **Returns:**

    The saved model.

    **Raises:**

    `ValueError`, saying what is wrong, for a file that is not a noetherax model, is truncated or
    corrupted, has another format version, or holds a model of another structure.
    """
    header, body = _read(path)
    ours, theirs = _structure(like), str(header["structure"])
    if ours != theirs:
        lines = difflib.unified_diff(
            theirs.splitlines(), ours.splitlines(), "saved", "like", lineterm="", n=1
        )
        raise ValueError(
            f"{path} holds a model of another structure than `like`:\n" + "\n".join(lines)
        )
    expected = _data_leaves(like)
    entries = header["leaves"]
    try:
        fits = [name for name, _ in expected] == [entry["name"] for entry in entries]
        shapes = [(entry["dtype"], tuple(entry["shape"])) for entry in entries]
    except (KeyError, TypeError):
        fits, shapes = False, []
    if not fits:
        raise ValueError(f"{path} is damaged: its list of arrays does not fit its structure.")
    values, offset = [], 0
    for (name, leaf), (kind, shape) in zip(expected, shapes, strict=True):
        if kind != _dtype_name(leaf) or shape != np.shape(leaf):
            raise ValueError(
                f"{path} holds {name} as {kind}{list(shape)}, but `like` has "
                f"{_dtype_name(leaf)}{list(np.shape(leaf))}."
            )
        dtype = np.dtype(leaf.dtype) if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        size = dtype.itemsize * int(np.prod(shape))
        stored = dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype
        array = np.frombuffer(body[offset : offset + size], stored).reshape(shape).astype(dtype)
        values.append(_restore(array, leaf))
        offset += size
    flat, treedef = jax.tree.flatten(like)
    restored = iter(values)
    return jax.tree.unflatten(treedef, [next(restored) if _is_data(x) else x for x in flat])


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata that was saved with a model.

    **Arguments:**

    - `path`: the file.

    **Returns:**

    The dictionary given to [`noetherax.save`][].

    **Raises:** as [`noetherax.load`][].
    """
    return _read(path)[0]["metadata"]


def _read(path) -> tuple[dict[str, Any], bytes]:
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path} is not a noetherax model: it does not start with {MAGIC!r}.")
        line = file.readline(LONGEST_HEADER)
        body = file.read()
    try:
        header = json.loads(line)
        version = header["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged or truncated: its header is not complete.") from error
    if version != VERSION:
        raise ValueError(
            f"{path} has format version {version!r}, but this noetherax reads version {VERSION}."
        )
    missing = {"structure", "leaves", "metadata", "bytes", "sha256"} - set(header)
    if missing:
        raise ValueError(f"{path} is damaged: its header lacks {sorted(missing)}.")
    if len(body) != header["bytes"]:
        raise ValueError(
            f"{path} is truncated or damaged: {header['bytes']} bytes of arrays are announced, "
            f"{len(body)} are there."
        )
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise ValueError(f"{path} is corrupted: the checksum of its arrays does not match.")
    return header, body


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # as any file; mkstemp makes private ones
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    """The process' mask for new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _is_data(leaf: Any) -> bool:
    kinds = np.ndarray | jax.ShapeDtypeStruct | bool | int | float | complex
    return eqx.is_array(leaf) or isinstance(leaf, kinds)


def _data_leaves(model: PyTree) -> list[tuple[str, Any]]:
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        name = jax.tree_util.keystr(path)
        if not _is_data(leaf):
            continue
        if eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(f"{name} is a random key, which is no part of a model.")
        if isinstance(leaf, np.ndarray) and leaf.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects, not numbers.")
        leaves.append((name, leaf))
    return leaves


def _dtype_name(leaf: Any) -> str:
    """The dtype of an array, or `python float` and the like for a number."""
    return leaf.dtype.name if hasattr(leaf, "dtype") else f"python {type(leaf).__name__}"


def _restore(array: np.ndarray, leaf: Any) -> Any:
    if isinstance(leaf, bool | int | float | complex):
        return type(leaf)(array.item())
    return array if isinstance(leaf, np.ndarray) else jnp.asarray(array)


class _Placeholder:
    """Stands for a number in the description of a structure: its type, not its value."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _structure(model: PyTree) -> str:
    """Classes, static fields and array shapes of a model as text, the same in every process."""

    def describe(leaf):
        if _is_data(leaf):
            return _Placeholder(f"{_dtype_name(leaf)}{list(np.shape(leaf))}")
        return _Placeholder(_name_of(leaf)) if callable(leaf) else leaf

    text = eqx.tree_pformat(jax.tree.map(describe, model), width=100, short_arrays=True)
    # Static fields print as they like; an address in them differs from process to process.
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _name_of(function: Any) -> str:
    """Where a function is defined: its printed form holds an address, which no other process shares."""
    if isinstance(function, functools.partial):
        return f"partial({_name_of(function.func)}, {function.args}, {function.keywords})"
    function = inspect.unwrap(function)
    owner = function if hasattr(function, "__qualname__") else type(function)
    return f"{owner.__module__}.{owner.__qualname__}"
