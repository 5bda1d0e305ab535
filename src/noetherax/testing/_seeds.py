"""Seeds of what strategies draw: of Hypothesis where a test of the user's asks, and a plain count where
the laws do. Hypothesis repeats numbers, and takes some from the source files of a project: laws would
see the same case many times, and other cases whenever a file changes."""

import contextlib
import itertools
from collections.abc import Iterator
from contextvars import ContextVar

from hypothesis import strategies as st

_counted: ContextVar[Iterator[int] | None] = ContextVar("counted", default=None)


def seeds() -> st.SearchStrategy[int]:
    """Of a random generator."""
    return st.integers(0, 2**32 - 1).map(_seed)


@contextlib.contextmanager
def counted_seeds() -> Iterator[None]:
    """All seeds that are drawn inside are different ones, and the same in every run."""
    token = _counted.set(itertools.count())
    try:
        yield
    finally:
        _counted.reset(token)


def _seed(drawn: int) -> int:
    counted = _counted.get()
    return drawn if counted is None else next(counted)
