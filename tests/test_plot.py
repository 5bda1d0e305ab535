from types import SimpleNamespace

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import noetherax as nx


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def trajectory(q):
    q = jnp.asarray(q)
    return nx.Trajectory(
        jnp.arange(len(q), dtype=q.dtype), q, q, None, {}, diffrax.RESULTS.successful
    )


def test_series_are_labelled_and_distinct_in_grey():
    ts = np.arange(5.0)
    ax = nx.plot.plot_series(ts, {"one": ts, "two": 2 * ts}, ylabel="drift (1)")
    assert ax.get_ylabel() == "drift (1)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 2
    # A logarithmic axis has no zero: it is left out, not drawn at the bottom.
    assert np.isnan(ax.get_lines()[0].get_ydata()[0])


def test_a_diverging_path_ends():
    q = np.ones((6, 1, 3))
    q[3:] = 1e9
    ax = nx.plot.plot_orbits({"model": trajectory(q)}, limit=2.0)
    assert np.array_equal(np.isnan(ax.get_lines()[0].get_xdata()), [False] * 3 + [True] * 3)


def test_orbits_in_space_and_losses():
    q = np.random.default_rng(0).normal(size=(6, 2, 3))
    ax = nx.plot.plot_orbits({"model": trajectory(q)}, reference=q, axes=(0, 1, 2), unit="AU")
    assert ax.get_zlabel() == "z (AU)"
    ax = nx.plot.plot_loss({"model": np.ones(1000)}, bounds={"true law": 2e-6})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["model", "true law (2e-06)"]
    history = SimpleNamespace(loss=np.ones((3, 1000)))  # of an ensemble
    assert len(nx.plot.plot_loss({"members": history}).lines) == 3


def test_layers_are_those_of_the_model():
    features = nx.Rotations(3).invariant_features(1)
    model = nx.NeuralLagrangian(features, width=7, depth=2, key=jax.random.key(0))
    ax = nx.plot.plot_layers(model, title="rotations")
    texts = [text.get_text() for text in ax.texts]
    assert "q·q\nq·v\nv·v" in texts
    assert {"3 → 7\nwith bias\nsoftplus", "7 → 7\nwith bias\nsoftplus", "7 → 1\nno bias"} <= set(
        texts
    )
    many = nx.NeuralLagrangian(nx.Trivial(4).invariant_features(4), key=jax.random.key(0))
    (listed,) = (text for text in map(lambda x: x.get_text(), nx.plot.plot_layers(many).texts)
                 if text.startswith("q1[0]"))  # fmt: skip
    assert listed.count("\n") == 15
    assert listed.endswith("⋮\nv4[3]")
    with pytest.raises(Exception, match="KeplerLagrangian"):  # beartype is first in the tests
        nx.plot.plot_layers(nx.systems.Kepler().lagrangian)


def test_every_member_of_an_ensemble_is_a_line_of_its_own():
    ts = np.arange(40.0)
    members = np.stack([np.ones(40), np.full(40, 2.0), np.full(40, 3.0)])
    for ax in (
        nx.plot.plot_loss({"ensemble": members, "one": ts + 1}),
        nx.plot.plot_series(ts, {"ensemble": members, "one": ts + 1}, ylabel="drift"),
    ):
        lines = ax.get_lines()
        assert [np.unique(line.get_ydata()).tolist() for line in lines[:3]] == [[1.0], [2.0], [3.0]]
        assert len(lines) == 4
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ensemble", "one"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda path: nx.plot.plot_orbits({"m": path}, axes=(0, 3)),
            r"'m', from 0 to 2 .* \(0, 3\)",
        ),
        (lambda path: nx.plot.plot_orbits({"m": path}, axes=(0, -1)), "from 0 to 2"),
        (lambda path: nx.plot.plot_orbits({"m": path}, axes=(0,)), "two or three distinct"),
        (lambda path: nx.plot.plot_orbits({"m": path}, axes=(1, 1)), "two or three distinct"),
        (lambda path: nx.plot.plot_orbits({"m": path}, limit=-1.0), "limit must be positive"),
        (
            lambda path: nx.plot.plot_orbits({"m": path}, axes=(0, 1, 2), ax=plt.figure().gca()),
            "three-dimensional",
        ),
        (
            lambda path: nx.plot.plot_orbits({"m": path}, reference=np.ones((6, 1, 1))),
            "'reference', from 0 to 0",
        ),
        (lambda _: nx.plot.plot_loss({"m": np.zeros(0)}), r"losses\['m'\] .* not be empty"),
        (lambda _: nx.plot.plot_loss({"m": np.ones(9)}, window=0), "window .* 0"),
        (
            lambda _: nx.plot.plot_series(np.ones(3), {"m": np.ones(4)}, ylabel="y"),
            r"each of the 3 times .* \(4,\)",
        ),
    ],
)
def test_wrong_arguments_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(trajectory(np.ones((6, 1, 3))))


