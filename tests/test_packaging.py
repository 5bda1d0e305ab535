"""What the metadata promise: versions that agree, extras that errors name, files that releases hold."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import noetherax as nx

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text()
    newest = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert re.search(r"^version: (\S+)$", citation, flags=re.M)[1] == nx.__version__
    assert re.search(r'^  version: "(\S+)"$', recipe, flags=re.M)[1] == nx.__version__
    assert newest[1] == nx.__version__


def test_the_recipe_asks_for_the_same_versions():
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text()
    asked = {x.replace(" ", "") for x in re.findall(r"^    - (\S+ >=\S+)$", recipe, flags=re.M)}
    assert set(PROJECT["dependencies"]) <= asked


def test_files_for_developers_are_in_the_sdist():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    held = set(build["targets"]["sdist"]["only-include"])
    assert {"src/noetherax", "tests", "docs", "examples", "experiments", "mkdocs.yml"} <= held
    assert [name for name in held if not (ROOT / name).exists()] == []


def test_classifiers_name_the_versions_of_python_that_are_tested():
    prefix = "Programming Language :: Python :: 3."
    named = {x.removeprefix(prefix) for x in PROJECT["classifiers"] if x.startswith(prefix)}
    workflows = "\n".join(x.read_text() for x in (ROOT / ".github" / "workflows").glob("*.yml"))
    assert named == set(re.findall(r'"3\.(\d+)"', workflows))


def test_installed_versions_reach_the_lower_bounds():
    """The lowest bound itself is installed by `.ci/lowest`; this sees one that is mistyped."""
    for requirement in PROJECT["dependencies"]:
        name, bound = requirement.split(">=")
        found = importlib.metadata.version(name)
        numbers = [tuple(map(int, re.findall(r"\d+", x)[:3])) for x in (found, bound)]
        assert numbers[0] >= numbers[1], f"{requirement}, but {found} is installed"


MISSING = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
import noetherax as nx
try:
    getattr(nx, sys.argv[2])
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(("library", "room"), [("matplotlib", "plot"), ("hypothesis", "testing")])
def test_a_room_without_its_library_names_the_extra(library, room):
    command = [sys.executable, "-c", MISSING, library, room]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"pip install 'noetherax[{room}]'" in done.stdout
    assert room in PROJECT["optional-dependencies"]
