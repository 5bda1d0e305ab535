"""The pairwise Lagrangian: the same law for any number of points."""

from typing import Any

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax.lagrangians import _pairs
from noetherax.solvers import _iteration, _variational

PLANE = nx.Euclidean(2)


def states(points: int, space: int = 2, seed: int = 0, size: float = 1.0):
    q, v = np.random.default_rng(seed).normal(size=(2, points, space))
    return jnp.asarray(size * q), jnp.asarray(v)


def springs(u, q):
    """Of masses u[:, 0] and stiffnesses k_i k_j, from u[:, 1]: accelerations."""
    apart = q[:, None] - q[None]
    force = -np.sum(u[:, None, 1, None] * u[None, :, 1, None] * apart, axis=1)
    return force / u[:, :1]


def spring_samples(count: int, points: int, lengths=1.0, times=1.0, masses=1.0, seed=0):
    random = np.random.default_rng(seed)
    q, v = random.normal(size=(2, count, points, 2))
    u = random.uniform(0.5, 2.0, size=(count, points, 2))
    a = np.array([springs(*x) for x in zip(u, q, strict=True)])
    t = np.zeros(count)
    u = u * [masses, np.sqrt(masses) / times]
    q, v, a = q * lengths, v * lengths / times, a * lengths / times**2
    return nx.TimedObservations(*map(jnp.asarray, (q, v, a, t, u.reshape(count, -1))))


@pytest.mark.parametrize("group", [nx.Rotations(2), nx.Translations(2), nx.Trivial(1)])
def test_points_may_be_numbered_in_any_way(group):
    """Also where no invariant of two points is the same for both orders."""
    attributes = np.random.default_rng(3).normal(size=(4, 2))
    model = helpers.pairwise(group, attributes=attributes)
    q, v = states(4, group.space)
    order = np.array([2, 0, 3, 1])
    moved = nx.with_attributes(model, attributes[order])
    value = compiled(model, q, v)
    assert np.isclose(value, compiled(moved, q[order], v[order]), rtol=1e-13)
    a, b = nx.acceleration(model, q, v), nx.acceleration(moved, q[order], v[order])
    assert np.allclose(a[order], b, rtol=1e-11, atol=1e-12 * np.abs(a).max())
    if group.space == 2:  # and an exchange of two unlike points is none
        assert abs(value - compiled(model, q[order], v[order])) > 1e-6


def test_exchange_features_are_all_symmetric_functions():
    """Of one coordinate each, x and y: x + y and (x − y)², of which every symmetric polynomial is
    one; of an invariant that is symmetric, that alone."""
    line = nx.features.ExchangeFeatures(nx.Trivial(1).configuration_features(2))
    assert (line.num_features, line.sums, line.products) == (2, (0,), ((0, 0),))
    distance = nx.features.ExchangeFeatures(nx.Euclidean(3).configuration_features(2))
    assert distance.num_features == 1
    for group in (nx.Euclidean(1), nx.Translations(1)):  # another one is rounding of zero
        assert nx.features.ExchangeFeatures(group.configuration_features(2)).num_features == 1
    turned = nx.features.ExchangeFeatures(nx.Rotations(3).configuration_features(2))
    assert turned.num_features == 3  # x·x + y·y, x·y and (x·x − y·y)²
    q = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)))
    assert np.allclose(compiled(turned, q), compiled(turned, q[::-1]))
    nothing = nx.features.ExchangeFeatures(nx.Translations(1).configuration_features(1), 1)
    assert nothing.num_features == 0


def test_one_law_for_any_number_of_points():
    """Two clusters far apart, within a cut-off, do not know of each other."""
    model = helpers.pairwise(PLANE, cutoff=6.0)
    q, v = states(3)
    together = jnp.concatenate([q, q + 100.0])
    ours = nx.acceleration(model, together, jnp.concatenate([v, v]))
    alone = nx.acceleration(model, q, v)
    assert np.allclose(ours, np.concatenate([alone, alone]), rtol=1e-9, atol=1e-9)


