"""Models can be pickled and copied, with the activations and methods that they hold.

JAX pickles a compiled function as the plain one within, which no module offers, and copies it as
another one, for which closed forms of derivatives are not found. Equinox pickles bound methods with
annotations that cannot be. `copyreg` is where Python lets both be told by their names instead.
"""

import copyreg
import sys
from typing import Any, final

import equinox as eqx
import jax

PROTOCOL = 4
"""Of pickling, for objects without a name."""


def _compiled(function: Any) -> Any:
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", ""))
    if name and getattr(module, name, None) is function:
        return name
    return function.__reduce_ex__(PROTOCOL)


def _bound(method: Any) -> Any:
    return getattr, (method.__self__, method.__func__.__name__)


@final
class _Example(eqx.Module):
    def method(self) -> None:
        """Bound, it has the type of all bound methods of modules."""


copyreg.pickle(type(jax.jit(lambda: None)), _compiled)
copyreg.pickle(type(_Example().method), _bound)
