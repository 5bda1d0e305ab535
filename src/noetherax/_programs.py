"""Compiled programs: when one is used again, and how many are kept.

`jax.jit` finds a program by the identity of what is not an array, and keeps it for as long as the
function that it was made from. A function that reads something else than last time is then answered
with last time's program; and one that is made anew in every turn of a loop leaves a program behind each
time, until the process runs out of memory maps. Programs here are found by what they compute, and few
are kept.
"""

import functools
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._content import Incomparable, content, is_transparent
from ._precision import full_precision

MOST = 64
"""Programs kept. Each holds tens to hundreds of memory maps, of which Linux gives a process 65,530."""

BLOCK = 256
"""Samples computed at a time where a program is to serve any number of them: enough for the work to
take longer than the call, and few enough to take no time where there are fewer."""

RAISED = re.compile("(EquinoxRuntimeError|HostError): ")
"""What stands before the message of `equinox.error_if`, or of a function on the host, in the error that
JAX raises."""

MOST_BYTES = 2**28
"""Bytes of the constants in all of them: a sampler may close over the whole of its data."""


class HostError(RuntimeError):
    """What a function that a program calls on the host has to say."""


_kept: OrderedDict[Hashable, "_Kept"] = OrderedDict()
_lock = threading.Lock()


class _Kept(NamedTuple):
    jitted: Callable
    bytes: int


@final
class _Key:
    """What a program is found by. It is nested deeply, and hashed once: an `OrderedDict` asks for the
    hash of every key that it passes."""

    __slots__ = ("hash", "parts")

    def __init__(self, *parts: Hashable):
        self.parts, self.hash = parts, hash(parts)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.hash == other.hash and self.parts == other.parts


def run(function: Callable, *arguments: Any) -> Any:
    """`function(*arguments)`, compiled: arrays are traced, and all else is part of the program."""
    return program(function, *arguments)(*arguments)


def at_once(function: Callable, *arguments: Any, traceable: bool = False) -> Any:
    """`function(*arguments)` by one program, where that is found without a trace. Operation by
    operation, a first call would compile a hundred. `traceable=True` says that the function never looks
    at the values of arrays, so that it may be traced also where its program has to be found so."""
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(arguments))
    if traced or not (traceable or is_transparent(arguments)):
        with full_precision():
            return function(*arguments)
    arrays = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, arguments)
    return run(function, *arrays)


def traced_once(function: Callable, *arguments: Any) -> Any:
    """`function(*arguments)` within a program, where it may stand many times. JAX traces it once, if it
    can be told without a trace that the arguments are of the same kind."""
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(arguments))
    return (
        run(function, *arguments) if traced and is_transparent(arguments) else function(*arguments)
    )


def one_program(function: Callable) -> Callable:
    """A decorator for what is mostly part of a program, and also called alone: then `at_once`."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return at_once(function, *arguments)

    return call


def programs() -> Callable:
    """A `run` that asks for the program of a function once, for loops that call several of them and
    change nothing but arrays."""
    found: dict[Callable, Callable] = {}

    def call(function: Callable, *arguments: Any) -> Any:
        if function not in found:
            found[function] = program(function, *arguments)
        return found[function](*arguments)

    return call


def by_blocks(function: Callable, model: Any, samples: tuple) -> Any:
    """`function(model, *samples)`, whose results have an axis of samples, in float64 on the host. It is
    computed a block at a time, so that one program serves any number of samples; the last block is
    filled up with samples that it has."""
    arrays = [None if x is None else np.asarray(x) for x in samples]
    count = len(next(x for x in arrays if x is not None))
    call, results = programs(), []
    for first in range(0, count, BLOCK):
        rows = np.arange(first, first + BLOCK) % count
        block = (None if x is None else jnp.asarray(x[rows]) for x in arrays)
        results.append(call(function, model, *block))

    def together(*blocks):
        return np.concatenate([np.asarray(x, float) for x in blocks])[:count]

    return jax.tree.map(together, *results)


def program(function: Callable, *arguments: Any, donated: int | None = None) -> Callable:
    """The compiled function for arguments like these.

    If all that is no array is data of libraries, the program is found by that data, without a trace.
    Otherwise `function` is traced, and the program found by its jaxpr. So a loop that calls it
    many times should ask for it once.

    **Arguments:**

    - `function`: of arrays and other objects; it returns a PyTree.
    - `arguments`: those that it will be called with, up to the values of their arrays.
    - `donated`: index of an argument whose buffers the results may take over.
    """
    dynamic, static = eqx.partition(arguments, eqx.is_array)
    jitted, size = _jitted(function, static, donated), 0
    try:
        if is_transparent(arguments):
            leaves, structure = jax.tree.flatten(static)
            key = tuple((type(x), x, repr(x)) for x in leaves), structure
        else:
            traced = jitted.trace(*dynamic).jaxpr
            if len(traced.in_avals) > len(jax.tree.leaves(dynamic)):
                # What is traced and closed over is an input of the jaxpr, and not in it.
                raise Incomparable
            # The same computation of another container, a tuple or a named one, packs otherwise.
            # So does one that differs in a static field, though nothing be computed from that.
            kinds = tuple(type(x) for x in arguments), jax.tree.structure(dynamic)
            key, size = (content(traced), kinds), sum(np.size(x) * 8 for x in traced.consts)
        jitted = _found(_Key(function, key, donated), _Kept(jitted, size)).jitted
    except (Incomparable, TypeError):
        pass  # what cannot be compared, or hashed, is not kept

    def call(*arguments):
        try:
            arrays, rest = jitted(*eqx.filter(arguments, eqx.is_array))
        except jax.errors.JaxRuntimeError as error:
            found = RAISED.search(str(error))
            if found is None:
                raise
            raise RuntimeError(str(error)[found.end() :].strip()) from None
        return eqx.combine(arrays, rest.value)

    return call


def _found(key: Hashable, new: _Kept) -> _Kept:
    with _lock:
        found = _kept.setdefault(key, new)
        _kept.move_to_end(key)
        while len(_kept) > MOST or sum(x.bytes for x in _kept.values()) > MOST_BYTES:
            _kept.popitem(last=False)
    return found


def _jitted(function: Callable, static: tuple, donated: int | None) -> Any:
    def call(*dynamic):
        with full_precision():
            result = function(*eqx.combine(dynamic, static))
        arrays, rest = eqx.partition(result, eqx.is_array)
        return arrays, _Static(rest)

    call.__name__ = getattr(function, "__name__", "call")
    # Within another program it is laid open, so that XLA sees both as one.
    return jax.jit(call, donate_argnums=() if donated is None else donated, inline=True)


@final
@jax.tree_util.register_static
class _Static:
    """What a program returns beside arrays."""

    def __init__(self, value: Any):
        self.value = value