def test_a_phase_portrait_takes_trajectories():
    path = trajectory(np.random.default_rng(0).normal(size=(6, 2, 3)))
    ax = nx.plot.plot_phase({"model": path}, reference=path, point=1, axis=2)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("q[2], point 1", "v[2], point 1")
    assert np.array_equal(ax.get_lines()[0].get_xdata(), path.q[:, 1, 2])
    with pytest.raises(TypeError, match="positions q and velocities v"):
        nx.plot.plot_phase({"model": np.ones((6, 1, 3))})
    with pytest.raises(ValueError, match="point 2 and axis 0"):
        nx.plot.plot_phase({"model": path}, point=2)


def test_a_history_is_drawn_with_its_validation():
    loss, held_out = np.geomspace(1, 1e-3, 1000), np.array([0.5, 0.01])
    history = nx.History(
        loss,
        0,
        1.0,
        0.5,
        False,
        without_force=2.0,
        validation=held_out,
        validation_steps=np.array([10, 900]),
        best_step=900,
    )
    ax = nx.plot.plot_history(history)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training", "validation", "weights returned", "without any force"]
    assert np.array_equal(ax.get_lines()[1].get_ydata(), held_out)
    with pytest.raises(TypeError, match="go to plot_loss"):
        nx.plot.plot_history(loss)


def test_a_horizon_is_the_median_error_of_the_motions():
    errors = np.array([[0.1, 0.2], [0.2, np.inf], [0.3, 0.4]])
    ts = np.tile([1.0, 2.0], (3, 1))
    found = nx.Evaluation("model", {}, ts, errors, 1, ())
    ax = nx.plot.plot_horizon({"model": found}, tolerance=0.5)
    assert np.array_equal(ax.get_lines()[0].get_ydata(), [0.2, 0.4])
    with pytest.raises(TypeError, match="what noetherax.evaluate returns"):
        nx.plot.plot_horizon({"model": errors})


def history(loss, **rest):
    return nx.History(loss, 0, 1.0, 0.5, False, **rest)


def test_updates_that_were_left_out_hide_no_others():
    whole = np.geomspace(1, 1e-3, 1000)
    loss = np.where(np.arange(1000) % 100 == 5, np.nan, whole)
    loss[300:400], loss[407] = np.nan, np.inf
    right = np.array([np.median(x[np.isfinite(x)]) if k != 3 else np.nan
                      for k, x in enumerate(loss.reshape(10, 100))])  # fmt: skip
    for ax in (nx.plot.plot_loss({"model": loss}), nx.plot.plot_history(history(loss))):
        drawn = ax.get_lines()[0].get_ydata()
        assert np.array_equal(drawn, right, equal_nan=True)  # a gap where nothing is finite
        assert np.allclose(drawn[4:], np.median(whole.reshape(10, 100), axis=1)[4:], rtol=0.01)
    for draw in (
        lambda x: nx.plot.plot_loss({"model": x}),
        lambda x: nx.plot.plot_history(history(x)),
    ):
        with pytest.warns(UserWarning, match="'(model|training)' has no finite loss"):
            draw(np.full(1000, np.nan))


