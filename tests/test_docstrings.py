"""Every public name shows an example, and the examples run."""

import inspect
import json
import operator
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import noetherax as nx

EXAMPLE = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
API = Path(__file__).parent.parent / "docs" / "api"
PARTS = 2
"""Processes that run the examples: few, since each has to import JAX."""


def public() -> dict[str, object]:
    """What the API pages show, by the name a user calls it; that these name everything public is a test
    of its own."""
    pages = "\n".join(page.read_text() for page in sorted(API.glob("*.md")))
    names = re.findall(r"^::: noetherax\.(\S+)$", pages, flags=re.M)
    found = {name: operator.attrgetter(name)(nx) for name in names}
    return {name: thing for name, thing in found.items() if callable(thing)}


def examples_of(thing: object) -> str:
    """The Python blocks of a docstring, in order, as one program."""
    blocks = EXAMPLE.findall(inspect.cleandoc(thing.__doc__ or ""))
    return "\n".join(textwrap.dedent(block) for _, block in blocks)


CODE = {name: examples_of(thing) for name, thing in public().items()}

RUNNER = """
import gc, json, sys, traceback, warnings
gc.disable()  # as in quickly.py
warnings.simplefilter("error")
failed = []
for name, code in json.load(sys.stdin).items():
    try:
        exec(compile(code, f"<docstring of {name}>", "exec"), {"__name__": "__main__"})
    except Exception:
        failed.append(name)
        traceback.print_exc()
sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
"""


def ran(code: dict[str, str], folder: Path) -> subprocess.CompletedProcess:
    """Examples as a user runs them: in single precision, and with the usual promotion of types."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"MPLBACKEND": "Agg", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-c", RUNNER]
    return subprocess.run(
        command,
        input=json.dumps(code),
        cwd=folder,  # examples may write files
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_public_name_has_an_example():
    assert len(CODE) > 150
    assert [name for name, code in CODE.items() if not code] == []


@pytest.mark.parametrize("part", range(PARTS))
def test_the_examples_run(part, tmp_path):
    done = ran(dict(list(CODE.items())[part::PARTS]), tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]


def test_an_example_that_fails_is_named(tmp_path):
    done = ran({"right": "assert True", "wrong": "assert False"}, tmp_path)
    assert done.returncode == 1
    assert "failed: wrong" in done.stderr
    assert examples_of(type("Silent", (), {"__doc__": "```py\nnot run\n```"})) == ""
