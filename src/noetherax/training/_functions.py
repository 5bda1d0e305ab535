"""What there is to see of functions, methods, classes and modules: what they do, not where they are."""

import functools
import threading
import types
import weakref
from typing import Any

import jax
import jax.extend

from ._code import code_digest, globals_read
from ._names import class_name, imported_name, label, library
from ._parts import ADDRESS, Part, digest, is_special, look

CHECKERS = {"jaxtyping", "beartype"}
"""Their wrappers check types, and compute nothing."""

NOTES = {"_abc_impl", "__annotate__", "__annotate_func__"}
"""Members of a class that Python keeps for itself."""


@look.register(types.FunctionType)
def _function(thing: Any) -> Part:
    name = imported_name(thing)
    if name is not None:
        return Part(name)
    module = str(thing.__globals__.get("__name__"))
    inner = getattr(thing, "__wrapped__", None)
    checks = library(module) in CHECKERS or thing.__code__.co_filename.startswith("<@beartype")
    if checks and inner is not None:
        return look(inner)
    code, known = thing.__code__, library(module) is not None
    parts = {}
    for step, cell in zip(code.co_freevars, thing.__closure__ or (), strict=True):
        try:
            parts[f"/{step}"] = cell.cell_contents
        except ValueError:
            parts[f"/{step}"] = NotImplemented  # a variable that has no value yet
    defaults = {"defaults": thing.__defaults__, "keyword defaults": thing.__kwdefaults__}
    parts |= {f"({key})": value for key, value in defaults.items() if value}
    if hasattr(thing, "registry") and hasattr(thing, "dispatch"):  # functools.singledispatch
        parts = {"/registry": thing.registry}  # the rest are its caches
    elif not known:
        parts |= {f"/{key}": value for key, value in globals_read(thing).items()}
        extra = sorted((k, v) for k, v in vars(thing).items() if not is_special(k))
        parts |= {f".{key}": value for key, value in extra}
    name = code.co_qualname if known else thing.__name__
    return Part(label(module, name, code_digest(code)), list(parts.items()))


@look.register(types.CodeType)
def _code(thing: Any) -> Part:
    return Part(label("", thing.co_name, code_digest(thing)))


@look.register(types.MethodType)
def _method(thing: Any) -> Part:
    return Part("method", [(".__func__", thing.__func__), (".__self__", thing.__self__)])


@look.register(staticmethod)
@look.register(classmethod)
def _of_class(thing: Any) -> Part:
    return Part(type(thing).__name__, [(".__func__", thing.__func__)])


@look.register(property)
def _property(thing: Any) -> Part:
    return Part("property", [(".get", thing.fget), (".set", thing.fset)])


@look.register(functools.partial)
def _partial(thing: Any) -> Part:
    parts = [(".func", thing.func), (".args", thing.args), (".keywords", thing.keywords)]
    return Part("partial", parts)


@look.register(functools.cached_property)
def _cached(thing: Any) -> Part:
    return Part("cached", [(".func", thing.func)])


@look.register(type(jax.jit(lambda: None)))
@look.register(type(functools.lru_cache(lambda: None)))
def _wrapper(thing: Any) -> Part:
    """Compiled or remembered, a function computes what it computes."""
    name = imported_name(thing)
    return Part(name) if name else Part("function", [(".__wrapped__", thing.__wrapped__)])


@look.register(type)
def _class(thing: Any) -> Part:
    name = imported_name(thing)
    if name is not None or library(thing.__module__) is not None:
        return Part(name or label(thing.__module__, thing.__qualname__))
    members = [
        (f".{key}", value)
        for key, value in sorted(vars(thing).items())
        if key not in NOTES and (callable(value) or not is_special(key))
    ]
    bases = [(f"(base {i})", base) for i, base in enumerate(thing.__bases__)]
    if library(type(thing).__module__) is None:
        bases.append((".__class__", type(thing)))
    return Part(f"class {class_name(thing)}", [*bases, *members])


@look.register(types.ModuleType)
def _module(thing: Any) -> Part:
    top = library(thing.__name__)
    return Part(label(thing.__name__, "module") if top else thing.__name__, seen=top is not None)


@look.register(weakref.ReferenceType)
def _reference(thing: Any) -> Part:
    return Part("reference", [(".to", thing())])


@look.register(jax.extend.core.Jaxpr)
@look.register(jax.extend.core.ClosedJaxpr)
def _jaxpr(thing: Any) -> Part:
    """A traced function: its operations print alike everywhere, but for addresses of functions, and
    without rules of derivatives."""
    text = ADDRESS.sub("", str(thing))
    constants = [(".consts", list(getattr(thing, "consts", ())))]
    return Part(f"jaxpr {digest(text.encode())}", constants, seen="custom_" not in text)


@look.register(type(threading.Lock()))
@look.register(type(threading.RLock()))
def _lock(thing: Any) -> Part:
    return Part("lock")
