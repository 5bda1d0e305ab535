"""Arrays and Python numbers as bytes, and back."""

import struct
from typing import Any

import jax.numpy as jnp
import numpy as np

FORMS = {bool: "<?", float: "<d", complex: "<dd"}
"""How Python numbers are written; integers, which have no largest one, as they need."""


def _form(leaf: Any) -> str | None:
    return next((form for kind, form in FORMS.items() if isinstance(leaf, kind)), None)


def encoded(leaf: Any) -> bytes:
    if hasattr(leaf, "dtype"):
        array = np.asarray(leaf)
        return np.ascontiguousarray(array.astype(_stored_dtype(array.dtype))).tobytes()
    form = _form(leaf)
    if form is None:
        return int(leaf).to_bytes(leaf.bit_length() // 8 + 1, "little", signed=True)
    return struct.pack(form, *((leaf.real, leaf.imag) if isinstance(leaf, complex) else (leaf,)))


def fits(piece: memoryview, leaf: Any) -> bool:
    """Whether there are as many bytes as a leaf takes."""
    if hasattr(leaf, "dtype"):
        return len(piece) == np.dtype(leaf.dtype).itemsize * int(
            np.prod(np.shape(leaf), dtype=object)
        )
    form = _form(leaf)
    return len(piece) > 0 if form is None else len(piece) == struct.calcsize(form)


def decoded(name: str, piece: memoryview, leaf: Any) -> Any:
    if hasattr(leaf, "dtype"):
        dtype = np.dtype(leaf.dtype)
        array = np.frombuffer(piece, _stored_dtype(dtype)).reshape(np.shape(leaf)).astype(dtype)
        if isinstance(leaf, np.ndarray | np.generic):
            return array if isinstance(leaf, np.ndarray) else array[()]
        result = jnp.asarray(array)
        if result.dtype != dtype:
            raise ValueError(f"{name} is {dtype}, which JAX only holds with jax_enable_x64.")
        return result
    form = _form(leaf)
    if form is None:
        return type(leaf)(int.from_bytes(piece, "little", signed=True))
    parts = struct.unpack(form, piece)
    return type(leaf)(*parts)


def _stored_dtype(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype
