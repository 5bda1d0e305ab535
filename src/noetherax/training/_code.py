"""What a function does, told by its instructions: equal for equal source up to comments, docstrings and
line numbers, under one version of Python."""

import dis
import hashlib
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ._names import library

KINDS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
"""Flags of a function that say what a call of it does; the others are notes of the compiler."""


def code_digest(code: CodeType) -> str:
    """A short hash of the instructions, with the values of constants and not their places, which a
    docstring would move."""
    found = hashlib.sha256()
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found.update(repr((counts, arguments, code.co_flags & KINDS, code.co_exceptiontable)).encode())
    for step in dis.get_instructions(code):
        found.update(f"{step.opname} {_constant(step.argval)}\n".encode())
    return found.hexdigest()[:16]


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return f"{value.co_name} {code_digest(value)}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):  # its order differs from process to process
        return f"{{{', '.join(sorted(map(_constant, value)))}}}"
    if isinstance(value, int):
        return f"{type(value).__name__} {value:x}"  # Python refuses decimals of long integers
    return ascii(value)


def globals_read(function: FunctionType) -> dict[str, Any]:
    """The globals that a function reads, by name; of modules of the user's, the attributes it reads."""
    names, found = function.__globals__, []
    for code in _with_inner(function.__code__):
        value = None
        for step in dis.get_instructions(code):
            name = step.argval
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and name in names:
                value = names[name]
                found.append((name, value))
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and _has(value, name):
                path, _ = found.pop()  # a module is told by what is read of it
                value = getattr(value, name)
                found.append((f"{path}.{name}", value))
            elif step.opname == "IMPORT_NAME":
                value = sys.modules.get(name) or sys.modules.get(f"{names['__package__']}.{name}")
                found.append((name, value))
            elif step.opname == "IMPORT_FROM" and _has(value, name):
                found.append((f"{found[-1][0]}.{name}", getattr(value, name)))
            else:
                value = None
    return dict(found)


def _has(module: Any, name: str) -> bool:
    """Whether a module of the user's has an attribute; what libraries hold is told by their version."""
    return isinstance(module, ModuleType) and not library(module.__name__) and hasattr(module, name)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
