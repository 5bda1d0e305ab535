"""What describes a thing is equal in every process for equal things, and differs if they do."""

import collections
import contextlib
import functools
import itertools
import json
import os
import subprocess
import sys
import threading
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import noetherax as nx
from noetherax.training import _description, _names
from noetherax.training._description import describe, differences


def defined(source: str, **names):
    """The function `f` of a script of the user's."""
    space = {"__name__": "script", "__package__": "", "jnp": jnp, "nx": nx, "jax": jax} | names
    exec(source, space)
    return space["f"]


def helpers(**members):
    module = types.ModuleType("helpers_of_the_user")
    vars(module).update(members)
    return module


SCALED = "f = lambda x: scale * x"
HELPED = "def g(x): return x {} x\ndef f(x): return g(x)"
RULED = """
@jax.custom_jvp
def f(x): return x
@f.defjvp
def _(primals, tangents): return primals[0], {} * tangents[0]
"""
CLASS = (
    "class Law(nx.Lagrangian):\n  k: float = 1.0\n  def __call__(self, q, v): return {}\nf = Law()"
)
CALLED = "class Loss:\n  def __init__(self): self.weight = {}\nf = Loss()"
NAMED = "class T(tuple):\n  def __call__(self): return {}\nf = T((1, 2))"


def closure(value):
    return lambda x: value * x


def with_attribute(value):
    f = defined("def f(x): return x * f.scale")
    f.scale = value
    return f


def variants() -> dict[str, list]:
    """Things that differ in one respect, by its name."""
    features = nx.Rotations(2).invariant_features(1)
    return {
        "constants": [
            defined(f"f = lambda: {c}") for c in ("1", "2", "1.0", "True", "0.0", "-0.0", "'1'")
        ],
        "operators": [defined(f"f = lambda x, y: x {o} y") for o in "+-*/@<>"],
        "names of functions called": [defined(f"f = lambda x: jnp.{n}(x)") for n in ("sin", "cos")],
        "branches": [
            defined("def f(x):\n  if x: return 1"),
            defined("def f(x):\n  if not x: return 1"),
        ],
        "inner functions": [
            defined(f"def f(x):\n  def g(y): return y {o} 1\n  return g(x)") for o in "+-"
        ],
        "defaults": [defined(f"def f(x, scale={c}): return scale * x") for c in (1, 2)],
        "keyword defaults": [defined(f"def f(x, *, scale={c}): return scale * x") for c in (1, 2)],
        "closures": [closure(1.0), closure(2.0), closure(jnp.float32(1)), closure(np.ones(2))],
        "global numbers": [defined(SCALED, scale=c) for c in (1.0, 2.0)],
        "global arrays": [defined(SCALED, scale=np.arange(100) + c) for c in (0, 1)],
        "global lists": [defined(SCALED, scale=[{"a": [c]}]) for c in (0, 1)],
        "global functions": [defined(HELPED.format(o)) for o in "+-"],
        "modules of the user's": [
            defined("f = lambda x: tools.inner.scale * x", tools=helpers(inner=helpers(scale=c)))
            for c in (1, 2)
        ],
        "attributes of functions": [with_attribute(c) for c in (1, 2)],
        "partial arguments": [functools.partial(nx.rollout, dt=c) for c in (1, 2)],
        "losses": [nx.RelativeAccelerationLoss(c) for c in (1, 2)],
        "compiled functions": [jax.jit(closure(c)) for c in (1, 2)],
        "filtered functions": [eqx.filter_jit(closure(c)) for c in (1, 2)],
        "remembered functions": [functools.lru_cache(closure(c)) for c in (1, 2)],
        "mapped axes": [jax.vmap(jnp.sin, in_axes=axis) for axis in (0, 1)],
        "rules of derivatives": [defined(RULED.format(c)) for c in (1, 2)],
        "traced functions": [jax.make_jaxpr(closure(c))(1.0) for c in (1.0, 2.0)],
        "methods of classes": [defined(CLASS.format(c)) for c in ("jnp.sum(v)", "jnp.sum(q)")],
        "attributes": [defined(CALLED.format(c)) for c in (1, 2)],
        "methods of tuples": [defined(NAMED.format(c)) for c in (1, 2)],
        "bound methods": [nx.Rotations(2).act, nx.Rotations(3).act, nx.Rotations(2).generators],
        "learning rates": [optax.adam(c) for c in (1e-3, 1e-4)],
        "schedules": [optax.adam(optax.cosine_decay_schedule(1e-3, c)) for c in (10, 20)],
        "other numbers of optimisers": [optax.adam(1e-3, b2=c) for c in (0.9, 0.99)],
        "optimisers of the same state": [optax.sgd(1e-3), optax.sign_sgd(1e-3)],
        "orders of transformations": [
            optax.chain(*parts)
            for parts in itertools.permutations([optax.clip(1.0), optax.scale(-1e-3)])
        ],
        "samplers": [nx.systems.Kepler().sampler(noise=c) for c in (0.0, 1e-3)],
        "activations": [
            nx.NeuralLagrangian(features, 2, key=jax.random.key(0), activation=a)
            for a in (jnp.tanh, jax.nn.softplus, lambda x: x**2, lambda x: x**3)
        ],
        "arrays of the same bytes": [
            np.zeros((2, 3)),
            np.zeros((3, 2)),
            np.zeros(6),
            np.zeros((2, 3), int),
            np.zeros((2, 6), "f4"),
        ],
        "large arrays": [np.arange(1000) % (1000 - c) for c in (0, 1)],
        "masked arrays": [np.ma.array([1, 2], mask=[0, c]) for c in (0, 1)],
        "keys": [jax.random.key(0), jax.random.key(1), jax.random.key(0, impl="rbg")],
        "numbers": [
            1,
            2,
            1.0,
            True,
            "1",
            None,
            1j,
            2**64,
            2**5000,
            float("nan"),
            [1],
            (1,),
            {1},
            {1: 1},
        ],
        "collections": [
            *(kind(x) for kind in (bytearray, memoryview, collections.deque) for x in (b"a", b"b")),
            *(collections.defaultdict(kind) for kind in (int, float)),
        ],
        "sets": [{"a", "b"}, {"a", "c"}, frozenset({"a", "b"}), {"a", "b", "c"}],
        "generators of numbers": [np.random.default_rng(c) for c in (0, 1)],
    }


