"""The code in README and docs runs, the API pages name everything public, examples are short doors, and
they and the experiments run."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import noetherax as nx

ROOT = Path(__file__).parent.parent
QUICKLY = ROOT / "tests" / "quickly.py"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)

PROMISED = {"README.md": "within 1 % of the truth: True"}
"""What a page must print."""


def code_of(text: str) -> str:
    """The Python blocks of a page, in order, as one program."""
    blocks = [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, body in BLOCK.findall(text)]
    return "\n".join(blocks)


def run(script: Path, *options: str, cwd: Path) -> str:
    """Runs a script as a user would, without the settings of the tests but those that save time."""
    command = [sys.executable, str(QUICKLY), str(script), *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"MPLBACKEND": "Agg", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if code_of(page.read_text())],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_code_on_pages_runs(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(code_of(page.read_text()))
    output = run(script, cwd=tmp_path)
    assert PROMISED.get(page.name, "") in output


WIDEST = 88
"""Columns of code that a page shows beside its side bars."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_on_pages_is_not_too_wide(page):
    lines = code_of(page.read_text()).splitlines()
    assert [line for line in lines if len(line) > WIDEST] == []


TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("[!_]*.py"))
FEW = re.compile(r"\b(steps|iterations|max_examples)=\d+")


@pytest.mark.slow  # the gate runs them all the same
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, tmp_path):
    """In a short form; its output on the site is from the whole one, of the same code."""
    script = tmp_path / "tutorial.py"
    # A model that is hardly trained need not have a motion.
    code = path.read_text().replace("nx.rollout(", "functools.partial(nx.rollout, throw=False)(")
    script.write_text("import functools\n" + FEW.sub(r"\1=2", code))
    run(script, cwd=tmp_path)


def test_every_tutorial_and_every_example_is_shown():
    assert len(TUTORIALS) == 7
    for path in TUTORIALS:
        figures = list((path.parent / "output").glob(f"{path.stem}-*.png"))
        assert figures
        assert all(figure.stat().st_size < 60_000 for figure in figures)
    gallery = (ROOT / "docs" / "gallery" / "index.md").read_text()
    assert [name for name in EXAMPLES if f"({name[:-3]}.png)" not in gallery] == []


def test_the_readme_opens_with_a_short_example():
    example = BLOCK.findall((ROOT / "README.md").read_text())[0][1]
    assert len([line for line in example.splitlines() if line.strip()]) <= 22


def test_api_pages_name_everything_public():
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = set(re.findall(r"^::: (noetherax\.\S+)$", pages, flags=re.M))
    public = {f"noetherax.{name}" for name in nx.__all__ if name != "__version__"}
    for room in ("interop", "systems", "plot", "testing"):
        public |= {f"noetherax.{room}.{name}" for name in getattr(nx, room).__all__}
    assert public - documented == set()


MOST_LINES = 60
"""Of an example, which is to be read in one go."""

DOORS = {"jax", "matplotlib", "noetherax", "numpy"}
"""What an example may import, beside the standard library."""

