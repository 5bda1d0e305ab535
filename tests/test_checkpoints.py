"""Runs survive their process: interrupted, killed, with damaged files or a full disk."""

import contextlib
import errno
import hashlib
import signal
import subprocess
import sys
import time
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import noetherax as nx
from noetherax.training import _checkpoints, _loop

KEY = jax.random.key(0)
ACCELERATION = nx.AccelerationLoss()
STEPS, EVERY = 60, 20
OPTIMIZER = optax.adam(1e-3)  # one object: the tests share one compiled program


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * jnp.sum(self.stiffness * q**2)


def observations():
    q, v = np.random.default_rng(0).normal(size=(2, 256, 1, 3))
    return q, v, -2 * q


def run(folder=None, steps=STEPS, key=KEY, data=None, **options):
    if folder is not None:
        options["checkpoints"] = nx.Checkpoints(folder, every=EVERY)
    start = Spring(jnp.array([1.0, 2.0, 3.0]))
    options = dict(optimizer=OPTIMIZER, progress=False) | options
    return nx.fit(start, data or observations(), steps=steps, key=key, **options)


def equal(a, b) -> bool:
    return bool(eqx.tree_equal(a, b))


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupt(monkeypatch, step: int) -> None:
    """Stops runs, as Ctrl-C does, at the first look after some steps."""

    class Bar(_loop.tqdm):
        def __init__(self, *arguments, initial=0, **options):
            super().__init__(*arguments, initial=initial, **options)
            self.seen = initial

        def update(self, n=1):
            self.seen += n
            if self.seen >= step:
                raise KeyboardInterrupt

    monkeypatch.setattr(_loop, "tqdm", Bar)


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    whole, history = run()
    for step in (5, 30):
        with monkeypatch.context() as patch:
            interrupt(patch, step)
            with pytest.warns(UserWarning, match="interrupted"):
                early, _ = run(tmp_path)
        assert not equal(early, whole)
    again, resumed = run(tmp_path)
    assert equal(again, whole)
    assert np.array_equal(resumed.loss, history.loss)
    assert files(tmp_path) == ["step_000000000040.nx", "step_000000000060.nx"]
    # A finished run is there at once, also by the name of its folder alone.
    assert equal(run(checkpoints=str(tmp_path))[0], whole)


def at_each_chunk(monkeypatch, around) -> None:
    """Calls `around(chunk, given, state)` in the place of every compiled chunk."""
    program = _loop.program

    def watched(*arguments, **options):
        chunk = program(*arguments, **options)
        return lambda given, state: around(chunk, given, state)

    monkeypatch.setattr(_loop, "program", watched)


def press(monkeypatch, times: int) -> None:
    """Ctrl-C at the worst moment: the old state has given its buffers away, the new one has no name."""

    def interrupted(chunk, given, state):
        new = chunk(given, state)
        if int(new[0].step) > 5:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return new

    at_each_chunk(monkeypatch, interrupted)


