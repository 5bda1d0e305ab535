"""Every public name shows an example, and the examples run."""

import inspect
import operator
import re
import textwrap
from pathlib import Path

import jax
import pytest

import noetherax as nx

EXAMPLE = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


API = Path(__file__).parent.parent / "docs" / "api"


def public() -> dict[str, object]:
    """What the API pages show, by the name a user calls it; that these name everything public is a test
    of its own."""
    pages = "\n".join(page.read_text() for page in API.glob("*.md"))
    names = re.findall(r"^::: noetherax\.(\S+)$", pages, flags=re.M)
    found = {name: operator.attrgetter(name)(nx) for name in names}
    return {name: thing for name, thing in found.items() if callable(thing)}


PUBLIC = public()


def examples_of(thing: object) -> str:
    """The Python blocks of a docstring, in order, as one program."""
    blocks = EXAMPLE.findall(inspect.cleandoc(thing.__doc__ or ""))
    return "\n".join(textwrap.dedent(block) for _, block in blocks)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_runs(name, tmp_path, monkeypatch):
    """As a user would run it: in single precision, and with the usual promotion of types."""
    code = examples_of(PUBLIC[name])
    assert "nx." in code or "noetherax" in code, f"The docstring of {name} has no example."
    monkeypatch.chdir(tmp_path)  # examples may write files
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        exec(compile(code, f"<docstring of {name}>", "exec"), {"__name__": "__main__"})


def test_a_docstring_without_an_example_is_told():
    def silent():
        """```py\nnot run\n```"""

    assert examples_of(silent) == ""