def test_neighbours_of_the_tree_are_all_that_count():
    """In a box, in chunks, and moved by whole sides of the box."""
    options: dict[str, Any] = dict(cutoff=1.2, box=(4.0, np.inf))
    few, all_pairs = (helpers.pairwise(PLANE, neighbours=n, **options) for n in (30, 100))
    q = jnp.asarray(np.random.default_rng(0).uniform(0, 4, size=(60, 2)))
    v = jnp.zeros_like(q)
    expected = nx.acceleration(all_pairs, q, v)
    scale = np.abs(expected).max()
    for at in (q, q + np.array([4.0, 0]), q - np.array([400.0, 0])):
        assert np.allclose(nx.acceleration(few, at, v), expected, rtol=0, atol=1e-11 * scale)
    assert np.allclose(compiled(few, q, v), compiled(all_pairs, q, v), rtol=1e-12)
    # The tree is of no account for a derivative, and a batch of configurations has one each.
    slope = compiled(jax.grad(few), q, v)
    assert np.allclose(slope, expected, rtol=0, atol=1e-11 * scale)
    both = compiled(jax.vmap(lambda q: nx.acceleration(few, q, v)), jnp.stack([q, q[::-1]]))
    assert np.allclose(both[1], expected[::-1], rtol=0, atol=1e-11 * scale)
    # It matters: without the box the sides do not see each other.
    alone = nx.acceleration(helpers.pairwise(PLANE, cutoff=1.2, neighbours=100), q, v)
    assert np.abs(alone - expected).max() > 0.1 * scale


def test_chunks_of_pairs_add_up(monkeypatch):
    model = helpers.pairwise(PLANE)
    q, v = states(7)

    def traced():  # anew at each call
        return jax.jit(lambda: (model(q, v), nx.euler_lagrange_terms(model, q, v).force))

    value, expected = traced()()
    monkeypatch.setattr(_pairs, "CHUNK", 8)  # 21 pairs: the last chunk is not full
    in_chunks, found = traced()()
    assert np.isclose(in_chunks, value, rtol=1e-13)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_the_cut_off_is_smooth_to_second_order():
    model = helpers.pairwise(PLANE, cutoff=1.0)

    def of_distance(r):
        return model.potential(jnp.array([[0.0, 0.0], [1.0, 0.0]]) * r)

    slopes = [of_distance]
    for _ in range(3):
        slopes.append(jax.grad(slopes[-1]))
    derivatives = jax.jit(lambda r: [f(r) for f in slopes])
    inside, outside = (derivatives(r) for r in (1 - 1e-7, 1 + 1e-7))
    assert outside[:3] == [0, 0, 0]
    size = abs(float(derivatives(0.5)[0]))
    assert np.all(np.abs(inside[:3]) < 1e-4 * size)
    assert abs(float(inside[3])) > 1e-2 * size  # the third derivative jumps


@pytest.mark.parametrize(("lengths", "times", "masses"), [(1, 1, 1), (1e10, 1e-5, 1e-8)])
def test_springs_of_other_systems_are_learned(lengths, times, masses):
    """Masses and stiffnesses are inputs, other ones for every sample; what is learned of three points
    holds for five."""
    unit = (masses, np.sqrt(masses) / times)
    model = nx.PairwiseLagrangian(
        PLANE,
        12,
        depth=1,
        attributes=2,
        mass_attribute=0,
        attribute_unit=unit,
        key=jax.random.key(0),
    )
    data = spring_samples(96, 3, lengths, times, masses)
    model, _ = nx.prepare(model, data)
    model, _ = nx.polish(model, data, iterations=25)
    unseen = spring_samples(8, 5, lengths, times, masses, seed=1)
    found = nx.acceleration(model, unseen.q, unseen.v, unseen.t, unseen.u)
    assert np.sqrt(np.mean((found - unseen.a) ** 2) / np.mean(unseen.a**2)) < 0.05