@pytest.fixture
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_a_chunk(tmp_path, monkeypatch, default_handler, capfd):
    whole, history = run()
    with monkeypatch.context() as patch:
        press(patch, times=1)
        with pytest.warns(UserWarning, match="interrupted after"):
            early, stopped = run(tmp_path, progress=True)
    assert "Ctrl-C again" in capfd.readouterr().err
    assert stopped.interrupted
    assert 5 < len(stopped.loss) < 60
    assert np.array_equal(stopped.loss, history.loss[: len(stopped.loss)])
    assert not equal(early, whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert equal(run(tmp_path)[0], whole)


def test_a_second_ctrl_c_ends_at_once(tmp_path, monkeypatch, default_handler):
    """And so does the first one, with the state lost, if nobody notes it."""
    whole, _ = run()
    with monkeypatch.context() as patch:
        press(patch, times=2)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with monkeypatch.context() as patch:
        press(patch, times=1)
        patch.setattr(_loop, "noted_interrupts", lambda announce: contextlib.nullcontext([]))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert equal(run(tmp_path)[0], whole)


def test_a_second_ctrl_c_loses_no_loss_of_steps_that_are_kept(tmp_path, monkeypatch):
    """It may come when a chunk has given its state, and not yet its losses."""
    whole, history = run()
    presses = iter([KeyboardInterrupt])

    class Late:
        def __init__(self, losses):
            self.losses = losses

        def __array__(self, dtype=None, copy=None):
            for pressed in presses:
                raise pressed
            return np.asarray(self.losses)

    def late(chunk, given, state):
        state, losses = chunk(given, state)
        return state, Late(losses) if int(state.step) > 5 else losses

    with monkeypatch.context() as patch:
        at_each_chunk(patch, late)
        with pytest.warns(UserWarning, match="interrupted after 20 of 60"):
            _, stopped = run(tmp_path)
    assert np.array_equal(stopped.loss, history.loss[:20])
    again, resumed = run(tmp_path)
    assert equal(again, whole)
    assert np.array_equal(resumed.loss, history.loss)


def test_another_handler_of_ctrl_c_is_left_alone(monkeypatch, default_handler):
    noted = []
    signal.signal(signal.SIGINT, lambda *_: noted.append(True))
    press(monkeypatch, times=1)
    _, history = run()
    assert noted
    assert not history.interrupted


def test_chunks_take_over_the_buffers_of_a_state_and_not_those_of_the_model(monkeypatch):
    given_away = []

    def watched(chunk, given, state):
        given_away.extend(jax.tree.leaves((state.parameters, state.average, state.optimizer)))
        return chunk(given, state)

    at_each_chunk(monkeypatch, watched)
    start = Spring(jnp.array([1.0, 2.0, 3.0]))
    nx.fit(start, observations(), steps=60, key=jax.random.key(0), progress=False)
    assert len(given_away) > 6
    assert all(x.is_deleted() for x in given_away)
    assert not any(x.is_deleted() for x in jax.tree.leaves(start))


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(tmp_path):
    whole, _ = run(tmp_path)
    newest = tmp_path / "step_000000000060.nx"
    for damage in (newest.read_bytes()[:-10], b"something else", b""):
        newest.write_bytes(damage)
        with pytest.warns(UserWarning, match="Left out a checkpoint: .*step_000000000060"):
            again, _ = run(tmp_path)
        assert equal(again, whole)


def test_another_run_in_the_folder_is_an_error(tmp_path):
    run(tmp_path)
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"another run: steps was 60 and is 80"):
        run(tmp_path, steps=80)
    with pytest.raises(ValueError, match=r"another run: key was"):
        run(tmp_path, key=jax.random.key(1))
    q, v, a = observations()
    with pytest.raises(ValueError, match=r"another run: data\[2\] was"):
        run(tmp_path, data=(q, v, 2 * a))
    with pytest.raises(ValueError, match="another run: optimizer"):
        run(tmp_path, optimizer=optax.sgd(1e-3, momentum=0.9))
    assert files(tmp_path) == before


def weighted_loss(weight):
    return lambda model, batch: weight * ACCELERATION(model, batch)


def test_whatever_is_different_makes_another_run(tmp_path):
    q, v, a = observations()

    def sampler(scale):
        return lambda key: tuple(scale * jax.random.normal(key, (8, 1, 3)) for _ in range(3))

    usual = dict(optimizer=optax.adam(1e-3), loss=weighted_loss(1.0), data=sampler(1.0))
    usual |= dict(steps=1, mask=True)
    run(tmp_path, **usual)
    others = {
        r"optimizer.*step_size was -0.001 and is -0.01\.": dict(optimizer=optax.adam(1e-2)),
        r"optimizer.*b2 was 0.999 and is 0.9\.": dict(optimizer=optax.adam(1e-3, b2=0.9)),
        "optimizer was .* and is None": dict(optimizer=None),
        r"loss/weight was 1.0 and is 2.0\.": dict(loss=weighted_loss(2.0)),
        "loss was .* and is": dict(loss=ACCELERATION),
        r"data/scale was 1.0 and is 2.0; first batch": dict(data=sampler(2.0)),
        "data was .* and is tuple of 3": dict(data=(q, v, a)),
        "preparation was True and is False": dict(preparation=False),
        "mask was True and is None": dict(mask=None),
        "averaging was 0.1 and is 0.2": dict(averaging=0.2),
        r"optimizer.*init_empty_state": dict(
            optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
        ),
        "batch_size was 128 and is 64": dict(batch_size=64),
    }
    before = files(tmp_path)
    for evidence, other in others.items():
        with pytest.raises(ValueError, match=f"another run: .*{evidence}"):
            run(tmp_path, **usual | other)
    evidence = "numpy_dtype_promotion.* was .*STRICT.* and is .*STANDARD"
    with jax.numpy_dtype_promotion("standard"), pytest.raises(ValueError, match=evidence):
        run(tmp_path, **usual)
    assert files(tmp_path) == before
    # Made anew, all the same: the run is known, and its result there at once.
    usual |= dict(optimizer=optax.adam(1e-3), loss=weighted_loss(1.0), data=sampler(1.0))
    run(tmp_path, **usual)