EXTRA = {
    "solar_system.py": {"jplephem"},
    "uncertainty.py": {"blackjax", "equinox"},
}
"""What else one needs, for its data or to sample."""

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def imports_of(path: Path) -> set[str]:
    """All modules that a script imports, by their full names."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    members = (node for node in nodes if isinstance(node, ast.ImportFrom))
    return names | {f"{'.' * x.level}{x.module or ''}.{y.name}" for x in members for y in x.names}


def private_names(path: Path) -> set[str]:
    """Attributes and imported names that begin with an underscore, but for the special ones."""
    nodes = ast.walk(ast.parse(path.read_text()))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {part for module in imports_of(path) for part in module.split(".")}
    return {name for name in names if re.match(r"_(?!_)", name)}


def test_there_are_six_to_twelve_examples():
    assert 6 <= len(EXAMPLES) <= 12
    assert {"kepler.py", "from_a_table.py", "robot_arm.py"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_imports_what_a_user_has(name):
    path = ROOT / "examples" / name
    lines = path.read_text().splitlines()
    assert len(lines) <= MOST_LINES
    roots = {module.split(".")[0] for module in imports_of(path)}
    assert roots <= DOORS | EXTRA.get(name, set()) | sys.stdlib_module_names
    assert not private_names(path)


def test_what_is_no_door_is_seen(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import optax\nfrom noetherax._drift import drift\nfrom . import _common\n")
    assert {"optax", "noetherax._drift.drift", ".._common"} == imports_of(script)
    assert private_names(script) == {"_drift", "_common"}


@pytest.mark.slow  # the gate runs them all the same
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_draws(name, tmp_path):
    script = ROOT / "examples" / name
    steps = "5" if name == "solar_system.py" else "200"  # those of Gauss–Newton are few
    run(script, "--steps", steps, "--out", str(tmp_path), cwd=tmp_path)
    assert (tmp_path / name).with_suffix(".png").stat().st_size > 10_000


EXPERIMENTS = {
    "kepler.py": ["figure03_trajectories.png", "figure12_loss.png", "family_unseen.png"],
    "mercury.py": ["mercury.png"],
    "schwarzschild.py": ["figure06_trajectories.png", "figure08_twins.png", "figure13_loss.png"],
    "invariant_layers.py": ["figure01_model.png", "figure02_layers.png"],
    "noise_and_data.py": ["noise_and_data.png"],
    "two_particles.py": ["figure09_trajectories.png", "figure11_twins.png", "figure14_loss.png"],
    "positions_only.py": ["positions_only.png"],
}
RUNNERS = {"reproduce_paper.py"}  # they only start others, and have a test of their own


def test_every_experiment_is_tested():
    scripts = {path.name for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert scripts == set(EXPERIMENTS) | RUNNERS


@pytest.mark.slow  # the gate runs them all the same
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_run_and_write_results(name, tmp_path):
    script = ROOT / "experiments" / name
    output = run(script, "--quick", "--out", str(tmp_path), cwd=tmp_path)
    assert "symmetry" in output
    assert json.loads((tmp_path / "results.json").read_text())
    for figure in EXPERIMENTS[name]:
        assert (tmp_path / figure).stat().st_size > 10_000


def test_the_paper_runs_only_what_is_missing_and_writes_a_page(tmp_path):
    script = ROOT / "experiments" / "reproduce_paper.py"
    numbers = {"distance": 0.25, "twin_ratio": 1.5}
    for seed, distance in enumerate([0.25, None, 0.125]):  # null: not finite
        folder = tmp_path / "kepler" / f"seed{seed}"
        folder.mkdir(parents=True)
        paper = {"ellipse": {"rotations": {"distance": 0.074}}}
        results = {"settings": {"steps": 1}, "paper": paper}
        results["ellipse"] = {"rotations": numbers | {"distance": distance}}
        (folder / "results.json").write_text(json.dumps(results))
    options = ["--quick", "--out", str(tmp_path), "--only", "kepler"]
    output = run(script, *options, "--seeds", "0", "1", "2", cwd=tmp_path)
    assert output.count("finished before") == 3
    page = (tmp_path / "kepler.md").read_text()
    assert re.search(
        r"^\| distance<small>.*</small> \| 0\.25 \(0\.125 – diverges\) \|$", page, re.M
    )
    assert "*0.074*" in page
    assert "(kepler.md)" in (tmp_path / "index.md").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["seconds"] == {}


def test_the_paper_reports_parts_that_fail(tmp_path):
    script = str(ROOT / "experiments" / "reproduce_paper.py")
    command = [sys.executable, script, "--only", "two_particles", "--seeds", "0", "--steps", "0"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "two_particles, seed 0" in done.stderr
    assert "must be positive" in (tmp_path / "two_particles" / "seed0" / "log.txt").read_text()