def test_learned_masses_are_in_the_right_ratio():
    random = np.random.default_rng(0)
    q, v = random.normal(size=(2, 64, 3, 2))
    m = np.array([1.0, 2.0, 0.5])[:, None]
    a = -np.sum(q[:, :, None] - q[:, None], axis=2) / m
    model = nx.PairwiseLagrangian(
        PLANE, 8, depth=1, masses=(1.0, 1.0, 1.0), train_masses=True, key=jax.random.key(0)
    )
    data = nx.Observations(*map(jnp.asarray, (q, v, a)))
    model, _ = nx.prepare(model, data)
    model, _ = nx.polish(model, data, iterations=20)
    found = np.asarray(model.masses())
    assert np.allclose(found / found[0], m[:, 0], rtol=1e-2)


def test_a_strength_multiplies_the_potential_of_a_pair():
    """Forces are proportional to both charges, and no pair of an uncharged point has any."""
    charges = np.array([[1.0, 2.0], [-3.0, 2.0], [0.0, 2.0]])
    model = helpers.pairwise(PLANE, attributes=charges, strength=0)
    q, v = states(3)
    force = nx.acceleration(model, q, v)
    assert np.allclose(force[2], 0, atol=1e-15)
    plain = compiled(nx.acceleration, lambda q, v: model(q, v), q, v)
    assert np.allclose(force, plain, rtol=1e-10)
    doubled = nx.with_attributes(model, charges * np.array([2.0, 1.0]))
    assert np.allclose(nx.acceleration(doubled, q, v), 4 * force, rtol=1e-12)
    other = nx.with_attributes(model, charges * np.array([1.0, 2.0]))  # φ sees this column
    assert np.abs(nx.acceleration(other, q, v) - force).max() > 1e-3


def test_attributes_that_are_given_never_train_and_learned_ones_do():
    attributes = np.array([[1.0], [-2.0]])
    constant, learned = (
        helpers.pairwise(PLANE, attributes=attributes, train_attributes=x) for x in (False, True)
    )
    assert not any(jax.tree.leaves(nx.trainable(constant).attributes))
    assert nx.trainable(learned).learned is True
    q, v = states(2)
    value, slope = compiled(eqx.filter_value_and_grad(lambda model: model(q, v)), learned)
    assert np.isclose(compiled(constant, q, v), value, rtol=1e-13)
    assert np.abs(slope.learned).min() > 0


def test_many_points_step_by_iteration_as_by_newton(monkeypatch):
    """Also its derivative, and the charges."""
    model = helpers.pairwise(PLANE, masses=2.0)
    q, v = states(4)
    ts = jnp.linspace(0.0, 0.5, 6)

    def end(q, model):
        end = nx.rollout(model, q, v, ts=ts, solver=nx.VariationalGauss4()).q[-1]
        return jnp.sum(jnp.sin(end)), end

    end_and_slope = jax.value_and_grad(end, has_aux=True)
    (_, by_newton), tangent = compiled(end_and_slope, q, model)
    monkeypatch.setattr(_variational, "MANY", 1)
    other = helpers.pairwise(PLANE, masses=(2.0,) * 4)  # the same, and no program found for it
    (_, iterated), along = compiled(end_and_slope, q, other)
    assert np.allclose(iterated, by_newton, rtol=1e-13)
    assert np.allclose(along, tangent, rtol=1e-9)
    assert _iteration.MANY > 1


