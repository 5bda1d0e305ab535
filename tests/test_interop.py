"""Weights as safetensors, and motions as xarray: what comes back is what was given."""

import sys

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import interop

xarray = pytest.importorskip("xarray")
safetensors = pytest.importorskip("safetensors.numpy")

FEATURES = nx.Rotations(3).invariant_features(points=1)


def network(seed: int = 0, **options):
    return nx.NeuralLagrangian(FEATURES, **{"width": 4, "key": jax.random.key(seed)} | options)


def test_weights_come_back_and_other_tools_read_them(tmp_path):
    path, model = tmp_path / "model.safetensors", network()
    interop.save_safetensors(path, model, metadata={"trained on": "Kepler"})
    assert not eqx.tree_equal(network(1), model)
    assert eqx.tree_equal(interop.load_safetensors(path, network(1)), model)
    stored = safetensors.load_file(path)
    assert np.array_equal(stored["network.layers.0.weight"], model.network.layers[0].weight)


def test_a_file_of_another_model_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "model.safetensors"
    interop.save_safetensors(path, network())
    with pytest.raises(ValueError, match="width_size was 4 and is 5"):
        interop.load_safetensors(path, network(width=5))
    with pytest.raises(ValueError, match=r"activation was .*softplus and is .*tanh"):
        interop.load_safetensors(path, network(activation=jax.nn.tanh))


