"""A true law scores zero and one; a wrong one does not, and one that fails counts; baselines."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax.evaluation._distances import (
    Reference,
    apart,
    distance_measures,
    errors_of,
    explained,
    sizes,
)
from noetherax.evaluation._motions import law_at, slope_errors

ROUNDING = 1e-6  # of RK4 at the step below, over a period
WRONG = 0.01  # what a wrong stiffness does at least
OPTIONS = dict(solver=nx.RK4(), dt=0.02)


class Spring(nx.SeparableLagrangian):
    """Its stiffness is an array, so that all of these share their programs."""

    stiffness: jax.Array

    def inertia(self):
        return 1.0

    def potential(self, q):
        return self.stiffness * jnp.sum(q**2) / 2


class Springs(nx.systems.System):
    """The plane oscillator, whose motion is known."""

    @property
    def lagrangian(self):
        return spring(1.0)

    @property
    def group(self):
        return nx.Rotations(2)

    def initial_state(self):
        return jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.8]])

    def random_state(self, key):
        q, v = jax.random.normal(key, (2, 1, 2))
        return q, v


@nx.systems.motion.register
def _(system: Springs, q0, v0, ts):
    q0, v0 = q0[..., None, :, :], v0[..., None, :, :]
    c, s = (np.asarray(f(ts))[:, None, None] for f in (np.cos, np.sin))
    return c * q0 + s * v0, c * v0 - s * q0


def spring(stiffness):
    return Spring(jnp.array(stiffness))


TIMES = np.linspace(0.0, 6.0, 61)


def judge(stiffness):
    return nx.evaluate(spring(stiffness), Springs(), ts=TIMES, orbits=3, **OPTIONS)


def test_the_true_law_is_perfect_and_a_wrong_one_is_not():
    true, wrong = judge(1.0), judge(0.5)
    assert true.failed == wrong.failed == 0
    for name, measure in true.measures.items():
        np.testing.assert_allclose(measure.values, measure.aim, atol=ROUNDING, err_msg=name)
    kinds = ("", ", unseen", ", moved")
    for name in [
        f"{name}{kind}" for name in ("distance", "horizon", "twin ratio") for kind in kinds
    ]:
        assert np.all(np.abs(wrong[name].values - wrong[name].aim) > WRONG), name
    assert wrong["error of da/dq"].worst == pytest.approx(0.5)
    assert wrong["error of da/dv"].worst == 0
    assert wrong["explained"].worst == pytest.approx(0.75)
    # It has the symmetry, and another energy: the true one it does not keep.
    assert wrong["true drift of charge"].worst < ROUNDING
    assert (
        wrong["model drift of energy"].worst
        < ROUNDING
        < WRONG
        < wrong["true drift of energy"].worst
    )
    # A system that was turned is turned back by its law.
    np.testing.assert_allclose(wrong["distance, moved"].values, wrong["distance"].worst, rtol=1e-9)
    assert "twin ratio, unseen" in str(wrong)
    with pytest.raises(KeyError, match="no measure 'distances'. There are: distance"):
        wrong["distances"]


def test_motions_that_fail_count():
    found = judge(-1e8)  # e^(10⁴ t)
    assert found.failed == len(found.errors) == 7
    assert found["distance"].failed == 1
    assert found["distance, unseen"].median == np.inf
    assert found["true drift of energy"].median == np.inf
    assert 0 < found["horizon"].worst < 0.1
    assert "7 could NOT be followed" in str(found)
    measure = nx.Measure(np.array([0.1, np.inf, 0.3]), 0.0, "")
    assert (measure.median, measure.worst, measure.failed) == (0.3, np.inf, 1)
    assert nx.Measure(np.array([0.9, 1.0, 0.2]), 1.0, "").worst == 0.2


def test_a_law_without_an_acceleration_is_infinitely_wrong():
    q, v = np.random.default_rng(0).normal(size=(2, 3, 1, 2))
    singular = law_at(lambda q, v: jnp.sum(jnp.abs(v)), q, v, np.float64)
    true = law_at(spring(1.0), q, v, np.float64)
    np.testing.assert_allclose(true.along_q, np.broadcast_to(-np.eye(2), (3, 2, 2)))
    assert slope_errors(true, true, (1.0, 1.0)) == {"da/dq": 0.0, "da/dv": 0.0}
    assert slope_errors(singular, true, (1.0, 1.0)) == {"da/dq": np.inf, "da/dv": np.inf}
    share = explained(singular.a[None], true.a[None], np.ones((1, 3), bool))
    np.testing.assert_array_equal(share, -np.inf)


def test_a_type_of_ones_own_judges_by_one_registration():
    class Guess:
        pass

    @nx.evaluation.judged.register
    def _(guess: Guess, model, *, factor: float = 1.0, threshold, rollout):
        measures = {"distance": nx.Measure(np.array([factor]), 0.0, "guesses")}
        times = np.zeros((1, 1))
        return nx.Evaluation("a guess", measures, times, times, 0, ("of no worth",))

    found = nx.evaluate(spring(1.0), Guess(), factor=2.0)
    assert found["distance"].worst == 2.0
    assert str(found).startswith("a guess: 1 motion, all were followed to their end")
    assert str(found).endswith("note: of no worth")
    with pytest.raises(TypeError, match="There are: factor"):
        nx.evaluate(spring(1.0), Guess(), times=3)


def recordings(velocities=True, accelerations=True):
    """Two of unequal length, of which one is sampled unevenly."""
    t = [TIMES, TIMES[:40] + 0.02 * np.sin(TIMES[:40])]
    q = [np.stack([np.cos(t), 0.5 * np.sin(t)], axis=-1)[:, None] for t in t]
    v = [np.stack([-np.sin(t), 0.5 * np.cos(t)], axis=-1)[:, None] for t in t]
    return nx.Tracks(t, q, v if velocities else None, [-x for x in q] if accelerations else None)


def test_recordings_judge_likewise():
    tracks, charges = recordings(), {"L": nx.Rotations(2).noether_charge, "E": nx.Energy}
    found = [
        nx.evaluate(spring(k), tracks, charges=charges, solver=nx.RK4()) for k in (1.0, 1.1, -1e8)
    ]
    true, wrong, lost = found
    coarse = 1e-4  # of RK4 from sample to sample
    for name, measure in true.measures.items():
        np.testing.assert_allclose(measure.values, measure.aim, atol=coarse, err_msg=name)
    assert np.all(wrong["distance"].values > 0.1)
    assert np.all(wrong["horizon"].values < 1)
    assert wrong["explained"].worst == pytest.approx(0.99)
    # Its charges along the motion that was recorded, and along its own.
    assert wrong["recorded drift of E"].worst > WRONG > coarse > wrong["model drift of E"].worst
    assert wrong["recorded drift of L"].worst < 1e-12
    assert lost.failed == 2
    assert lost["distance"].median == np.inf
    # What fills up the shorter recording is no part of it.
    np.testing.assert_array_equal(np.isnan(wrong.errors[1]), np.arange(61) >= 40)


def test_what_tracks_lack_is_named():
    with pytest.raises(ValueError, match=r"nx.evaluate\(model, tracks.smooth\(\)\)"):
        nx.evaluate(spring(1.0), recordings(velocities=False, accelerations=False))
    tracks = recordings(accelerations=False)
    found = nx.evaluate(spring(1.0), tracks, charges={}, solver=nx.RK4())
    assert "tracks.smooth() estimates them" in str(found)
    with pytest.raises(KeyError, match="accelerations were not recorded"):
        found["explained"]
    with pytest.raises(ValueError, match="times of their own"):
        nx.evaluate(spring(1.0), tracks, dt=0.1)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="nx.Tracks"):
        nx.evaluate(spring(1.0), TIMES)
    with pytest.raises(ValueError, match="ts says how far"):
        nx.evaluate(spring(1.0), Springs())
    with pytest.raises(ValueError, match="increase from 0 on"):
        nx.evaluate(spring(1.0), Springs(), ts=TIMES + 1)
    with pytest.raises(TypeError, match="a dictionary of functions"):
        nx.evaluate(spring(1.0), Springs(), ts=TIMES, charges={"L": 1.0})
    with pytest.raises(TypeError, match="Tracks has no option orbits=. There are: times, charges"):
        nx.evaluate(spring(1.0), recordings(), orbits=3)
    with pytest.raises(ValueError, match="threshold"):
        nx.evaluate(spring(1.0), Springs(), ts=TIMES, threshold=0.0)


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e10])
def test_distances_have_no_unit_and_angles_no_turns(unit):
    t = np.linspace(0.0, 1.0, 11)
    true = unit * np.stack([20 * t, 0 * t], axis=-1)[None, :, None]
    other = true + unit * np.array([2 * np.pi, 0.1])
    periods = np.array([[2 * np.pi * unit, np.nan]])
    np.testing.assert_allclose(apart(other, true, periods), 0.1 * unit)
    known = np.ones((1, 11), bool)
    reference = Reference(t[None], true, true, known, periods)
    # An angle that goes round and round has the size of half a turn.
    # Its velocity has its own: half a turn is no velocity.
    fast = reference._replace(v=np.linspace(-50, 50, 11)[None, :, None, None] * unit)
    np.testing.assert_allclose(np.stack(sizes(fast))[:, 0], [np.pi * unit, 50 * unit])
    np.testing.assert_allclose(errors_of(other, reference), 0.1 / np.pi)
    plain = errors_of(other, reference._replace(periods=np.full((1, 2), np.inf)))
    np.testing.assert_allclose(plain, np.hypot(2 * np.pi, 0.1) / 10)
    found = distance_measures(t[None], t[None], threshold=0.55)
    assert found["horizon"].worst == pytest.approx(0.6)
    with pytest.raises(ValueError, match="Nothing moves"):
        errors_of(other, reference._replace(q=0 * true))


def samples(unit=1.0, seed=0):
    q, v = np.random.default_rng(seed).normal(size=(2, 64, 1, 2))
    return unit * jnp.asarray(q), unit * jnp.asarray(v), -unit * jnp.asarray(q)


@pytest.fixture(scope="module")
def equivariant():
    return nx.EquivariantODE(nx.Rotations(2), *samples(), width=8, key=jax.random.key(0))


def test_an_equivariant_law_turns_with_the_state(equivariant):
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    plain = nx.NeuralODE(*samples(), width=8, key=jax.random.key(0))  # it does not, by chance

    @jax.jit
    def error(q, v):
        return [model(q @ turn, v @ turn) - model(q, v) @ turn for model in (equivariant, plain)]

    found = error(*(x[0] for x in samples()[:2]))
    assert np.abs(found[0]).max() < 1e-12
    assert np.abs(found[1]).max() > 1e-2
    states = jnp.ones((4, 1, 2))
    with pytest.raises(ValueError, match="symmetric part of 1"):
        nx.EquivariantODE(nx.Lorentz(2), states, states, key=jax.random.key(0))


def test_a_law_of_accelerations_is_taken_as_a_lagrangian_is(equivariant):
    q, v, a = samples()
    expected = jax.vmap(equivariant)(q, v)
    np.testing.assert_allclose(nx.acceleration(equivariant, q, v), expected, rtol=1e-12)
    terms = nx.euler_lagrange_terms(equivariant, q, v)
    np.testing.assert_allclose(terms.mass_matrix[0], np.eye(2))
    residual = nx.euler_lagrange_residual(equivariant, q, v, a)
    np.testing.assert_allclose(residual, (a - expected).reshape(64, 2), rtol=1e-12)
    marks = nx.trainable(equivariant)
    assert all(jax.tree.leaves(marks.network.layers[0].weight))
    assert not any(jax.tree.leaves((marks.units, marks.standardisation)))
    tracks = recordings(accelerations=False)
    found = nx.evaluate(equivariant, tracks, solver=nx.RK4())
    assert "no Lagrangian, and so no charges" in str(found)


BASELINES: dict[str, Callable] = {
    "plain": nx.NeuralODE,
    "equivariant": functools.partial(nx.EquivariantODE, nx.Rotations(2)),
}


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("known", [True, False])
def test_baselines_are_alike_in_any_unit(kind, known):
    found = []
    for unit in (1.0, 1e10):
        data = samples(unit)[: 3 if known else 2]
        options = dict(width=8, bend=None, key=jax.random.key(0))
        model = BASELINES[kind](*data, **options)
        found.append(model(data[0][0], data[1][0]) / unit)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert 1e-3 < np.abs(found[0]).max() < 1e3


def test_baselines_name_wrong_data():
    q, v, _ = samples()
    with pytest.raises(ValueError, match="not finite"):
        nx.NeuralODE(q.at[0].set(jnp.nan), v, key=jax.random.key(0))
    with pytest.raises(ValueError, match="width"):
        nx.NeuralODE(q, v, width=0, key=jax.random.key(0))


def test_a_recording_is_judged_alike_beside_a_longer_one():
    """A charge that is nothing at the start is measured by its terms, along what was recorded."""
    ts, longer = np.linspace(0, 3, 31), np.linspace(0, 30, 301)
    fall = np.stack([1 + 0.1 * longer, np.cos(longer)], axis=-1)[:, None]
    slope = np.stack([np.full(301, 0.1), -np.sin(longer)], axis=-1)[:, None]
    short = fall[:31], slope[:31]

    def law(q, v):
        return jnp.sum(v**2) / 2 - (jnp.sum(q[:, 1] ** 2) - 1.01 + 0.01 * q[0, 0]) / 2

    assert abs(nx.energy(law, fall[0], slope[0])) < 1e-2
    shift = float(nx.energy(law, fall[0], slope[0]))

    def balanced(q, v):
        return law(q, v) + shift  # of energy zero at the start

    alone = nx.Tracks(ts, *short)
    both = nx.Tracks([ts, longer], [short[0], fall], [short[1], slope])
    found = [nx.evaluate(balanced, tracks, solver=nx.RK4()) for tracks in (alone, both)]
    for name in ("recorded drift of energy", "model drift of energy"):
        assert found[1][name].values[0] == pytest.approx(found[0][name].values[0], rel=1e-6)
        assert "of its terms" in found[0][name].scale


@pytest.mark.parametrize("times", [None, 20])
def test_charges_are_given_the_time_of_the_clock(times):
    """As the law is: q = cos t − cos(2t)/3 solves q'' = −q + cos 2t. The controls take their time from
    the start of the recording."""
    t = 0.7 + np.linspace(0.0, 5.0, 101)
    q = np.cos(t) - np.cos(2 * t) / 3
    v = -np.sin(t) + 2 * np.sin(2 * t) / 3

    def law(q, v, t):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2 + jnp.sum(q) * jnp.cos(2 * t)

    def orbit(late):
        def charge(q, v, t):
            t = t - late
            q, v = q[0] + jnp.cos(2 * t) / 3, v[0] - 2 * jnp.sin(2 * t) / 3
            return q**2 + v**2

        return lambda lagrangian: charge

    def momentum(late):
        """p − K is constant with K = ∫ (−q + cos 2t) dt, here that along the motion."""

        def boundary(q, t):
            t = t - late
            return jnp.reshape(-jnp.sin(t) + 2 * jnp.sin(2 * t) / 3 - 1.0, (1,))

        return lambda lagrangian: nx.MomentumMap(
            lagrangian, lambda q, t=0.0: jnp.ones((1, 1, 1)), boundary
        )

    charges = {"orbit": orbit(0.0), "p": momentum(0.0), "late": orbit(0.7), "p late": momentum(0.7)}
    tracks = nx.Tracks(t, q[:, None, None], v[:, None, None])
    found = nx.evaluate(law, tracks, times=times, charges=charges)
    for which in ("recorded", "model"):
        for name in ("orbit", "p"):
            assert (
                found[f"{which} drift of {name}"].worst < 1e-7
            )  # rtol of the default solver is 1e-8
            late = {"orbit": "late", "p": "p late"}[name]
            assert found[f"{which} drift of {late}"].worst > 0.1


def test_clocks_that_single_precision_cannot_tell_are_named():
    """One recording does not change what another is given."""
    t, starts = np.linspace(0.0, 3.0, 31), (5.0, 1e6)

    class Free(nx.Lagrangian):
        mass: jax.Array

        def __call__(self, q, v):
            return self.mass * jnp.sum(v**2) / 2

    law = Free(jnp.ones((), jnp.float32))
    charges = {"c": lambda lagrangian: lambda q, v, t: 2 + jnp.cos(t)[None], "energy": nx.Energy}
    path = t[:, None, None], np.ones((31, 1, 1))
    tracks = nx.Tracks([start + t for start in starts], *([x, x] for x in path))
    with pytest.warns(
        UserWarning, match=r"near 1000000, so that 'c' is given .* of 1 of 2 motions"
    ):
        found = nx.evaluate(law, tracks, charges=charges, solver=nx.RK4())
    right = [2 + np.cos(start + t) for start in (5.0, 0.0)]
    right = [np.max(np.abs(x - x[0])) / x[0] for x in right]
    np.testing.assert_allclose(found["recorded drift of c"].values, right, rtol=1e-5)  # float32
    nx.evaluate(law, tracks, solver=nx.RK4())  # the control: the energy has no explicit time
