"""What there is to see of each kind of thing, without calling, copying or pickling it."""

import collections
import copyreg
import enum
import functools
import hashlib
import inspect
import re
import struct
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._names import class_name, imported_name, library

LONGEST_TEXT = 200
"""Longer texts, lists and arrays are told by a hash, so that a description stays readable."""

SHORT_ARRAY = 16
"""Entries of arrays that are told by their values."""

POINTER = struct.calcsize("P")

ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Part(NamedTuple):
    """One line about a thing, and what else belongs to it, each with the step that leads there."""

    text: str
    parts: tuple[tuple[str, Any], ...] | list[tuple[str, Any]] = ()
    seen: bool = True


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.singledispatch
def look(thing: Any) -> Part:
    """An instance of a class that has no rule of its own: its class, and what it holds."""
    if isinstance(thing, jax.Array):
        return _array(thing)
    name = imported_name(thing)
    if name is not None:
        return Part(name)
    cls = type(thing)
    # Libraries say better themselves what the state of an object is, caches left out.
    found = _reduced(thing) if _says_its_state(cls) else None
    if found is None and not _holds_more(cls):
        return Part(f"{class_name(cls)}()", of_instance(thing))
    found = found or _reduced(thing)
    if found is not None:
        return found
    text = repr(thing)
    if ADDRESS.search(text) or hasattr(thing, "__dict__"):
        return Part(f"{class_name(cls)}()", of_instance(thing), seen=False)
    return Part(f"{class_name(cls)} {short(text)}")


def of_instance(thing: Any) -> list[tuple[str, Any]]:
    """The class of an instance, if it is the user's, and its attributes."""
    cls = type(thing)
    names = {name for name in _slots(cls) if hasattr(thing, name)}
    found = {name: getattr(thing, name) for name in names} | getattr(thing, "__dict__", {})
    kept = [(f".{name}", found[name]) for name in sorted(found) if _is_content(cls, name)]
    return kept if library(cls.__module__) else [(".__class__", cls), *kept]


def _slots(cls: type) -> list[str]:
    slots = [vars(base).get("__slots__", ()) for base in cls.__mro__]
    return [name for some in slots for name in ((some,) if isinstance(some, str) else some)]


def _holds_more(cls: type) -> bool:
    """Whether instances hold something that is not in their attributes, as files and iterators do."""
    pointers = len({name for name in _slots(cls) if not is_special(name)})
    pointers += (cls.__dictoffset__ > 0) + (cls.__weakrefoffset__ > 0)
    expected = object.__basicsize__ + POINTER * pointers
    return cls.__itemsize__ > 0 or cls.__basicsize__ > expected


def _says_its_state(cls: type) -> bool:
    defined = cls in copyreg.dispatch_table or any(
        getattr(cls, name) is not getattr(object, name) for name in ("__reduce__", "__reduce_ex__")
    )
    return defined and library(cls.__module__) is not None


def _reduced(thing: Any) -> Part | None:
    """What an object says of its state to those who would pickle or copy it, if it can be."""
    cls = type(thing)
    try:
        reducer = copyreg.dispatch_table.get(cls)
        state = reducer(thing) if reducer else thing.__reduce_ex__(4)
        if isinstance(state, str):
            known = library(getattr(thing, "__module__", None)) is not None
            return Part(f"{class_name(cls)} {state}", seen=known)
        rest = [list(x) if isinstance(x, Iterator) else x for x in state[2:]]
    except Exception:  # whatever the author of a class chose for one that cannot be pickled
        return None
    return Part(f"{class_name(cls)}()", [(".make", state[:2]), (".state", rest)])


def _is_content(cls: type, name: str) -> bool:
    """What is computed from the rest at first use may be there or not, and adds nothing."""
    if isinstance(inspect.getattr_static(cls, name, None), functools.cached_property):
        return False
    return name in ("__wrapped__", "__func__", "__self__") or not is_special(name)


def is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


# Numbers, texts and arrays: by value


