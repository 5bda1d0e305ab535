"""Laws of pairs that see velocities, and friction of pairs: the same for any number of points."""

import functools

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax.dynamics import _matrix_free
from noetherax.solvers import _variational
from noetherax.training._trainable import with_attribute_units

PLANE = nx.Euclidean(2)
COLUMNS = np.random.default_rng(3).uniform(0.5, 2.0, size=(4, 2))


def states(points: int, seed: int = 0, space: int = 2):
    q, v = np.random.default_rng(seed).normal(size=(2, points, space))
    return jnp.asarray(q), jnp.asarray(v)


def rest(q, v):
    return 0 * q


def test_points_may_be_numbered_in_any_way():
    """Also where only both together, states and attributes, say which of two is which."""
    model = helpers.general_pairwise(PLANE, attributes=COLUMNS)
    q, v = states(4)
    order = np.array([2, 0, 3, 1])
    moved = nx.with_attributes(model, COLUMNS[order])
    value = compiled(model, q, v)
    assert np.isclose(value, compiled(moved, q[order], v[order]), rtol=1e-13)
    a, b = nx.acceleration(model, q, v), nx.acceleration(moved, q[order], v[order])
    assert np.allclose(a[order], b, rtol=1e-11, atol=1e-12 * np.abs(a).max())
    assert abs(value - compiled(model, q[order], v[order])) > 1e-6
    # A pair of unlike points: the faster one is the heavier one, or the lighter one.
    pair = nx.with_attributes(model, COLUMNS[:2])
    faster = compiled(pair, q[:2], v[:2])
    assert abs(faster - compiled(pair, q[:2], v[1::-1])) > 1e-6


def test_relative_velocities_do_not_see_boosts():
    """L changes by dK/dt alone, K = Σ m q: the charge of a boost is that of free points."""
    model = helpers.general_pairwise(PLANE, masses=2.0, relative_velocities=True)
    assert model.pair.features.num_features == 3
    assert model.vertex is None
    (q, v), boost = states(3), np.array([10.0, -3.0])
    free = 2.0 * (np.sum(v @ boost) + 3 * boost @ boost / 2)

    def added(model):
        return compiled(model, q, v + boost) - compiled(model, q, v)

    assert np.isclose(added(model), free, rtol=1e-13)
    seeing = helpers.general_pairwise(PLANE, masses=2.0)
    assert abs(added(seeing) - free) > 1e-3 * free


def test_momentum_and_energy_have_rules_of_their_own():
    model = helpers.general_pairwise(PLANE, attributes=COLUMNS)
    q, v = states(4)

    def plain(q, v):
        return model(q, v)

    slope = compiled(jax.grad(plain, 1), q, v)
    assert np.allclose(nx.momentum(model, q, v), slope, rtol=1e-12)
    assert np.isclose(nx.energy(model, q, v), compiled(nx.energy, plain, q, v), rtol=1e-12)


def test_accelerations_without_a_matrix_are_those_with_one(monkeypatch):
    """Of a batch, and with a force beside."""
    law = helpers.general_pairwise(PLANE, relative_velocities=True, cutoff=3.0, masses=2.0)
    q, v = (jnp.stack(x) for x in zip(states(4), states(4, 1), strict=True))
    mass_matrix, force = nx.euler_lagrange_terms(law, q, v)
    friction = -0.3 * np.reshape(v, force.shape)
    expected = np.linalg.solve(mass_matrix, (force + friction)[..., None]).reshape(q.shape)
    monkeypatch.setattr(_matrix_free, "MANY", 1)

    def used(terms):
        raise AssertionError("there is no matrix")

    model = nx.Forced(law, lambda q, v: -0.3 * v)
    a, determined = jax.jit(lambda q, v: nx.dynamics.solve_motion(model, q, v, used))(q, v)
    assert determined.tolist() == [True, True]
    assert np.allclose(a.reshape(q.shape), expected, rtol=1e-10, atol=1e-11)
    assert np.abs(mass_matrix - 2 * np.eye(8)).max() > 0.1


