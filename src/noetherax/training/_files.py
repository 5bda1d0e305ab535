"""One file for a model: a JSON header, the bytes of its arrays, and a checksum of all that. Loading
never runs code.

Layout: the magic line; the header as one line of JSON (format version, structure, leaves, metadata);
the leaves in order, arrays little-endian and C-contiguous, Python integers as long as they are; and
the SHA-256 of all before it, 32 bytes.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from .._types import Model
from ._atomic import checked_path, write_atomically
from ._description import differences
from ._header import as_json, is_valid, parsed
from ._leaves import decoded, encoded, fits
from ._structure import data_leaves, dtype_name, is_data, structure

MAGIC = b"noetherax model\n"
VERSION = 2
CHECKSUM = hashlib.sha256().digest_size
MOST_SHOWN = 5
"""Differences of structure that an error shows."""


class OtherVersion(ValueError):
    """A file that another version of noetherax wrote, and that is not damaged."""


def save(path: str | os.PathLike, model: PyTree, *, metadata: dict[str, Any] | None = None) -> None:
    """Writes a model to one file: arrays and Python numbers, with a description of its structure.

    The file appears whole or not at all: it is written under a temporary name in the same folder,
    synced, and renamed. What a killed process left there of the same file is removed.

    Functions in a model, such as its activation, are not stored, but what they do is described, so
    that `load` notices another one. Classes are told by their names.

    !!! example

        ```python
        import jax
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        nx.save("model.nx", model, metadata={"data": "springs"})
        assert nx.load_metadata("model.nx") == {"data": "springs"}
        ```

    **Arguments:**

    - `path`: where to; an existing file is replaced.
    - `model`: any PyTree, such as a trained Lagrangian with its standardisation.
    - `metadata`: anything JSON can hold, read back with [`noetherax.load_metadata`][]; tuples come back
        as lists.

    **Raises:**

    `TypeError` for metadata that is not JSON or leaves that are not numeric; `OSError` from the disk.
    """
    path = checked_path("path", path).resolve()
    if metadata is not None and not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dictionary, but it is {metadata!r}.")
    told = structure(model)
    leaves = data_leaves(model)
    pieces = [encoded(leaf) for _, leaf in leaves]
    entries = [
        {
            "name": name,
            "dtype": dtype_name(leaf),
            "shape": list(np.shape(leaf)),
            "bytes": len(piece),
        }
        for (name, leaf), piece in zip(leaves, pieces, strict=True)
    ]
    header = {"version": VERSION, "structure": told.lines, "leaves": entries}
    try:
        header["metadata"] = as_json(metadata or {})
        line = json.dumps(header, allow_nan=False).encode() + b"\n"
        parsed(line)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"metadata must be JSON (numbers, strings, lists, dicts): {error}."
        ) from error
    if told.unseen:
        warnings.warn(
            f"{path.name} cannot tell what is in {'; '.join(told.unseen)}: noetherax.load will not "
            "notice it if `like` has another one there.",
            stacklevel=2,
        )
    chunks = [MAGIC, line, *pieces]
    checksum = hashlib.sha256()
    for chunk in chunks:
        checksum.update(chunk)
    write_atomically(path, [*chunks, checksum.digest()])


def load(path: str | os.PathLike, like: Model) -> Model:
    """Reads a model that [`noetherax.save`][] wrote, into the structure of `like`.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def untrained(seed):
            features = nx.Rotations(3).invariant_features(points=1)
            return nx.NeuralLagrangian(features, width=8, key=jax.random.key(seed))


        model = untrained(0)
        nx.save("model.nx", model)
        loaded = nx.load("model.nx", like=untrained(1))  # whose weights are overwritten
        q, v = jnp.array([[1.0, 2.0, 0.0]]), jnp.array([[0.0, 3.0, 4.0]])
        assert loaded(q, v) == model(q, v) != untrained(1)(q, v)
        ```

    **Arguments:**

    - `path`: the file.
    - `like`: a model of the same structure, for instance a freshly made one; its numbers are ignored.
        Its functions, such as the activation, must do the same as those of the saved model. A warning
        says so if they cannot be compared, since another version of Python wrote the file.

    **Returns:**

    The saved model.

    **Raises:**

    `ValueError`, saying what is wrong, for a file that is not a noetherax model, is truncated or
    corrupted, has another format version, or holds a model of another structure.
    """
    return read(path).restored(like)


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata that was saved with a model.

    !!! example

        ```python
        import jax
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        nx.save("model.nx", model, metadata={"width": 4, "runs": ["a", "b"]})
        found = nx.load_metadata("model.nx")  # without the model: what is needed to make one
        assert found == {"width": 4, "runs": ["a", "b"]}
        ```

    **Arguments:**

    - `path`: the file.

    **Returns:**

    The dictionary given to [`noetherax.save`][].

    **Raises:** as [`noetherax.load`][].
    """
    return read(path).metadata


class Stored(NamedTuple):
    """The content of a file whose checksum is right."""

    path: Path
    structure: list[str]
    leaves: list[dict[str, Any]]
    metadata: dict[str, Any]
    body: memoryview

    def restored(self, like: PyTree) -> PyTree:
        """The model, in the structure of `like`; `ValueError` if it has another one."""
        check_structure(self.path, self.structure, like)
        expected = data_leaves(like)
        if [name for name, _ in expected] != [entry["name"] for entry in self.leaves]:
            raise ValueError(f"{self.path} is damaged: its arrays do not fit its structure.")
        values, offset = [], 0
        for (name, leaf), entry in zip(expected, self.leaves, strict=True):
            ours, theirs = (
                (dtype_name(leaf), list(np.shape(leaf))),
                (entry["dtype"], entry["shape"]),
            )
            piece = self.body[offset : offset + entry["bytes"]]
            if ours != theirs or not fits(piece, leaf):
                raise ValueError(
                    f"{self.path} holds {name} as {theirs[0]}{theirs[1]} in {len(piece)} bytes, but "
                    f"`like` has {ours[0]}{ours[1]}."
                )
            values.append(decoded(name, piece, leaf))
            offset += len(piece)
        return with_data(like, values)


def check_structure(path: Path, theirs: list[str], like: PyTree) -> None:
    """`ValueError` if a file holds a model of another structure than `like`; a warning if functions of
    both cannot be compared."""
    content, versions = differences(theirs, structure(like).lines)
    if content:
        shown = "\n".join(content[:MOST_SHOWN])
        more = len(content) - MOST_SHOWN
        raise ValueError(
            f"{path} holds a model of another structure than `like`:\n{shown}"
            + (f"\nand {more} more differences." if more > 0 else "")
        )
    code = [difference for difference in versions if "code==" in difference]
    if code:
        warnings.warn(
            f"{path} was written by another version of Python, so that functions cannot be "
            f"compared: {'; '.join(code[:MOST_SHOWN])}.",
            stacklevel=4,
        )


def with_data(like: PyTree, values: Iterable[Any]) -> PyTree:
    """`like` with other arrays and numbers, in the order of `data_leaves`."""
    flat, treedef = jax.tree.flatten(like)
    stored = iter(values)
    return jax.tree.unflatten(treedef, [next(stored) if is_data(x) else x for x in flat])


def read(path: str | os.PathLike) -> Stored:
    """The content of a file. `ValueError` if it is damaged; `OtherVersion` if it only is another's."""
    path = checked_path("path", path)
    content = memoryview(path.read_bytes())
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path} is not a noetherax model: it does not start with {MAGIC!r}.")
    end = bytes(content).find(b"\n", len(MAGIC))
    damaged = ValueError(f"{path} is truncated or damaged: its checksum does not match.")
    intact = hashlib.sha256(content[:-CHECKSUM]).digest() == content[-CHECKSUM:]
    try:
        header = parsed(bytes(content[len(MAGIC) : end]))
        version = header.get("version")
    except (ValueError, RecursionError, MemoryError) as error:
        if not intact:
            raise damaged from None
        raise ValueError(
            f"{path} is no noetherax model: its header is not valid: {error}"
        ) from error
    # Files of version 1 have no checksum of the whole; nor does one flipped bit make 1 of 2.
    if type(version) is int and version != VERSION and (intact or version == 1):
        raise OtherVersion(
            f"{path} has format version {version}, but this noetherax reads version {VERSION}: read it "
            "with the noetherax that wrote it."
        )
    if not intact and type(version) is int and version != VERSION:
        raise ValueError(
            f"{path} has format version {version}, but this noetherax reads version {VERSION}; or it "
            "is damaged, since its checksum does not match."
        )
    if not intact:
        raise damaged
    body = content[end + 1 : -CHECKSUM]
    if type(version) is not int or not is_valid(header, len(body)):
        raise ValueError(f"{path} is no noetherax model: its header does not describe its content.")
    return Stored(path, header["structure"], header["leaves"], header["metadata"], body)
