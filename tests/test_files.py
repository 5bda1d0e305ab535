import copy
import hashlib
import itertools
import json
import os
import pickle
import subprocess
import sys
import threading

import diffrax
import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax.training import _atomic


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.nx"


def fresh(seed=1, **options):
    return nx.NeuralLagrangian(
        nx.Rotations(3).invariant_features(1),
        key=jax.random.key(seed),
        **({"width": 16, "dtype": jnp.float64} | options),
    )


def test_a_model_comes_back_bit_for_bit(path):
    saved = helpers.neural(nx.Rotations(3), 1)
    nx.save(path, saved, metadata={"noise": 1e-3, "system": "Kepler"})
    assert eqx.tree_equal(nx.load(path, fresh()), saved)
    assert nx.load_metadata(path) == {"noise": 1e-3, "system": "Kepler"}


class Mixed(nx.Lagrangian):
    mass: float
    count: int
    flag: bool
    half: jax.Array
    integers: np.ndarray

    def __call__(self, q, v):
        return self.mass * jnp.sum(v**2)


def test_numbers_of_every_kind(path):
    saved = Mixed(0.1, 3, True, jnp.ones(2, jnp.bfloat16), np.arange(3, dtype=np.int16))
    like = Mixed(0.0, 0, False, jnp.zeros(2, jnp.bfloat16), np.zeros(3, np.int16))
    nx.save(path, saved)
    loaded = nx.load(path, like)
    assert eqx.tree_equal(loaded, saved)
    assert isinstance(loaded.mass, float)
    assert loaded.flag is True
    assert loaded.half.dtype == jnp.bfloat16


def test_saving_replaces_and_leaves_nothing_else(path):
    nx.save(path, fresh(1))
    nx.save(path, fresh(2))
    assert eqx.tree_equal(nx.load(path, fresh(3)), fresh(2))
    assert [file.name for file in path.parent.iterdir()] == ["model.nx"]


def test_a_failed_save_keeps_the_old_file(path, monkeypatch):
    nx.save(path, fresh(1))

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        nx.save(path, fresh(2))
    monkeypatch.undo()
    assert eqx.tree_equal(nx.load(path, fresh(3)), fresh(1))
    assert [file.name for file in path.parent.iterdir()] == ["model.nx"]


def test_every_truncation_is_noticed(path):
    nx.save(path, fresh())
    content = path.read_bytes()
    for length in [0, 5, 16, 17, 200, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a noetherax model|truncated|damaged"):
            nx.load(path, fresh())


class Tagged(nx.Lagrangian):
    """A small file with every part in it."""

    mass: jax.Array
    count: int = 3
    activation: object = jnp.tanh
    tags: frozenset = eqx.field(static=True, default=frozenset({"left", "right"}))

    def __call__(self, q, v):
        return self.mass * jnp.sum(v**2)


def tagged(**options):
    return Tagged(jnp.float32(1.0), **options)


def test_every_flipped_bit_is_noticed(path):
    """Every 7th, so that each bit of a byte has its turn."""
    nx.save(path, tagged(), metadata={"noise": 1e-3})
    content = path.read_bytes()
    for place in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="model.nx"):
            nx.load(path, tagged())
    path.write_bytes(content)
    assert nx.load(path, tagged()).count == 3


@pytest.mark.parametrize("place", [5, 300, -100, -1])
def test_a_flipped_bit_is_named(path, place):
    nx.save(path, fresh())
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum|not a noetherax model"):
        nx.load(path, fresh())


def test_integers_of_any_size(path):
    for count in (2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, -1, 0, 255, 256, 10**5000):
        nx.save(path, tagged(count=count))
        assert nx.load(path, tagged(count=0)).count == count


def test_arrays_that_would_lose_something_are_refused(path):
    for wrong in (np.ma.array([1.0], mask=[1]), np.array([object()]), np.array(["a"]),
                  np.zeros(2, [("x", float)]), np.array(["2026"], "M8[Y]")):  # fmt: skip
        with pytest.raises(TypeError, match="count"):
            nx.save(path, tagged(count=wrong))
    for kept in (np.float32(1.5), np.int8(-3), np.zeros((0, 2)), np.arange(3, dtype=">i4"), 1 - 2j):
        nx.save(path, tagged(count=kept))
        loaded = nx.load(path, tagged(count=0 * kept)).count
        assert np.array_equal(loaded, kept)
        assert type(loaded) is type(kept)


def scaled(scale):
    return lambda x: scale * x


def test_functions_are_told_by_what_they_do(path):
    others = [scaled(2.0), scaled(3.0), lambda x: x**2, lambda x: x**3, jnp.tanh, jnp.sinh]
    again = [scaled(2.0), scaled(3.0), lambda x: x**2, lambda x: x**3, jnp.tanh, jnp.sinh]
    for one, saved in enumerate(others):
        nx.save(path, tagged(activation=saved))
        for two, like in enumerate(again):
            if one == two:
                assert nx.load(path, tagged(activation=like)).activation is like
                continue
            with pytest.raises(ValueError, match=r"another structure(.|\n)*activation.* was .* is"):
                nx.load(path, tagged(activation=like))