def test_files_from_elsewhere_must_have_the_arrays(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.save_file({"mass": np.ones(2)}, path)
    assert np.array_equal(interop.load_safetensors(path, {"mass": jnp.zeros(2)})["mass"], [1, 1])
    for like, message in (
        ({"mass": np.zeros(3)}, r"float64\[2\], but `like` has float64\[3\]"),
        ({"mass": np.zeros(2, np.float32)}, r"float64\[2\], but `like` has float32\[2\]"),
        ({"charge": np.zeros(2)}, r"lacks \['charge'\], and has \['mass'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            interop.load_safetensors(path, like)


def test_leaves_keep_their_kind_and_what_cannot_be_kept_is_refused(tmp_path):
    path = tmp_path / "tree.safetensors"
    tree = {"a": np.float32(2), "b": jnp.ones(3, jnp.float16), "c": True, "d": 3, "e": np.arange(3)}
    interop.save_safetensors(path, tree)
    back = interop.load_safetensors(path, jax.tree.map(lambda x: x, tree))
    assert all(type(back[k]) is type(tree[k]) for k in tree)
    assert eqx.tree_equal(back, tree)
    with pytest.raises(ValueError, match=r"the name 'a\.b'"):
        interop.save_safetensors(path, {"a.b": 1, "a": {"b": 2}})
    for leaf in (2**80, 1j, jnp.ones(2, jnp.bfloat16)):
        with pytest.raises(ValueError, match="cannot give back"):
            interop.save_safetensors(path, {"leaf": leaf})
    for metadata in ({"a": 1}, {"noetherax.structure": ""}, ["a"]):
        with pytest.raises((TypeError, ValueError), match="metadata"):
            interop.save_safetensors(path, tree, metadata=metadata)
    assert eqx.tree_equal(interop.load_safetensors(path, tree), tree)  # nothing was overwritten


def test_damaged_files_are_told(tmp_path):
    path = tmp_path / "model.safetensors"
    interop.save_safetensors(path, network())
    content = path.read_bytes()
    for length in (0, 4, 9, 100, len(content) - 3):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="no valid safetensors file"):
            interop.load_safetensors(path, network())


@pytest.mark.parametrize("name", ["safetensors.numpy", "xarray"])
def test_a_missing_library_is_named(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'noetherax\[interop\]'"):
        interop.save_safetensors(tmp_path / "x", {}) if "." in name else interop.to_xarray(TRACKS)


def trajectory(*batch: int, own_times: bool = False, momenta: bool = False) -> nx.Trajectory:
    draws = np.random.default_rng(0).normal(size=(3, *batch, 5, 2, 3))
    ts = np.broadcast_to(np.arange(5.0), (*batch, 5))
    if own_times:
        ts = ts * np.arange(1, 1 + batch[0])[:, None]
    q, v, p = jnp.asarray(draws)

    def made(ts, q, v, p):
        return nx.Trajectory(ts, q, v, p if momenta else None, {}, diffrax.RESULTS.successful)

    for _ in batch:
        made = jax.vmap(made)
    return made(jnp.asarray(ts), q, v, p)


@pytest.mark.parametrize(
    "motion",
    [trajectory(), trajectory(momenta=True), trajectory(3), trajectory(3, own_times=True)],
    ids=["one", "with momenta", "a batch", "a batch with times of their own"],
)
def test_a_trajectory_comes_back(motion):
    dataset = interop.to_xarray(motion)
    assert ("batch_0" in dataset.sizes) == (motion.ts.ndim == 2)
    back = interop.trajectory_from_xarray(dataset.transpose(..., "axis", "point"))
    assert eqx.tree_equal(back, motion)


def test_a_failed_motion_stays_failed():
    failed = diffrax.RESULTS.dt_min_reached
    motion = eqx.tree_at(lambda x: x.result, trajectory(), failed)
    dataset = interop.to_xarray(motion)
    assert dataset["result"].item() == "dt_min_reached"
    assert eqx.tree_equal(interop.trajectory_from_xarray(dataset), motion)


def test_each_member_of_a_batch_keeps_its_ending():
    motion, results = trajectory(3), diffrax.RESULTS
    ending = jax.vmap(
        lambda late: results.where(late, results.max_steps_reached, results.successful)
    )(jnp.arange(3) == 1)
    motion = eqx.tree_at(lambda x: x.result, motion, ending)
    dataset = interop.to_xarray(motion)
    assert list(dataset["result"].values) == ["successful", "max_steps_reached", "successful"]
    assert eqx.tree_equal(interop.trajectory_from_xarray(dataset), motion)
    assert interop.to_xarray(trajectory())["result"].item() == "successful"
    whole = interop.trajectory_from_xarray(dataset.drop_vars("result"))
    assert np.all(diffrax.is_successful(whole.result))
    dataset["result"][0] = "lost"
    with pytest.raises(ValueError, match="'lost', but Diffrax has successful"):
        interop.trajectory_from_xarray(dataset)


TRACED = jnp.zeros((5, 2, 3))
TIMES = [np.linspace(0, 3, 40), np.linspace(0, 3, 31)]
TRACKS = nx.Tracks(
    TIMES,
    [np.cos(t)[:, None, None] * np.ones((1, 2, 3)) for t in TIMES],
    velocities=[-np.sin(t)[:, None, None] * np.ones((1, 2, 3)) for t in TIMES],
    inputs=[t[:, None] for t in TIMES],
    names=["a", "b"],
    periods=[None, np.inf, 2 * np.pi],
)


def test_tracks_come_back():
    dataset = interop.to_xarray(TRACKS)
    assert dict(dataset.sizes) == {"time": 71, "point": 2, "axis": 3, "input": 1}
    back = interop.tracks_from_xarray(dataset.transpose(..., "time"))
    assert [x.name for x in back] == ["a", "b"]
    for theirs, ours in zip(back, TRACKS, strict=True):
        assert theirs.arrays.keys() == ours.arrays.keys()
        assert all(np.array_equal(theirs.arrays[k], ours.arrays[k]) for k in ours.arrays)
    assert np.array_equal(back.periods, TRACKS.periods, equal_nan=True)
    dataset = interop.to_xarray(TRACKS[1])
    for told in (dataset, dataset.assign_coords(recording="b").assign_attrs(recording="c")):
        (alone,) = interop.tracks_from_xarray(told)
        assert alone.name == "b"
        assert np.array_equal(alone.q, TRACKS[1].q)


def called(*names):
    t = np.arange(3.0)
    q = [np.full((3, 1, 1), float(k)) for k in range(len(names))]
    return nx.Tracks([t] * len(names), q, names=list(names))


@pytest.mark.parametrize(
    "names",
    [("a", "1"), (2, 1), (True, False), (0.5, 1.0), (np.int64(7), np.int64(3)), (b"a", b"b")],
    ids=str,
)
def test_names_of_recordings_come_back(names):
    back = interop.tracks_from_xarray(interop.to_xarray(called(*names)))
    assert [(x.name, type(x.name)) for x in back] == [
        (name, type(name.item() if isinstance(name, np.generic) else name)) for name in names
    ]
    assert [x.q[0, 0, 0] for x in back] == [0, 1]
    for recording in called(*names):
        (alone,) = interop.tracks_from_xarray(interop.to_xarray(recording))
        assert alone.name == recording.name
        assert not isinstance(alone.name, str) or isinstance(recording.name, str)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((1, "1"), r"\[1, '1'\] as they are: 1 would come back as '1'.*texts or whole numbers"),
        ((True, "True"), "True would come back as 'True'"),
        ((2.5, True), "True would come back as 1.0"),
        (("a", "a\0"), r"'a\\x00' would come back as 'a'"),
        ((("a", 1), ("b", 2)), r"\('b', 2\)\] as they are: "),
        ((("a", 1), "b"), "as they are: "),
        ((None, "b"), "None would come back as "),
        ((np.datetime64("2026-01-01", "ns"), np.datetime64("2026-01-02", "ns")), "would come back"),
    ],
    ids=str,
)
def test_names_that_would_not_come_back_are_refused(names, why):
    with pytest.raises(ValueError, match=why):
        interop.to_xarray(called(*names))


def test_a_sample_of_no_recording_is_told():
    for labels in (["a", "a", ""], [0.0, 0.0, np.nan], np.array(["2026", "2026", "NaT"], "M8[ns]")):
        dataset = xarray.Dataset(
            {"q": (("time", "axis"), np.ones((3, 1)))},
            {"time": np.arange(3.0), "recording": ("time", labels)},
        )
        with pytest.raises(ValueError, match="'recording', which .* 1 of 3 samples, first .* 2"):
            interop.tracks_from_xarray(dataset)


def test_datasets_of_users_become_tracks():
    t = np.datetime64("2026-01-01", "ns") + np.arange(30) * np.timedelta64(100, "ms")
    place = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1)
    dataset = xarray.Dataset({"place": (("xy", "date"), place)}, {"date": t})
    (track,) = interop.tracks_from_xarray(dataset, time="date", position="place")
    assert track.q.shape == (30, 1, 2)
    assert np.allclose(np.diff(track.t), 0.1)
    columns = xarray.Dataset({"x": ("date", place[0]), "y": ("date", place[1])}, {"date": t})
    (same,) = nx.Tracks.from_table(columns, time="date", position=[["x", "y"]])
    assert np.array_equal(same.q, track.q)