@pytest.mark.parametrize("stiffness", [1.0, 1e4])
def test_long_steps_of_many_points_are_solved(stiffness):
    """Where iteration does not converge: a chain of anharmonic springs at h ω = 2 and at 200."""
    k, inertia = stiffness, np.ones((100, 1))

    def again(v, h=1.0):
        apart = jnp.diff(q0 + h * v / 2, axis=0)
        pull = jnp.pad(k * apart + apart**3, ((1, 1), (0, 0)))
        force = pull[1:] - pull[:-1]
        return v0 + h * force / 2, jnp.abs(v0) + h * jnp.abs(force) / 2, force

    q0, v0 = (jnp.asarray(x) for x in np.random.default_rng(0).normal(size=(2, *inertia.shape)))
    root = jax.jit(lambda v: _iteration.iterate(again, v))(v0)
    assert root.converged
    missing = np.abs(again(root.x)[0] - root.x).max()
    assert missing < 1e-12 * np.abs(root.aux).max()


def test_an_equation_without_a_root_is_no_root():
    root = jax.jit(lambda x: _iteration.iterate(lambda x: (x + 1 + x**2, 0 * x, ()), x))(
        jnp.ones(3)
    )
    assert not root.converged


def test_thousands_of_points_keep_momentum_and_angular_momentum():
    """Weights of any model do, with a variational solver, at any step: no matrix is made."""
    model = helpers.pairwise(PLANE, masses=5.0, cutoff=1.5, neighbours=40)
    side = np.arange(32.0)
    q = jnp.asarray(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    v = jnp.asarray(np.random.default_rng(0).normal(size=q.shape))
    orbit = nx.rollout(model, q, v, ts=jnp.linspace(0.0, 0.3, 4), solver=nx.VariationalMidpoint())
    drift = nx.drift(PLANE.noether_charge(model), orbit, scale=jnp.sum(jnp.abs(5.0 * v)))
    assert np.max(drift) < 1e-13
    assert np.max(np.abs(orbit.q[-1] - q - 0.3 * v)) > 1e-3  # they do act on each other


def test_forces_beside_pairs_need_no_matrix():
    """Friction of two points that sees their distance keeps momentum; so do a drive and its like."""
    model = helpers.pairwise(PLANE)

    def friction(q, v):
        return -0.3 * (v - jnp.mean(v, axis=0))

    charged = helpers.pairwise(PLANE, attributes=1)
    given = nx.with_attributes(nx.Forced(charged, friction), np.ones((4, 1)))
    assert given.forces == (friction,)
    assert not given.lagrangian.takes_attributes
    forced = nx.Forced(model, friction)
    q, v = states(4)

    def used(terms):
        raise AssertionError("there is no system to solve")

    a, determined = compiled(nx.dynamics.solve_motion, forced, q, v, used)
    plain = compiled(nx.acceleration, lambda q, v: model(q, v), q, v)
    expected = plain - 0.3 * (v - jnp.mean(v, axis=0))
    assert determined
    assert np.allclose(a.reshape(q.shape), expected, rtol=1e-10, atol=1e-12)


def test_what_makes_no_sense_is_refused():
    key = jax.random.key(0)
    refusals = {
        "At least half|at most half": lambda: nx.PairwiseLagrangian(
            PLANE, cutoff=3.0, box=4.0, key=key
        ),
        "box must be a positive number or 2": lambda: nx.PairwiseLagrangian(
            PLANE, box=(1.0, 2.0, 3.0), key=key
        ),
        "no function of its invariants": lambda: nx.PairwiseLagrangian(
            nx.SpecialLinear(2), cutoff=1.0, key=key
        ),
        "change if both are moved along": lambda: nx.PairwiseLagrangian(
            nx.Rotations(2), box=1.0, cutoff=0.4, key=key
        ),
        "would jump. Give a cutoff of at most 0.5": lambda: nx.PairwiseLagrangian(
            PLANE, box=1.0, key=key
        ),
        "one of 1 column": lambda: nx.PairwiseLagrangian(
            PLANE, attributes=1, mass_attribute=1, key=key
        ),
        r"attributes\[:, None\]": lambda: nx.PairwiseLagrangian(
            PLANE, attributes=[1.0, 2.0], key=key
        ),
        "attribute_unit must be 2": lambda: nx.PairwiseLagrangian(
            PLANE, attributes=2, attribute_unit=(1.0, 0.0), key=key
        ),
        "of point 1, column 0": lambda: nx.PairwiseLagrangian(
            PLANE, attributes=[[1.0], [np.nan]], key=key
        ),
        "that training starts from": lambda: nx.PairwiseLagrangian(
            PLANE, attributes=1, train_attributes=True, key=key
        ),
        "is made from a group": lambda: nx.PairwiseLagrangian(nx.Euclidean, key=key),
        "has none": lambda: nx.PairwiseLagrangian(nx.SpecialLinear(4), key=key),
    }
    for message, make in refusals.items():
        with pytest.raises((ValueError, TypeError), match=message):
            make()


def test_states_that_do_not_belong_to_a_model_are_refused():
    q, v = states(3)
    model = helpers.pairwise(PLANE, attributes=np.ones((2, 1)))
    with pytest.raises(ValueError, match="attributes of 2 points, but the configuration has 3"):
        model(q, v)
    with pytest.raises(ValueError, match=r"has 1 column\(s\) of attributes, but these have 2"):
        nx.with_attributes(model, np.ones((3, 2)))
    with pytest.raises(TypeError, match="made with attributes"):
        nx.with_attributes(helpers.pairwise(PLANE), np.ones((3, 1)))
    with pytest.raises(ValueError, match="on inputs, and no time is given"):
        nx.acceleration(helpers.pairwise(PLANE, attributes=1), q, v)
    with pytest.raises(ValueError, match="masses are of 2 points"):
        helpers.pairwise(PLANE, masses=(1.0, 2.0))(q, v)
    with pytest.raises(ValueError, match="must have 2 entries"):
        helpers.pairwise(PLANE)(*states(3, space=3))
    far = np.ones((2, 4, 2, 2))
    far[:, :, 1] += 9.0
    with pytest.raises(ValueError, match="within the cut-off 0.5: the nearest are 12.73 apart"):
        nx.standardise(helpers.pairwise(PLANE, cutoff=0.5), *far)
    with pytest.raises(ValueError, match="70000 points have .* too many for all: give a cutoff"):
        helpers.pairwise(PLANE)(np.zeros((70_000, 2)), np.zeros((70_000, 2)))
    with pytest.raises(ValueError, match="needs two points at least"):
        nx.standardise(helpers.pairwise(PLANE), *far[:, :, :1])


def test_too_many_neighbours_are_named():
    model = helpers.pairwise(PLANE, cutoff=3.0, neighbours=2)
    with pytest.raises(
        RuntimeError, match=r"^There are 45 pairs of 10 points.*pass neighbours=11 "
    ):
        jax.block_until_ready(nx.acceleration(model, *states(10, size=0.1)))


def test_points_at_one_place_and_points_alone_have_finite_forces():
    model = helpers.pairwise(PLANE, cutoff=1.0)
    q = jnp.array([[0.0, 0.0], [0.0, 0.0], [50.0, 0.0]])
    a = nx.acceleration(model, q, 0 * q)
    assert np.all(np.isfinite(a))
    assert np.all(a[2] == 0)
    slope = jax.grad(lambda q: jnp.sum(nx.acceleration(model, q, 0 * q)))
    assert np.all(np.isfinite(compiled(slope, q)))


def test_a_pairwise_model_is_saved_and_loaded(tmp_path):
    model = helpers.pairwise(PLANE, attributes=np.array([[1.0], [2.0]]), cutoff=2.0, box=5.0)
    nx.save(tmp_path / "pairs.eqx", model)
    like = helpers.pairwise(PLANE, seed=1, attributes=np.ones((2, 1)), cutoff=2.0, box=5.0)
    loaded = nx.load(tmp_path / "pairs.eqx", like)
    q, v = states(2)
    assert compiled(loaded, q, v) == compiled(model, q, v)