def short(text: str) -> str:
    text = ascii(text).strip("'\"") if not text.isprintable() else text
    text = text.replace("=", "\\x3d")  # which paths and versions are told by
    return text if len(text) <= LONGEST_TEXT else f"{len(text)} characters, {digest(text.encode())}"


def plain_text(thing: Any) -> str:
    cls = type(thing)
    if cls is int and thing.bit_length() > LONGEST_TEXT:
        return short(hex(thing))  # Python refuses decimals of long integers
    return short(ascii(thing)) if cls in PLAIN else f"{class_name(cls)} {short(ascii(thing))}"


def _plain(thing: Any) -> Part:
    return Part(plain_text(thing), _of_subclass(thing))


def _of_subclass(thing: Any) -> list[tuple[str, Any]]:
    """What an instance of a user's subclass of a type that has its rule here holds beside."""
    return [] if library(type(thing).__module__) else of_instance(thing)


for _kind in (*PLAIN, range, slice, type(...), type(NotImplemented), np.dtype):
    look.register(_kind, _plain)


@look.register(memoryview)
def _view(thing: Any) -> Part:
    return Part("view", [(".bytes", bytes(thing))])


@look.register(enum.Enum)
def _member(thing: Any) -> Part:
    return Part(f"{class_name(type(thing))} {thing.name}", [(".value", thing.value)])


@look.register(np.ndarray)
@look.register(np.generic)
def _array(thing: Any) -> Part:
    if isinstance(thing, Tracer):
        return Part(f"traced {thing.aval}", seen=False)
    if isinstance(thing, jax.Array):
        if not (thing.is_fully_addressable or thing.is_fully_replicated):
            return Part(f"distributed {thing.dtype}{list(thing.shape)}", seen=False)
        if jnp.issubdtype(thing.dtype, jax.dtypes.prng_key):
            words = _array(jax.random.key_data(thing)).text
            return Part(f"key {jax.random.key_impl(thing)} {words}")
    if isinstance(thing, np.ma.MaskedArray):
        return Part("masked", [(".data", thing.data), (".mask", np.ma.getmaskarray(thing))])
    array = np.asarray(thing)
    if array.dtype.hasobject:
        return Part(f"object{list(array.shape)}", [(".values", array.tolist())])
    text = repr(array.tolist()) if array.size <= SHORT_ARRAY else ""
    if not text or len(text) > LONGEST_TEXT:
        text = digest(np.ascontiguousarray(array).tobytes())
    return Part(f"{array.dtype}{list(array.shape)} {text}", _of_subclass(thing))


# Collections: by their members


@look.register(list)
@look.register(tuple)
def _sequence(thing: Any) -> Part:
    cls = type(thing)
    name = f"{class_name(cls)} " if cls not in (list, tuple) else ""
    names = getattr(cls, "_fields", None)
    if not names and all(type(x) in PLAIN for x in thing):
        ends = "[]" if isinstance(thing, list) else "()"
        text = ", ".join(map(plain_text, thing))
        return Part(name + short(ends[0] + text + ends[1]), _of_subclass(thing))
    steps = [f".{x}" for x in names] if names else [f"[{i}]" for i in range(len(thing))]
    kind = "list" if isinstance(thing, list) else "tuple"
    members = list(zip(steps, thing, strict=True))
    return Part(f"{name}{kind} of {len(thing)}", [*members, *_of_subclass(thing)])


@look.register(dict)
@look.register(types.MappingProxyType)
def _mapping(thing: Any) -> Part:
    items = list(thing.items())
    text = f"{class_name(type(thing))} of {len(items)}"
    if all(type(key) in PLAIN for key, _ in items):
        texts = {f"[{plain_text(key)}]": value for key, value in items}
        parts = sorted(texts.items(), key=lambda item: item[0])
    else:
        parts = [(f"[{i}]", item) for i, item in enumerate(items)]
    if isinstance(thing, collections.defaultdict):
        parts.append((".default_factory", thing.default_factory))
    return Part(text, [*parts, *_of_subclass(thing)])
