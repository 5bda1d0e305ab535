import json
import pickle
import subprocess
import sys

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx


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


def test_a_flipped_bit_is_noticed(path):
    nx.save(path, fresh())
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        nx.load(path, fresh())


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
    with pytest.raises(TypeError, match="metadata must be JSON"):
        nx.save(path, fresh(), metadata={"key": object()})
    assert not path.exists()


PROCESS = """
import sys
import jax
import noetherax as nx
model = nx.NeuralLagrangian(nx.Rotations(3).invariant_features(1), width=8, key=jax.random.key(0))
if sys.argv[1] == "save":
    nx.save("model.nx", model)
else:
    nx.load("model.nx", model)
"""


def test_another_process_can_load_it(tmp_path):
    for action in ("save", "load"):
        subprocess.run([sys.executable, "-c", PROCESS, action], cwd=tmp_path, check=True)


def test_files_have_the_permissions_of_any_file(path):
    nx.save(path, fresh())
    other = path.parent / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_shape_only_model_will_do_as_like(path):
    saved = fresh()
    nx.save(path, saved)
    assert eqx.tree_equal(nx.load(path, eqx.filter_eval_shape(fresh, 2)), saved)
