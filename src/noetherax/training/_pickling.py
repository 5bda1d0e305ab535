"""Models can be pickled and copied, with the activations and methods that they hold.

JAX pickles a compiled function as the plain one within, which no module offers, and copies it as
another one, for which closed forms of derivatives are not found. Equinox pickles bound methods with
annotations that cannot be. `copyreg` is where Python lets both be told by their names instead.
"""

import copyreg
import sys
from typing import Any

import jax

from ..groups import Trivial

PROTOCOL = 4
"""Of pickling, for objects without a name."""


def _compiled(function: Any) -> Any:
    name = function.__qualname__
    if getattr(sys.modules.get(function.__module__), name, None) is function:
        return name
    return function.__reduce_ex__(PROTOCOL)


def _bound(method: Any) -> Any:
    return getattr, (method.__self__, method.__func__.__name__)


copyreg.pickle(type(jax.jit(lambda: None)), _compiled)
copyreg.pickle(type(Trivial(1).act), _bound)
