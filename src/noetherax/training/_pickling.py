"""Models can be pickled and copied, with the activations and methods that they hold.

JAX's compiled functions are pickled as the plain functions within, which their modules do not offer
under that name; a copy of one is another function, for which closed forms of derivatives are not found.
Bound methods of Equinox modules hold annotations that cannot be pickled. `copyreg` lets both say better
what they are: the name under which they are found.
"""

import copyreg
import sys
from typing import Any

import equinox as eqx
import jax


def _reduced(thing: Any) -> Any:
    """The name of what its module offers under that name; else what it says of itself."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if name and getattr(sys.modules.get(str(module)), name, None) is thing:
        return name
    return thing.__reduce_ex__(copyreg_protocol)


copyreg_protocol = 4


class _Probe(eqx.Module):
    def method(self):
        pass


def _bound(method: Any) -> Any:
    return getattr, (method.__self__, method.__func__.__name__)


for _kind in (type(jax.jit(lambda: None)), jax.custom_jvp, jax.custom_vjp):
    copyreg.pickle(_kind, _reduced)
copyreg.pickle(type(_Probe().method), _bound)
