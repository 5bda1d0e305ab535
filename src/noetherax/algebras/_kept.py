"""Results that take longer than their use, kept by the content of the algebra they were made from.

The content is the key, not the group: what `algebra()` of a user's class returns may follow something
that changes, and then another result is made. Few are kept.
"""

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from ._algebra import AffineAlgebra

MOST = 64
"""Results of one function that are kept."""

MOST_BYTES = 2**28
"""Bytes of their arrays; the latest result is kept whatever its size."""


def kept_by_content(function: Callable) -> Callable:
    """`function(algebra, *rest)`, evaluated once for algebras of equal numbers; `rest` may not matter
    to what it returns. Arrays in the result are made read-only, since they are shared."""
    kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
    lock = threading.Lock()

    @functools.wraps(function)
    def call(algebra: AffineAlgebra, *rest):
        key = _content(algebra)
        with lock:
            if key in kept:
                kept.move_to_end(key)
                return kept[key][0]
        result = function(algebra, *rest)
        arrays = [x for x in jax.tree.leaves(result) if isinstance(x, np.ndarray)]
        for array in arrays:
            array.flags.writeable = False
        with lock:
            kept[key] = result, sum(array.nbytes for array in arrays)
            while len(kept) > 1 and (
                len(kept) > MOST or sum(size for _, size in kept.values()) > MOST_BYTES
            ):
                kept.popitem(last=False)
        return result

    return call


def _content(algebra: AffineAlgebra) -> Hashable:
    parts = (algebra.linear, algebra.shift, algebra.components)
    digests = (hashlib.sha256(x.tobytes()).digest() for x in parts)
    return algebra.tolerance, *(x.shape for x in parts), *digests