def test_what_cannot_be_described_is_said(path):
    with pytest.warns(
        UserWarning, match=r"cannot tell what is in model.activation/scale .*generator"
    ):
        nx.save(path, tagged(activation=scaled(x for x in "ab")))


def test_foreign_files_are_refused_and_never_run(path):
    class Exploit:
        def __reduce__(self):
            return (pytest.fail, ("a file was executed",))

    for content in (pickle.dumps(Exploit()), b"", b"\x93NUMPY", b"{}\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a noetherax model"):
            nx.load(path, fresh())
    with pytest.raises(FileNotFoundError):
        nx.load(path.parent / "missing.nx", fresh())


def test_other_versions_are_refused(path):
    nx.save(path, fresh())
    magic, header, body = path.read_bytes().split(b"\n", 2)
    header = json.loads(header) | {"version": 99}
    path.write_bytes(b"\n".join([magic, json.dumps(header).encode(), body]))
    with pytest.raises(ValueError, match="format version 99, but this noetherax reads version 2"):
        nx.load(path, fresh())


@pytest.mark.parametrize(
    ("like", "evidence"),
    [
        (lambda: fresh(depth=3), "another structure"),
        (lambda: fresh(width=8), r"weight was float64\[16, 3\] and is float64\[8, 3\]"),
        (lambda: fresh(dtype=jnp.float32), "float32"),
        (lambda: fresh(activation=jnp.tanh), "tanh"),
        (lambda: helpers.HarmonicOscillator(), "HarmonicOscillator"),
    ],
)
def test_other_structures_are_shown(path, like, evidence):
    nx.save(path, fresh())
    with pytest.raises(ValueError, match=evidence):
        nx.load(path, like())


def test_metadata_must_be_json(path):
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    for wrong in (object(), float("nan"), {1: 2}, {(1, 2): 3}, b"x", np.ones(2), 10**5000, deep):
        with pytest.raises(TypeError, match="metadata must be JSON"):
            nx.save(path, fresh(), metadata={"key": wrong})
        assert not path.exists()


def test_metadata_of_any_size_and_script(path):
    metadata = {"log": "ä\n\ud800" * 2**21, "shape": [1, 2.5, None, True, {"": 2**70}]}
    nx.save(path, tagged(), metadata=metadata)
    assert path.stat().st_size > 2**24
    assert nx.load_metadata(path) == metadata
    assert nx.load(path, tagged()).count == 3


def with_header(content: bytes, header: bytes) -> bytes:
    """A file with another header and the right checksum."""
    magic, _, body = content[:-32].split(b"\n", 2)
    start = b"\n".join([magic, header, body])
    return start + hashlib.sha256(start).digest()