def test_every_difference_is_told():
    for name, things in variants().items():
        told = [describe("x", thing) for thing in things]
        for one, other in itertools.combinations(told, 2):
            assert differences(one.lines, other.lines)[0], name
        assert all(differences(x.lines, x.lines) == ([], []) for x in told), name
        assert not any(x.unseen for x in told), name


def test_comments_docstrings_lines_and_modules_are_no_difference():
    plain = "def f(x):\n  def g(y): return y + 1 if y else None\n  return g(x) + 2"
    noted = '\n\ndef f(x):\n  """Words."""\n\n  def g(y):  # a comment\n    """More."""\n    return y + 1 if y else None\n  return (\n    g(x) + 2\n  )'  # noqa: E501
    one, other = defined(plain), defined(noted, __name__="elsewhere")
    assert describe("f", one) == describe("f", other)


def test_circles_and_depths_are_no_obstacle():
    circle: list = [1, 2.0]
    circle.append({"again": circle})
    assert describe("x", circle).lines[-1] == "x[2]['again']=as x"
    pair = (1, (2, [3]))
    assert describe("x", [pair, pair]) == describe("x", [pair, (1, (2, pair[1][1]))])
    fact = defined("def f(n): return n * f(n - 1) if n else 1")
    assert describe("x", fact).lines[-1] == "x/f=as x"
    deep: list = []
    for _ in range(2_500):
        deep = [deep]
    told = describe("x", deep)
    assert len(told.lines) == _description.MOST_LINES + 1
    assert told.lines != describe("x", deep[0]).lines


class Strange:
    def __getattribute__(self, name):
        raise RuntimeError(name)


def test_what_cannot_be_seen_is_named(tmp_path, monkeypatch):
    with contextlib.closing(open(tmp_path / "file", "w")) as file:
        hidden = [file, (x for x in "ab"), Strange(), helpers(a=1)]
        for thing in hidden:
            (unseen,) = describe("loss", closure(thing)).unseen
            assert unseen.startswith("loss/value")
    assert not describe("loss", closure(threading.Lock())).unseen
    monkeypatch.setattr(_description, "MOST_PARTS", 10)
    (unseen,) = describe("loss", [[1], [2]] * 10).unseen
    assert "the 10th part" in unseen


def test_other_versions_are_told_from_other_content(monkeypatch):
    things = [optax.adam(1e-3), closure(2.0)]
    ours = describe("x", things).lines
    theirs = [line.replace("optax==", "optax==0.") for line in ours]
    assert differences(theirs, ours)[0] == []
    assert differences(theirs, ours)[1]
    monkeypatch.setattr(_names, "PYTHON", "3.99")
    old = describe("x", closure(2.0)).lines
    monkeypatch.undo()
    new = describe("x", closure(2.0)).lines
    assert differences(old, new)[0] == []
    assert "code==3.99" in differences(old, new)[1][0]
    assert differences([new[0].replace(":", ":0", 1), *new[1:]], new)[0]  # of the same version


SCRIPT = """
import functools
import jax
import numpy as np
import optax
import noetherax as nx
from noetherax.training._description import describe

scale = np.arange(50.0)
names = {"position", "velocity", "acceleration", "time", "mass"}

class Law(nx.Lagrangian):
    stiffness: float = 2.0
    names: frozenset = frozenset(names)

    def __call__(self, q, v):
        return self.stiffness * (q**2).sum() if "time" in {"time", "mass", "length"} else scale

@jax.custom_jvp
def soft(x):
    return x

@soft.defjvp
def rule(primals, tangents):
    return primals[0], tangents[0] * scale[3]

def loss(model, batch, *, weight=3):
    return weight * nx.AccelerationLoss()(model, batch) + soft(batch[0]).sum()

features = nx.Rotations(3).invariant_features(1)
model = nx.NeuralLagrangian(features, 4, key=jax.random.key(0), dtype=np.float32)
model = jax.tree.map(lambda x: np.zeros_like(x) if hasattr(x, "dtype") else x, model)
things = [
    Law(), loss, jax.jit(loss), functools.partial(loss, weight=2), names, jax.vmap(soft), model,
    optax.adamw(optax.cosine_decay_schedule(1e-3, 10)), nx.default_optimizer(10),
    nx.systems.Kepler().sampler(), nx.Rotations(3).noether_charge(Law()), np.random.default_rng(0),
    nx.TrajectoryLoss(0.1, solver=nx.VariationalGauss4()),
]
told = describe("things", things)
"""
PRINT = "\nimport json\nprint(json.dumps(told))"


def test_another_process_tells_the_same():
    """With sets in another order, and without the type checks of the tests."""
    command = [sys.executable, "-c", SCRIPT + PRINT]
    environment = os.environ | {"PYTHONHASHSEED": "5"}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    lines, unseen = json.loads(output.stdout)
    space: dict = {"__name__": "elsewhere"}
    exec(SCRIPT, space)
    assert unseen == space["told"].unseen == []
    assert differences(lines, space["told"].lines) == ([], [])
