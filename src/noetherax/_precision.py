"""Precision of matrix products on accelerators, which round the factors unless they are told not to."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

PRECISION = "highest"
"""Of the products on which an invariance or a charge depends."""


@contextmanager
def full_precision() -> Iterator[None]:
    """All products within keep every bit of their factors, where the user has not chosen otherwise.

    The Euler–Lagrange equations differentiate a network twice and invert the result: factors
    of ten bits leave two to three digits of an acceleration. Also a decorator, as `full_precision()`.
    """
    chosen = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    with jax.default_matmul_precision(chosen or PRECISION):
        yield