def test_what_makes_no_sense_is_refused_by_name():
    dataset = interop.to_xarray(TRACKS)
    for action, message in (
        (lambda: interop.to_xarray(3), "Recording or Tracks, not a int"),
        (lambda: interop.tracks_from_xarray({}), "not a dict"),
        (lambda: interop.tracks_from_xarray(dataset, position="x"), "no 'x', but 'q', 'v', 'u'"),
        (lambda: interop.tracks_from_xarray(dataset, velocity="w"), "no 'w'"),
        (lambda: interop.tracks_from_xarray(dataset, time="q"), "'q' must have one dimension"),
        (lambda: interop.tracks_from_xarray(dataset, position="time"), "must have the dimensions"),
        (lambda: interop.tracks_from_xarray(dataset, recording="q"), "along 'time'"),
        (lambda: interop.trajectory_from_xarray(dataset.drop_vars("v")), "no 'v'"),
        (lambda: interop.trajectory_from_xarray(dataset.isel(point=0)), "must have the dimensions"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            action()


def test_what_is_traced_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"outside of jax\.jit"):
        jax.jit(lambda x: interop.to_xarray(eqx.tree_at(lambda m: m.q, trajectory(), x)))(TRACED)
    for save in (interop.save_safetensors, nx.save):
        with pytest.raises(TypeError, match=r"outside of jax\.jit"):
            jax.jit(lambda x, save=save: save(tmp_path / "x", {"a": x}))(TRACED)
    assert not list(tmp_path.iterdir())