def begun(folder, thing, count=3):
    """A folder with checkpoints of a run that something describes."""
    checkpoints = nx.Checkpoints(folder, keep=5)
    description = _checkpoints.describe_run(thing=thing)
    for step in range(count):
        _checkpoints.write(checkpoints, jnp.array(step), step, description, 1.5)
    return checkpoints


def restored(checkpoints, thing):
    state, seconds, _ = _checkpoints.restore(
        checkpoints, jnp.array(-1), _checkpoints.describe_run(thing=thing)
    )
    return int(state), seconds


def test_any_flipped_bit_costs_the_steps_since_the_checkpoint_before(tmp_path):
    checkpoints = begun(tmp_path, "run")
    newest = tmp_path / "step_000000000002.nx"
    content = newest.read_bytes()
    for place in range(0, 8 * len(content), 331):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        newest.write_bytes(flipped)
        with pytest.warns(UserWarning, match="Left out a checkpoint"):
            assert restored(checkpoints, "run") == (1, 1.5)
    newest.write_bytes(content)
    assert restored(checkpoints, "run") == (2, 1.5)
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    with pytest.warns(UserWarning, match="Left out|None of the 3") as warned:
        assert restored(checkpoints, "run") == (-1, 0.0)
    assert len(warned) == 4
    assert "None of the 3 checkpoints" in str(warned[-1].message)


def test_damaged_checkpoints_do_not_count_as_kept(tmp_path):
    begun(tmp_path, "run")
    (tmp_path / "step_000000000002.nx").write_bytes(b"damaged")
    last = nx.Checkpoints(tmp_path, keep=1)
    _checkpoints.write(last, jnp.array(1), 1, _checkpoints.describe_run(thing="run"), 2.5)
    with pytest.warns(UserWarning, match="step_000000000002"):
        assert restored(last, "run") == (1, 2.5)


def test_what_is_not_a_checkpoint_is_left_alone(tmp_path):
    nx.save(tmp_path / "step_final.nx", jnp.array(7))
    left = tmp_path / ".step_000000000009.nx.0123456789abcdef.unfinished"
    left.write_bytes(b"half of one, of a killed process")
    checkpoints = begun(tmp_path, "run", 8)
    assert restored(checkpoints, "run") == (7, 1.5)
    assert len(files(tmp_path)) == 6
    assert "step_final.nx" in files(tmp_path)
    nx.save(tmp_path / "step_000000000009.nx", jnp.array(7))
    with pytest.raises(ValueError, match="a model, and no checkpoint"):
        restored(checkpoints, "run")


def test_checkpoints_of_another_format_are_not_trained_over(tmp_path):
    checkpoints = begun(tmp_path, "run", 2)
    newest = tmp_path / "step_000000000001.nx"
    content = newest.read_bytes()[:-32].replace(b'"version": 2', b'"version": 3')
    newest.write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(
        ValueError, match="has format version 3, but this noetherax reads version 2"
    ):
        restored(checkpoints, "run")