@pytest.mark.parametrize(
    ("scales", "levels", "label"),
    [
        ((2.0, 300.0), [2.0, 300.0], "without any force, each member"),
        ((2.0, 2.0), [2.0], "without any force"),
        ((None, 3.0), [3.0], "without any force (1 of 2 members)"),
        ((None, None), [], None),
        (None, [], None),
    ],
)
def test_members_have_losses_without_force_of_their_own(scales, levels, label):
    ax = nx.plot.plot_history(history(np.ones((2, 40)), without_force=scales))
    assert [line.get_ydata()[0] for line in ax.get_lines()[2:]] == levels
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == (["training", label] if label else ["training"])


def horizon(*motions):
    """The curve of motions of `(times, errors)`, filled up with NaN as an `Evaluation` is."""
    longest = max(len(t) for t, _ in motions)
    ts = np.array([np.r_[t, t[-1] + np.arange(1, 1 + longest - len(t))] for t, _ in motions])
    errors = np.array([np.r_[e, np.full(longest - len(e), np.nan)] for _, e in motions])
    ax = nx.plot.plot_horizon({"model": nx.Evaluation("model", {}, ts, errors, 0, ())})
    return tuple(np.asarray(x, float) for x in ax.get_lines()[0].get_data())


SLOW, FAST = np.arange(31.0), np.linspace(0, 3, 31)


def test_a_horizon_takes_every_motion_at_its_own_times():
    """The errors grow alike, by 1, 2 and 3 in a unit of time: a sample of one interval is no sample
    of another."""
    t, error = horizon((SLOW, 1 + SLOW), (FAST, 1 + 2 * FAST), (FAST, 1 + 3 * FAST))
    right = np.where(t <= 3, 1 + 2 * t, 1 + t)
    assert {0.1, 2.0, 2.9, 30.0} < set(t.round(9))
    assert np.allclose(error, right, rtol=1e-12)
    # Control: those of equal times are drawn as they are, without a rounding.
    t, error = horizon((FAST, 1 + FAST), (FAST, 1 + FAST**2), (FAST, 9 + FAST))
    assert np.array_equal(t, FAST)
    assert np.array_equal(error, np.maximum(1 + FAST, 1 + FAST**2))


def test_a_horizon_of_an_even_number_is_the_mean_of_the_two_in_the_middle():
    _, error = horizon((FAST, 1 + FAST), (FAST, 3 + FAST))
    assert np.allclose(error, 2 + FAST, rtol=1e-15)
    _, error = horizon((FAST, 1 + FAST), (FAST, np.where(FAST > 1, np.inf, 3 + FAST)))
    assert np.array_equal(np.isfinite(error), FAST <= 1)  # infinite, as a `Measure` has it


@pytest.mark.parametrize("late", [0.0, 0.05], ids=["equal times", "unlike times"])
def test_a_recording_that_ends_is_not_lost(late):
    """Its end says nothing of the model; a motion that the model lost is infinitely wrong."""
    short = FAST[:11] + late * (FAST[:11] > 0)
    ended = (short, np.full(11, 5.0))
    t, error = horizon((FAST, np.ones(31)), ended, ended)
    assert np.array_equal(error, np.where(t <= short[-1], 5, 1))
    later = FAST + late * (FAST > 0)
    lost = (later, np.where(later > 1.07, np.inf, 5.0))
    t, error = horizon((FAST, np.ones(31)), lost, lost)
    assert np.array_equal(np.isfinite(error), t <= np.max(later[later < 1.07]))
    with pytest.warns(UserWarning, match=r"'model' has no .*\(2 of 2 motions were lost\)"):
        horizon((FAST, np.full(31, np.inf)), (later, np.full(31, np.inf)))


def test_a_potential_is_drawn_over_a_plane():
    def spring(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2)

    ax = nx.plot.plot_potential(spring, np.ones((1, 2)), span=1.0, resolution=5)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 2.0), (0.0, 2.0))
    assert ax.collections[0].norm.vmax == pytest.approx(8.0, rel=0.1)  # at (2, 2), and 0 at (0, 0)
    with pytest.raises(ValueError, match="two distinct coordinates"):
        nx.plot.plot_potential(spring, np.ones((1, 2)), axes=(1, 1), span=1.0)
    with pytest.raises(ValueError, match="nowhere finite"):
        nx.plot.plot_potential(lambda q, v: jnp.nan * q.sum(), np.ones((1, 2)), span=1.0)
