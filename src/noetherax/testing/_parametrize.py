"""A test of pytest for every law of every subject."""

from collections.abc import Callable, Iterable
from typing import Any

from ._laws import laws


def parametrize_with_laws(subjects: Iterable[Any]) -> Callable[[Callable], Callable]:
    """Decorator that runs a pytest test once for every law of every subject.

    !!! example

        ```python
        import noetherax as nx

        group = nx.Euclidean(2)
        features = group.invariant_features(points=2)


        @nx.testing.parametrize_with_laws(
            [
                nx.testing.Group(group),
                nx.testing.Features(features, group, points=2),
            ]
        )
        def test_laws(subject, law):
            law(subject)


        (mark,) = test_laws.pytestmark
        assert mark.kwargs["ids"][0] == "Group(Euclidean)-identity_law"
        ```

    **Arguments:**

    - `subjects`: as [`noetherax.testing.laws`][] takes them.

    **Returns:**

    A decorator for a test function `(subject, law)`. Needs pytest.
    """
    import pytest

    cases = [(subject, law) for subject in subjects for law in laws(subject)]
    names = [f"{_name(subject)}-{law.__name__}" for subject, law in cases]
    return pytest.mark.parametrize(("subject", "law"), cases, ids=names)


def _name(subject: Any) -> str:
    tested = subject[0]
    name = getattr(tested, "__name__", type(tested).__name__)
    return f"{type(subject).__name__}({name})"