def test_what_cannot_be_known_of_a_run_is_said(tmp_path):
    generator = (x for x in "ab")
    with pytest.warns(UserWarning, match=r"cannot see what is in thing.*generator"):
        assert restored(begun(tmp_path / "a", generator), generator) == (2, 1.5)
    checkpoints = begun(tmp_path / "b", "run")
    path = checkpoints.folder / "step_000000000002.nx"
    metadata = nx.load_metadata(path)
    lines = [line.replace("jaxlib==", "jaxlib==0.") for line in metadata["run"]]
    nx.save(path, jnp.array(2), metadata=metadata | {"run": lines})
    with pytest.warns(UserWarning, match="other versions.*version of jaxlib was"):
        assert restored(checkpoints, "run") == (2, 1.5)

    def described(batch, data):
        return _checkpoints.describe_run(**{"data": data, _checkpoints.FIRST_BATCH: batch})

    checkpoints = nx.Checkpoints(tmp_path / "c")
    _checkpoints.write(checkpoints, jnp.array(0), 0, described(jnp.ones(3), "sampler"), 1.5)
    with pytest.warns(UserWarning, match="another first batch"):
        _checkpoints.restore(checkpoints, jnp.array(0), described(jnp.zeros(3), "sampler"))
    hidden = described(jnp.zeros(3), "sampler")._replace(unseen=["data"])
    with (
        pytest.warns(UserWarning, match="cannot see"),
        pytest.raises(ValueError, match="another run: first batch"),
    ):
        _checkpoints.restore(checkpoints, jnp.array(0), hidden)


def test_a_folder_that_cannot_be_written_is_known_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run(tmp_path / "file" / "run")


def test_a_full_disk_costs_no_training(tmp_path, monkeypatch):
    save = _checkpoints.save

    def full(path, *arguments, **options):
        if path.name > "step_000000000020.nx":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(path, *arguments, **options)

    monkeypatch.setattr(_checkpoints, "save", full)
    with pytest.warns(
        UserWarning, match="checkpoint of step (40|60) was not written: .*No space left"
    ):
        trained, _ = run(tmp_path)
    assert equal(trained, run()[0])
    assert files(tmp_path) == ["step_000000000000.nx", "step_000000000020.nx"]


def test_options_are_checked(tmp_path):
    with pytest.raises(ValueError, match="every"):
        nx.Checkpoints(tmp_path, every=0)
    with pytest.raises(ValueError, match="keep"):
        nx.Checkpoints(tmp_path, keep=0)
    for wrong, kind in ((5, TypeError), (b"run", TypeError), ("", ValueError), (True, TypeError)):
        with pytest.raises(kind, match="checkpoints, if not noetherax.Checkpoints, must be a path"):
            _checkpoints.as_checkpoints(wrong)
    assert _checkpoints.as_checkpoints(None) is None
    assert _checkpoints.as_checkpoints("run").folder.name == "run"


SCRIPT = """
import sys
import jax
import noetherax as nx

model = nx.NeuralLagrangian(nx.Rotations(3).invariant_features(1), width=16, key=jax.random.key(0))
sampler = nx.systems.Kepler().sampler(batch_size=32)
folder, result = sys.argv[1:]
model, _ = nx.fit(
    model, sampler, steps=20_000, key=jax.random.key(1), progress=False,
    checkpoints=nx.Checkpoints(folder, every=100),
)
nx.save(result, model)
"""


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_same_weights(tmp_path):
    """SIGKILL, which no program can catch, at moments from before the first step to the last ones."""
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run([*command, str(tmp_path / "whole"), str(tmp_path / "whole.nx")], check=True)
    random, result = np.random.default_rng(), tmp_path / "killed.nx"
    kills = 0
    while not result.exists():
        process = subprocess.Popen([*command, str(tmp_path / "killed"), str(result)])
        deadline = time.monotonic() + random.uniform(3, 8)
        while process.poll() is None and time.monotonic() < deadline and kills < 6:
            time.sleep(0.01)
        if process.poll() is None and kills < 6:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 2
    assert result.read_bytes() == (tmp_path / "whole.nx").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list((tmp_path / "killed").glob("*.nx"))) == 2
