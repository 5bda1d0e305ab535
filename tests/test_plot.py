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