def test_hostile_headers_are_refused(path):
    """The checksum is right: whoever made them meant them."""
    nx.save(path, tagged())
    content = path.read_bytes()
    line = content.split(b"\n", 2)[1]
    header = json.loads(line)
    leaf, *rest = header["leaves"]
    entries = dict(
        version=["2", 2.0, True, None, -1, 10**400, 1],
        structure=[5, [], ["x"], [5], "x"],
        leaves=[5, [], [5], [leaf], None],
        metadata=[[], None, "x"],
    )
    places = dict(
        shape=[[-1], [1], [10**30], [[1]], ["1"], 5, None],
        dtype=["object", "float64", 5, None],
        bytes=[-1, 0, 10**20, 4.0, "4", None],
        name=["x", 5, None],
    )
    changed = [header | {k: x} for k, values in entries.items() for x in values]
    changed += [
        header | {"leaves": [leaf | {k: x}, *rest]} for k, values in places.items() for x in values
    ]
    texts = [json.dumps(x).encode() for x in changed]
    texts += [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"version": ' + b"9" * 5000 + b"}"]
    texts += [b"\xff" + line, line.decode().encode("utf-16"), line + b"{}", b'{"x":' * 100_000]
    texts += [line.replace(b"{}", b'{"a": %s}' % x) for x in (b"NaN", b"-Infinity", b"1e999")]
    texts += [line.replace(b'"version": 2', b'"version": 2, "version": 2')]
    for text in texts:
        assert text != line
        path.write_bytes(with_header(content, text))
        with pytest.raises(ValueError, match="model.nx"):
            nx.load(path, tagged())
    path.write_bytes(with_header(content, line))
    assert nx.load(path, tagged()).count == 3


PROCESS = """
import equinox as eqx
import jax
import numpy as np
import noetherax as nx

class Tags(eqx.Module):
    tags: frozenset = eqx.field(static=True, default=frozenset({"a", "b", "time", "mass", "rest"}))

key, features = jax.random.key(0), nx.Rotations(3).invariant_features(1)
network = nx.NeuralLagrangian(features, width=8, key=key, dtype=np.float32)
model = {"network": network, "tags": Tags(), "function": lambda x: 2 * x}
"""


def test_another_process_can_load_it(path):
    """In which sets have another order, and modules another name."""
    command = [sys.executable, "-c", PROCESS + "nx.save('model.nx', model)"]
    environment = os.environ | {"PYTHONHASHSEED": "5"}
    subprocess.run(command, cwd=path.parent, env=environment, check=True)
    space: dict = {"__name__": "elsewhere"}
    exec(PROCESS, space)
    assert list(nx.load(path, space["model"])) == ["function", "network", "tags"]


def test_files_have_the_permissions_of_any_file(path):
    nx.save(path, fresh())
    other = path.parent / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_shape_only_model_will_do_as_like(path):
    saved = fresh()
    nx.save(path, saved)
    assert eqx.tree_equal(nx.load(path, eqx.filter_eval_shape(fresh, 2)), saved)


def test_modes_of_files_are_left_to_the_system(path, monkeypatch):
    """The mask of a process can only be read by setting it, for all of its threads."""
    monkeypatch.setattr(os, "umask", lambda *_: pytest.fail("the mask was changed"))
    nx.save(path, tagged())


def test_what_killed_saves_left_is_removed(path):
    fcntl = pytest.importorskip("fcntl")
    left, alive, foreign, other = (
        path.parent / name
        for name in (
            ".model.nx.0123456789abcdef.unfinished",
            ".model.nx.fedcba9876543210.unfinished",
            ".model.nx.backup.unfinished",
            ".other.nx.0123456789abcdef.unfinished",
        )
    )
    for file in (left, alive, foreign, other):
        file.write_bytes(b"half")
    with open(alive, "rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)  # as a save under way in another process
        nx.save(path, tagged())
        assert sorted(path.parent.iterdir()) == sorted([path, alive, foreign, other])
    nx.save(path, tagged())
    assert not alive.exists()


def test_a_file_that_another_process_removed_is_made_again(path, monkeypatch):
    """Between its making and its lock, another process may think that it is left over."""
    lock, names = _atomic._lock, itertools.count()

    def late(descriptor):
        if not next(names):
            _atomic.remove_unfinished(path.parent, path.name)
        lock(descriptor)

    monkeypatch.setattr(_atomic, "_lock", late)
    nx.save(path, tagged())
    assert next(names) == 2
    assert nx.load(path, tagged()).count == 3


def test_threads_save_the_same_file(path):
    threads = [
        threading.Thread(target=lambda: [nx.save(path, tagged(count=n)) for n in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert nx.load(path, tagged()).count == 4
    assert [file.name for file in path.parent.iterdir()] == ["model.nx"]


def test_paths_that_are_none_are_named(path):
    model = tagged()
    for wrong, kind in ((5, TypeError), (b"x", TypeError), (None, TypeError), ("", ValueError)):
        with pytest.raises(kind, match="path must be a path"):
            _atomic.checked_path("path", wrong)
    with pytest.raises(IsADirectoryError, match="This is a folder"):
        nx.save(path.parent, model)
    with pytest.raises(IsADirectoryError, match="device or pipe"):
        nx.save("/dev/null", model)
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="model.nx"):
        nx.save(path / "inner" / "model.nx", model)
    long = path.parent / ("ü" * 125 + ".nx")  # as long as a name may be
    nx.save(long, model)
    assert nx.load(long, model).count == 3


def test_a_folder_that_cannot_be_written_is_named(path, monkeypatch):
    def denied(name, *_):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(PermissionError, match="model.nx'"):
        nx.save(path, tagged())


def test_models_can_be_pickled_and_copied():
    """Also those with an activation of JAX's; and the copies have their closed forms."""
    group = nx.Rotations(3)
    model = fresh()
    things = [model, fresh(activation=jnp.tanh), group, group.invariant_features(2)]
    things += [group.noether_charge(model), nx.default_optimizer(5).init(jnp.ones(2))]
    states, result = jnp.ones((3, 1, 1)), diffrax.RESULTS.successful
    things += [nx.Trajectory(jnp.ones(3), states, states, None, {"num_steps": 2}, result)]
    things += [nx.History(np.ones(2), 0, 1.0, 1.0, False)]
    friction = nx.Friction(group.configuration_features(1), key=jax.random.key(1))
    force = nx.NeuralForce(group.invariant_features(1), key=jax.random.key(2))
    things += [nx.Forced(model, friction, force)]
    for thing in things:
        for copied in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)):
            assert eqx.tree_equal(copied, thing)
    assert copy.deepcopy(model).network.activation is jax.nn.softplus
    half = jax.jit(scaled(0.5))  # without a name: as JAX has it
    assert copy.deepcopy(half)(2.0) == 1.0
