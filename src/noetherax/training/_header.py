"""The header of a file: JSON as `noetherax.save` writes it, and nothing else."""

import json
from typing import Any

import numpy as np


def as_json(value: Any) -> Any:
    """Metadata as they come back; what JSON would change in silence is refused."""
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(
                f"keys must be strings, but {wrong[0]!r} is a {type(wrong[0]).__name__}"
            )
        return {key: as_json(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(x) for x in value]
    return value


def parsed(line: bytes) -> dict[str, Any]:
    """A header; `ValueError` for what [`noetherax.save`][] does not write."""

    def unique(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name is there twice")
        return found

    def number(text):
        raise ValueError(f"{text} is no number")

    def finite(text):
        value = float(text)
        return value if np.isfinite(value) else number(text)

    header = json.loads(
        line.decode(), object_pairs_hook=unique, parse_constant=number, parse_float=finite
    )
    if not isinstance(header, dict):
        raise ValueError("it is no dictionary")
    return header


def is_valid(header: dict[str, Any], size: int) -> bool:
    """Whether every part of a header has the type it should have, and the sizes add up."""

    def is_count(value):
        return type(value) is int and value >= 0

    lines, leaves = header.get("structure"), header.get("leaves")
    if not (isinstance(lines, list) and isinstance(leaves, list)):
        return False
    if not all(isinstance(line, str) and "=" in line for line in lines):
        return False
    for leaf in leaves:
        if not isinstance(leaf, dict) or not isinstance(leaf.get("shape"), list):
            return False
        if not (isinstance(leaf.get("name"), str) and isinstance(leaf.get("dtype"), str)):
            return False
        if not (is_count(leaf.get("bytes")) and all(map(is_count, leaf["shape"]))):
            return False
    sizes = sum(leaf["bytes"] for leaf in leaves)
    return isinstance(header.get("metadata"), dict) and sizes == size