def near_identity(least: float, size: int = 40):
    """A symmetric matrix with eigenvalues around one, and one other."""
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(size, size)))[0]
    values = np.append(random.uniform(0.5, 3.0, size - 1), least)
    return basis @ np.diag(values) @ basis.T, random.normal(size=size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("least", [1.0, -0.7, 1e-2])
def test_systems_near_the_masses_are_solved_without_a_matrix(least, dtype):
    """Definite, indefinite, and with one soft direction; a batch with a state that is lost."""
    matrix, force = near_identity(least)
    units = 10.0 ** np.random.default_rng(1).uniform(-8, 8, len(force))  # of masses
    matrix = matrix * np.sqrt(units) * np.sqrt(units[:, None])
    force = np.stack([force * np.sqrt(units), np.full(len(force), np.nan)])
    array = jnp.asarray(matrix, dtype)

    def residual(a):
        product = jnp.einsum("ij,bj->bi", array, a.reshape(2, -1), precision="highest")
        return product - jnp.asarray(force, dtype)

    masses = jnp.broadcast_to(jnp.asarray(units, dtype)[:, None], (2, len(units), 1))
    a, found = jax.jit(lambda: _matrix_free.solve_without_matrix(residual, masses))()
    assert found.tolist() == [True, False]
    expected = np.linalg.solve(matrix, force[0])
    off = np.max(np.abs(np.asarray(a[0], float) - expected) * np.sqrt(units))
    tolerance = 1e5 * np.finfo(dtype).eps  # a hundred times what is asked for, the condition
    assert off < tolerance * np.max(np.abs(expected) * np.sqrt(units))


def test_a_solution_without_a_matrix_has_the_derivatives_of_one():
    matrix, force = (jnp.asarray(x) for x in near_identity(1.0, 6))
    masses = jnp.ones((6, 1))

    def solved(strength):
        def residual(a):
            left = (matrix + strength[0] * jnp.diag(force)) @ a.reshape(-1)
            return left - jnp.sin(strength[1] * force)

        return _matrix_free.solve_without_matrix(residual, masses)[0]

    def dense(strength):
        left = matrix + strength[0] * jnp.diag(force)
        return jnp.linalg.solve(left, jnp.sin(strength[1] * force))

    strength = jnp.array([0.1, 0.1])
    expected = jax.jacfwd(dense)(strength)
    for derivative in (jax.jacfwd, jax.jacrev):
        assert np.allclose(jax.jit(derivative(solved))(strength), expected, rtol=1e-9)


def test_a_system_that_is_not_solved_says_so_with_the_number(monkeypatch):
    monkeypatch.setattr(_matrix_free, "MANY", 1)

    class Massless(nx.Lagrangian):
        """Points whose kinetic energy does not see the last one."""

        def __call__(self, q, v):
            return jnp.sum(v[:-1] ** 2) / 2 - jnp.sum(q**2)

    nx.dynamics.leading_inertia.register(Massless)(lambda _, q: jnp.ones_like(q))
    q, v = states(2)
    with pytest.raises(RuntimeError, match=r"found for 4 unknowns: .* leave \d[\d.]* of the force"):
        jax.block_until_ready(compiled(nx.acceleration, Massless(), q, v))
    quiet = functools.partial(nx.acceleration, throw=False)
    assert np.all(np.isnan(compiled(quiet, Massless(), q, v)))


def test_many_points_step_by_iteration(monkeypatch):
    """Where the momentum is none of the masses alone: the steps are those of the midpoint rule, and
    charges stay."""
    monkeypatch.setattr(_variational, "MANY", 1)
    monkeypatch.setattr(_matrix_free, "MANY", 1)
    model = helpers.general_pairwise(PLANE, relative_velocities=True, masses=2.0)
    q, v = states(4)
    orbit = nx.rollout(model, q, v, ts=jnp.linspace(0, 0.2, 3), solver=nx.VariationalMidpoint())
    h, p = 0.1, np.asarray(orbit.p)
    middle, mean = (orbit.q[1] + orbit.q[0]) / 2, (orbit.q[1] - orbit.q[0]) / h
    force, momentum = nx.dynamics.lagrangian_gradient(model, middle, mean)
    size = np.abs(p).max()
    # The last correction, a thousand roundings at most, is judged and not made.
    assert np.allclose(momentum - h / 2 * force, p[0], rtol=0, atol=1e-11 * size)
    assert np.allclose(momentum + h / 2 * force, p[1], rtol=0, atol=1e-11 * size)
    assert np.allclose(nx.momentum(model, orbit.q[2], orbit.v[2]), p[2], rtol=0, atol=1e-13 * size)
    assert np.abs(momentum - 2 * mean).max() > 0.01 * size  # pairs add to it
    drift = nx.drift(PLANE.noether_charge(model), orbit, scale=np.sum(np.abs(p)))
    assert np.max(drift) < 1e-14


def inerters(count: int, points: int, seed: int = 0):
    """Springs beside inerters, whose force is proportional to relative acceleration: of masses u."""
    random = np.random.default_rng(seed)
    q, v = jnp.asarray(random.normal(size=(2, count, points, 2)))
    u = jnp.asarray(random.uniform(0.5, 2.0, size=(count, points)))
    i, j = np.triu_indices(points, 1)

    def acceleration(q, v, u):
        def law(q, v):
            r, w = q[i] - q[j], v[i] - v[j]
            square = jnp.sum(r**2, axis=1)
            inertance = 0.15 * jnp.sum(r * w, axis=1) ** 2 / (1 + square)
            return jnp.sum(u[:, None] * v**2) / 2 + jnp.sum(inertance - square / 4)

        return nx.acceleration(law, q, v, throw=False)

    a = jax.jit(jax.vmap(acceleration))(q, v, u)
    return nx.TimedObservations(q, v, a, jnp.zeros(count), u)


def test_inerters_of_three_points_are_learned_and_hold_for_five():
    model = nx.GeneralPairwiseLagrangian(
        PLANE,
        8,
        depth=1,
        relative_velocities=True,
        attributes=1,
        mass_attribute=0,
        key=jax.random.key(0),
    )
    model, note = nx.prepare(model, inerters(128, 3))
    assert "by least squares" in note
    model, _ = nx.polish(model, inerters(128, 3), iterations=30, progress=False)
    unseen = inerters(16, 5, seed=1)
    found = nx.acceleration(model, unseen.q, unseen.v, unseen.t, unseen.u)
    # A law without inerters, of whatever potential, misses the true one by 0.4 or more.
    assert np.sqrt(np.mean((found - unseen.a) ** 2) / np.mean(unseen.a**2)) < 0.15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_change_nothing(dtype):
    """Features, energies and resistances are in units of the data, which no weight knows."""
    lengths, times, masses = (1e10, 1e-5, 1e-8) if dtype == "float64" else (1e3, 1e-2, 1e-4)
    random = np.random.default_rng(0)
    q, v = random.normal(size=(2, 32, 3, 2))

    def accelerations(lengths, times, masses):
        at, moving = (jnp.asarray(x, dtype) for x in (lengths * q, lengths / times * v))
        model = helpers.general_pairwise(PLANE, masses=masses, dtype=dtype)
        friction = nx.PairFriction(PLANE, **helpers.small(), dtype=dtype)
        model, friction = (nx.standardise(x, at, moving) for x in (model, friction))
        power = masses * lengths**2 / times**3
        force = nx.forces.scaled_force(
            friction, nx.forces.Motions(at, moving, None, power * times, power)
        )
        whole = nx.Forced(model, force)
        return np.asarray(nx.acceleration(whole, at[:4], moving[:4]), float) * times**2 / lengths

    plain, scaled = accelerations(1.0, 1.0, 1.0), accelerations(lengths, times, masses)
    tolerance = 1e4 * np.finfo(dtype).eps
    assert np.allclose(scaled, plain, rtol=0, atol=tolerance * np.abs(plain).max())
    assert np.abs(plain).max() > 1e-3


def test_points_at_one_place_and_points_alone_have_finite_forces():
    model = nx.Forced(
        helpers.general_pairwise(PLANE, cutoff=1.0, relative_velocities=True),
        nx.PairFriction(PLANE, **helpers.small(), cutoff=1.0),
    )
    q, v = jnp.array([[0.0, 0.0], [0.0, 0.0], [50.0, 0.0]]), states(3)[1]
    a = nx.acceleration(model, q, v)
    assert np.all(np.isfinite(a))
    assert np.all(a[2] == 0)


def test_a_point_alone_is_free():
    model = helpers.general_pairwise(PLANE, relative_velocities=True)
    q, v = states(1)
    mass = nx.momentum(model, q, v) / v
    assert np.allclose(mass, mass[0, 0], rtol=1e-12, atol=0)
    assert np.all(nx.acceleration(model, q, v) == 0)


def test_attributes_that_are_inputs_reach_the_law_and_its_friction():
    law = helpers.general_pairwise(PLANE, attributes=2, mass_attribute=0)
    friction = nx.PairFriction(PLANE, **helpers.small(), attributes=2)
    model = nx.Forced(law, friction)
    (q, v), u = states(4), jnp.asarray(COLUMNS.reshape(-1))
    given = nx.with_attributes(model, COLUMNS)
    expected = nx.acceleration(given, q, v)
    both = nx.acceleration(
        model, jnp.stack([q, q]), jnp.stack([v, v]), jnp.zeros(2), jnp.stack([u, 2 * u])
    )
    assert np.allclose(both[0], expected, rtol=1e-11)
    assert np.abs(both[1] - expected).max() > 1e-3 * np.abs(expected).max()
    # Friction alone may have them; what has none is left as it is.
    beside = nx.with_attributes(nx.Forced(helpers.pairwise(PLANE), friction, rest), COLUMNS)
    assert not beside.forces[0].takes_attributes
    assert beside.forces[1] is rest
    with pytest.raises(TypeError, match="made with attributes"):
        nx.with_attributes(nx.Forced(helpers.pairwise(PLANE), rest), COLUMNS)


def test_attributes_that_come_with_the_data_are_seen_in_units_of_their_size():
    law = helpers.general_pairwise(PLANE, attributes=2, mass_attribute=0)
    model = nx.Forced(law, nx.PairFriction(PLANE, **helpers.small(), attributes=2))
    u = np.tile((COLUMNS * [1e24, 1e-6]).reshape(-1), (8, 1))
    found = with_attribute_units(model, u)
    for part in (found.lagrangian, found.forces[0]):
        assert np.allclose(part.attributes.unit, np.abs(COLUMNS).max(axis=0) * [1e24, 1e-6])
        assert part.attributes.values is None
    own = helpers.general_pairwise(PLANE, attributes=2, attribute_unit=[2.0, 3.0])
    assert np.array_equal(with_attribute_units(own, u).attributes.unit, [2, 3])
    known = helpers.general_pairwise(PLANE, attributes=COLUMNS)
    assert np.array_equal(with_attribute_units(known, u).attributes.unit, known.attributes.unit)


@pytest.mark.parametrize("form", ["linear", "convex"])
def test_friction_of_pairs_serves_any_number_of_points(form):
    """In any numbering; and two clusters far apart, within a cut-off, do not know of each other."""
    friction = nx.PairFriction(PLANE, form, **helpers.small(), attributes=COLUMNS[:3], cutoff=6.0)
    q, v = states(3)
    alone = compiled(friction, q, v)
    order = np.array([2, 0, 1])
    moved = nx.with_attributes(friction, COLUMNS[:3][order])
    assert np.allclose(compiled(moved, q[order], v[order]), alone[order], rtol=1e-11)
    twice = nx.with_attributes(friction, np.tile(COLUMNS[:3], (2, 1)))
    q, v = np.asarray(q), np.asarray(v)
    together = compiled(twice, jnp.asarray([*q, *(q + 100.0)]), jnp.asarray([*v, *v]))
    assert np.allclose(together, np.concatenate([alone, alone]), rtol=1e-9)
    assert np.allclose(np.sum(alone, axis=0), 0, atol=1e-14 * np.abs(alone).max())
    assert np.sum(alone * v) < 0


def test_friction_of_pairs_is_learned_and_holds_for_more_points():
    """Beside pairs without any force: resistance to a change of the distance, c ṙ r̂."""

    def true(q, v):
        r, w = q[:, None] - q, v[:, None] - v
        square = jnp.sum(r**2, axis=-1, keepdims=True)
        return -jnp.sum(0.3 * r * jnp.sum(r * w, axis=-1, keepdims=True) / (1 + square), axis=1)

    def data(count, points, seed):
        q, v = jnp.asarray(np.random.default_rng(seed).normal(size=(2, count, points, 2)))
        return nx.Observations(q, v, compiled(jax.vmap(true), q, v))

    def free(q, v):
        return jnp.sum(v**2) / 2

    model = nx.Forced(free, nx.PairFriction(PLANE, width=6, depth=1, key=jax.random.key(0)))
    model, note = nx.prepare(model, data(64, 3, 0))
    assert "1 new force" in note
    model, _ = nx.polish(model, data(64, 3, 0), iterations=30, progress=False)
    unseen = data(8, 6, 1)
    found = compiled(jax.vmap(model.forces[0]), unseen.q, unseen.v)
    assert np.sqrt(np.mean((found - unseen.a) ** 2) / np.mean(unseen.a**2)) < 0.02


def test_laws_and_friction_of_pairs_are_saved_and_loaded(tmp_path):
    def made(seed):
        law = helpers.general_pairwise(PLANE, seed=seed, attributes=COLUMNS, cutoff=2.0, box=5.0)
        options = helpers.small(seed) | dict(attributes=COLUMNS, cutoff=2.0, box=5.0)
        return nx.Forced(law, nx.PairFriction(PLANE, **options))

    model = made(0)
    nx.save(tmp_path / "pairs.eqx", model)
    loaded = nx.load(tmp_path / "pairs.eqx", made(1))
    assert eqx.tree_equal(loaded, model)


def test_what_makes_no_sense_is_refused():
    key = jax.random.key(0)
    general = functools.partial(nx.GeneralPairwiseLagrangian, key=key)
    friction = functools.partial(nx.PairFriction, key=key)
    refusals = {
        r"generator 0 changes it \(\d": lambda: general(nx.Lorentz()),
        "change if both are moved along": lambda: general(nx.Rotations(2), box=1.0, cutoff=0.4),
        "relative_velocities must be True or False": lambda: general(PLANE, relative_velocities=2),
        "is made from a group": lambda: general(nx.Euclidean),
        "PairFriction is made from a group": lambda: friction(nx.Euclidean),
        "form must be one of": lambda: friction(PLANE, "dry"),
        "has nothing to act on": lambda: friction(nx.SpecialLinear(4)),
        "no function of its invariants": lambda: friction(nx.SpecialLinear(2), cutoff=1.0),
        "attributes of 4 points, but the configuration has 3": lambda: friction(
            PLANE, attributes=COLUMNS
        )(*states(3)),
        "needs two points at least": lambda: nx.standardise(
            friction(PLANE), *np.ones((2, 4, 1, 2))
        ),
    }
    for message, make in refusals.items():
        with pytest.raises((ValueError, TypeError), match=message):
            make()


class Chain(nx.Lagrangian):
    """Unit masses, with springs and inerters between neighbours."""

    inerter: float = eqx.field(static=True)

    def __call__(self, q, v):
        rate, stretch = jnp.diff(v, axis=0), jnp.diff(q, axis=0)
        return jnp.sum(v**2) / 2 + jnp.sum(self.inerter * rate**2 - stretch**2) / 2


@nx.dynamics.leading_inertia.register
def _(chain: Chain, q):
    return jnp.ones_like(q)


def test_single_precision_has_its_digits_without_a_matrix():
    """From where on there is none is no place for a step in the error."""
    errors = []
    for points in (_matrix_free.MANY, _matrix_free.MANY + 1):
        q = np.random.default_rng(0).normal(size=(points, 1))
        steps = np.diff(np.eye(points), axis=0)
        exact = np.linalg.solve(np.eye(points) + 100 * steps.T @ steps, -steps.T @ steps @ q)
        single = jnp.asarray(q, jnp.float32)
        a = nx.acceleration(Chain(100.0), single, single)
        errors.append(np.max(np.abs(np.asarray(a) - exact)) / np.max(np.abs(exact)))
    assert max(errors) < 1e-5  # the condition is 400; and not 5e-3
