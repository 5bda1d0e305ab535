"""The house rules, checked on the source: one-way imports, classes abstract or final."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import final

import pytest

import noetherax as nx

SOURCE = Path(nx.__file__).parent
ROOMS = [
    "_checks",
    "_content",
    "_derivatives",
    "_precision",
    "_programs",
    "_summaries",
    "_types",
    "features",
    "lagrangians",
    "forces",
    "dynamics",
    "charges",
    "algebras",
    "invariants",
    "groups",
    "_describe",
    "baselines",
    "solvers",
    "_trajectory",
    "_integration",
    "_rollout",
    "_drift",
    "_rates",
    "_impulses",
    "_balance",
    "data",
    "losses",
    "training",
    "systems",
    "evaluation",
    "interop",
    "plot",
    "testing",
]


def modules():
    for info in pkgutil.walk_packages([str(SOURCE)], "noetherax."):
        yield importlib.import_module(info.name)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported_rooms(path: Path, text: str) -> set[str]:
    """Rooms that a file imports from, other than its own."""
    package = ("noetherax", *path.relative_to(SOURCE).parts[:-1])
    rooms = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                targets = [[*base, *node.module.split(".")]]
            else:
                targets = [[*base, alias.name] for alias in node.names]
            rooms |= {target[1] for target in targets}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("noetherax"):
            rooms |= {(node.module or "").split(".")[1]} if "." in (node.module or "") else set()
    return rooms - {room(path)}


FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_import_only_from_their_left(path):
    wrong = imported_rooms(path, path.read_text()) - set(ROOMS[: ROOMS.index(room(path))])
    assert not wrong


def test_an_upward_import_would_be_seen():
    path = SOURCE / "features" / "_base.py"
    assert imported_rooms(path, "from ..groups import Rotations") == {"groups"}
    assert imported_rooms(path, "from .. import training") == {"training"}
    assert imported_rooms(path, "from ._vectors import StateVectors") == set()


def violations(cls) -> list[str]:
    """What breaks the rule that a class is either abstract or final."""
    found = []
    abstract = inspect.isabstract(cls) or bool(getattr(cls, "__abstractvars__", ()))
    final = getattr(cls, "__final__", False)
    if abstract == final:
        found.append(f"{cls.__name__} is {'both' if final else 'neither'} abstract and final")
    for base in cls.__mro__[1:]:
        if not base.__module__.startswith("noetherax"):
            continue
        if getattr(base, "__final__", False):
            found.append(f"{cls.__name__} inherits from the final {base.__name__}")
        for name, member in vars(cls).items():
            concrete = vars(base).get(name)
            overridden = (
                not name.startswith("__")
                and isinstance(concrete, FunctionType | property | cached_property)
                and not getattr(concrete, "__isabstractmethod__", False)
            )
            if overridden and member is not concrete:
                found.append(f"{cls.__name__} overrides the concrete {base.__name__}.{name}")
    return found


def classes():
    """All that are defined in the package, but for named tuples, which have no parts to fill in, and
    exceptions."""
    for module in modules():
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__ and not issubclass(cls, tuple | Exception):
                yield cls


def test_every_class_is_abstract_or_final():
    everything = set(classes())
    assert nx.NeuralLagrangian in everything
    assert nx.AffineGroup in everything
    assert {"GroupRecord", "Program"} <= {cls.__name__ for cls in everything}
    assert [violation for cls in everything for violation in violations(cls)] == []


def test_a_violation_would_be_seen():
    class Neither(nx.Lagrangian):
        def __call__(self, q, v):
            return 0.0

    assert violations(Neither) == ["Neither is neither abstract and final"]

    class Overrides(nx.AffineGroup):
        def algebra(self):
            return None

        def act(self, coefficients, q, v, t=0.0):
            return q, v

    assert "Overrides overrides the concrete AffineGroup.act" in violations(Overrides)

    class Plain:
        @cached_property
        def part(self):
            return 0

    @final
    class Other(Plain):
        @cached_property
        def part(self):
            return 1

    for cls in Plain, Other:  # as if they were defined in the package
        cls.__module__ = nx.__name__
    assert violations(Plain) == ["Plain is neither abstract and final"]
    assert violations(Other) == ["Other overrides the concrete Plain.part"]


def test_the_abstractions_stay_small():
    def members(cls):
        return set(cls.__abstractmethods__) | set(getattr(cls, "__abstractvars__", ()))

    assert len(members(nx.SymmetryGroup)) <= 5
    assert len(members(nx.InvariantFeatures)) <= 2
    assert len(members(nx.ConfigurationFeatures)) <= 2
    assert len(members(nx.Lagrangian)) == 1
    assert len(members(nx.NoetherCharge)) == 1
    assert len(members(nx.systems.System)) <= 4
    assert len(members(nx.Loss)) == 2
    assert members(nx.AffineGroup) == {"algebra"}


BARE = """
import sys
import warnings
import jax
import noetherax as nx
assert not jax.config.jax_enable_x64
heavy = {"matplotlib", "hypothesis", "scipy.linalg"}
heavy |= {f"noetherax.{name}" for name in ("systems", "evaluation", "testing", "plot")}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import jax.numpy as jnp
group = nx.Rotations(3)
lagrangian = nx.NeuralLagrangian(group.invariant_features(1), key=jax.random.key(0))
flat = jnp.ones(3)
calls = {
    "lagrangian": lambda: lagrangian(flat, flat),
    "features": lambda: lagrangian.features(flat, flat),
    "momentum": lambda: nx.momentum(lagrangian, flat, flat),
    "energy": lambda: nx.energy(lagrangian, flat, flat),
    "acceleration": lambda: nx.acceleration(lagrangian, flat, flat),
    "terms": lambda: nx.euler_lagrange_terms(lagrangian, flat, flat),
    "residual": lambda: nx.euler_lagrange_residual(lagrangian, flat, flat, flat),
    "generators": lambda: group.generators(flat),
    "act": lambda: group.act(flat, flat, flat),
    "charge": lambda: group.noether_charge(lagrangian)(flat, flat),
    "rollout": lambda: nx.rollout(lagrangian, flat, flat, ts=jnp.array([0.0, 1.0])),
}
for name, call in calls.items():
    try:
        call()
    except ValueError as error:
        assert "[None, :]" in str(error) and "(3,)" in str(error), (name, error)
    else:
        raise SystemExit(f"{name} accepts a state of shape (3,)")
for group in nx.SpecialLinear(2), nx.Symplectic(4):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        group.invariant_features(1)
    assert [x.filename for x in caught] == ["<string>"], [str(x) for x in caught]
"""


def test_as_a_user_has_it():
    """Without type checks and x64: a state of shape (3,) is named everywhere; nothing heavy loads; and
    a warning shows the line that asked for features."""
    subprocess.run([sys.executable, "-c", BARE], check=True)
