import math
import re
from unittest import mock

import equinox as eqx
import helpers
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax import _integration
from noetherax._types import check_motion
from noetherax.dynamics import (
    _activations,
    _motion,
    autodiff_terms,
    lagrangian_gradient,
    solve_symmetric,
    terms_and_change,
)


def test_kepler_acceleration_is_newtons():
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    lagrangian = nx.systems.KeplerLagrangian(mass=2.0, strength=3.0)
    expected = -1.5 * q / np.linalg.norm(q) ** 3
    assert np.allclose(nx.acceleration(lagrangian, q, v), expected, rtol=1e-13)


def test_tangents_of_the_acceleration_come_in_batches():
    """As `jax.jacfwd` and `jax.hessian` over weights ask for."""
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))

    def acceleration(w):
        def lagrangian(q, v):
            return jnp.sum(w[0] * v**2 + w[1] * q * v**2) - w[2] * jnp.sum(q**4)

        return nx.acceleration(lagrangian, q, v)

    w = jnp.array([3.0, 0.2, 1.0])
    expected = compiled(jax.jacrev(acceleration), w)
    assert np.allclose(compiled(jax.jacfwd(acceleration), w), expected, rtol=1e-12)
    assert np.all(np.abs(expected).max(axis=(0, 1)) > 1e-3)


def test_schwarzschild_acceleration_is_the_geodesic_equation():
    """Against the Christoffel symbols in polar coordinates (Misner, Thorne, Wheeler, box 31.2)."""
    r, rs = 2.0, 0.3
    r_dot, phi_dot, tau_dot = 0.1, 0.4, 1.2
    q = np.array([[r, 0.0, 0.0, 5.0]])
    v = np.array([[r_dot, r * phi_dot, 0.0, tau_dot]])
    f = 1 - rs / r
    r_ddot = -rs * f / (2 * r**2) * tau_dot**2 + rs / (2 * r**2 * f) * r_dot**2 + r * f * phi_dot**2
    phi_ddot = -2 / r * r_dot * phi_dot
    tau_ddot = -rs / (r**2 * f) * r_dot * tau_dot
    expected = [r_ddot - r * phi_dot**2, 2 * r_dot * phi_dot + r * phi_ddot, 0.0, tau_ddot]
    actual = nx.acceleration(nx.systems.SchwarzschildLagrangian(radius=rs), q, v)
    assert np.allclose(actual[0], expected, rtol=1e-12, atol=1e-14)


def test_double_pendulum_is_the_textbook_one():
    """A mass matrix that depends on the configuration, and a velocity-dependent force."""

    def lagrangian(q, v):
        (a, b), (da, db) = q[:, 0], v[:, 0]
        return da**2 + 0.5 * db**2 + da * db * jnp.cos(a - b) + 2 * jnp.cos(a) + jnp.cos(b)

    a, b, da, db = 0.4, -0.7, 1.1, -0.3
    sine, cosine = np.sin(a - b), np.cos(a - b)
    mass = np.array([[2, cosine], [cosine, 1]])
    force = np.array([-(db**2) * sine - 2 * np.sin(a), da**2 * sine - np.sin(b)])
    actual = compiled(nx.acceleration, lagrangian, np.array([[a], [b]]), np.array([[da], [db]]))
    assert np.allclose(actual[:, 0], np.linalg.solve(mass, force), rtol=1e-13)


def test_momentum_and_energy():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 3))
    lagrangian = helpers.HarmonicOscillator()
    assert np.allclose(nx.momentum(lagrangian, q, v), v)
    assert np.isclose(nx.energy(lagrangian, q, v), 0.5 * np.sum(v**2) + np.sum(q**2))


def through_every_entry(lagrangian, q, v):
    """The acceleration from autodiff terms, with derivatives through every entry of the matrix."""
    return solved(autodiff_terms(lagrangian, q, v)).reshape(v.shape)


def solved(terms):
    return jnp.linalg.solve(terms.mass_matrix, terms.force[..., None])[..., 0]


def check_closed_form(lagrangian, q, v):
    """Terms and their derivatives in the weights equal autodiff; and so do the accelerations and
    theirs, which are what training follows. Autodiff goes along one random direction of every array of
    weights, since its reverse mode takes much longer to compile."""
    random = np.random.default_rng(1)
    cotangent = random.normal(size=(len(q), q[0].size))
    weights, constants = eqx.partition(lagrangian, eqx.is_inexact_array)
    arrays, structure = jax.tree.flatten(weights.network)
    directions = [random.normal(size=array.shape) for array in arrays]

    @jax.jit
    def referee(arrays):
        def terms_and_acceleration(arrays):
            network = jax.tree.unflatten(structure, arrays)
            moved = eqx.tree_at(lambda model: model.network, weights, network)
            terms = autodiff_terms(eqx.combine(moved, constants), q, v)
            return terms, solved(terms)

        def along(index):
            tangents = [jnp.where(i == index, x, 0.0) for i, x in enumerate(directions)]
            return jax.jvp(terms_and_acceleration, (arrays,), (tangents,))

        return jax.vmap(along, out_axes=(None, 0))(jnp.arange(len(arrays)))

    @eqx.filter_jit
    def closed(lagrangian):
        def acceleration(moved, constants):
            a = nx.acceleration(eqx.combine(moved, constants), q, v)
            return jnp.sum(cotangent.reshape(v.shape) * a)

        def objective(model):
            terms = nx.euler_lagrange_terms(model, q, v)
            return jnp.sum(cotangent * terms.force) + jnp.sum(jnp.sin(terms.mass_matrix)), terms

        gradient, terms = eqx.filter_grad(objective, has_aux=True)(lagrangian)
        # By everything, and by weights alone as training does.
        for_training = eqx.partition(lagrangian, nx.trainable(lagrangian))
        accelerations = [
            jax.grad(acceleration)(*parts).network for parts in ((weights, constants), for_training)
        ]
        return terms, gradient.network, accelerations

    (expected, _), (slopes, rates) = referee(arrays)
    terms, of_terms, of_accelerations = closed(lagrangian)
    for a, b in zip(terms, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-11 * np.abs(b).max())
    changes = np.cos(expected.mass_matrix) * slopes.mass_matrix
    changes = np.sum(changes, axis=(1, 2, 3)) + np.sum(cotangent * slopes.force, axis=(1, 2))
    rates = np.sum(cotangent * rates, axis=(1, 2))
    for gradients, known in ((of_terms, changes), *((x, rates) for x in of_accelerations)):
        for gradient, direction, b in zip(
            jax.tree.leaves(gradients), directions, known, strict=True
        ):
            products = gradient * direction
            assert np.isclose(np.sum(products), b, rtol=1e-9, atol=1e-9 * np.abs(products).max())


@pytest.mark.parametrize("points", [1, 2])
def test_weight_gradients_of_the_closed_form_equal_autodiff(points):
    group = nx.Translations(3) * nx.Rotations(3) if points == 2 else nx.Trivial(3)
    check_closed_form(
        helpers.neural(group, points), *np.random.default_rng(0).normal(size=(2, 4, points, 3))
    )


ACCELERATION = nx.AccelerationLoss()
SMOOTH = ("gelu", "log_sigmoid", "mish", "sigmoid", "silu", "softplus", "squareplus", "tanh")


@pytest.mark.parametrize("name", SMOOTH)
def test_the_closed_form_takes_every_smooth_activation(name):
    lagrangian = helpers.neural(nx.Rotations(3), 1, activation=getattr(jax.nn, name))
    check_closed_form(lagrangian, *np.random.default_rng(0).normal(size=(2, 4, 1, 3)))


class Swish(eqx.Module):
    """An activation that trains: x s(βx)."""

    slope: jax.Array

    def __call__(self, x):
        return x * jax.nn.sigmoid(self.slope * x)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_closed_form_takes_activations_that_train(depth):
    """With a slope for every layer and unit, all different."""
    lagrangian = helpers.neural(nx.Rotations(3), 1, depth=depth, activation=Swish(jnp.array(1.3)))
    slopes = lagrangian.network.activation.slope
    assert slopes.shape == (depth, slopes.shape[-1])
    own = jnp.asarray(np.random.default_rng(2).uniform(0.5, 1.5, size=slopes.shape))
    lagrangian = eqx.tree_at(lambda model: model.network.activation.slope, lagrangian, own)
    check_closed_form(lagrangian, *np.random.default_rng(0).normal(size=(2, 4, 1, 3)))


@pytest.mark.parametrize("depth", [1, 4])  # most other tests have 2
@pytest.mark.parametrize(
    ("group", "points"),
    [(nx.Rotations(3), 1), (nx.Trivial(3), 1), (nx.Orthogonal(2), 3)],
    # 3 features and a Hessian of all; 6 and 21 features, and one along 4 and 7 directions
    ids=["few", "more", "many"],
)
def test_the_closed_form_takes_any_depth(depth, group, points):
    lagrangian = helpers.neural(group, points, depth=depth)
    shape = (2, 4, points, group.space)
    check_closed_form(lagrangian, *np.random.default_rng(0).normal(size=shape))


def test_the_closed_form_takes_bent_features():
    family = nx.systems.Orbits(nx.systems.Kepler(), math.inf)
    q, v, _ = family.sampler(500, noise=0.0)(jax.random.key(0))
    features = nx.Rotations(3).invariant_features(1)
    lagrangian = nx.NeuralLagrangian(features, width=16, key=jax.random.key(0))
    lagrangian = nx.standardise(lagrangian, q, v)
    assert lagrangian.standardisation.bends[0] > 0
    check_closed_form(lagrangian, q[:4], v[:4])
    closed, plain = (
        eqx.filter_jit(jax.jacfwd(rule, argnums=(1, 2)))(lagrangian, q[0], v[0])
        for rule in (lagrangian_gradient, lagrangian_gradient.dispatch(object))
    )
    for a, b in zip(*map(jax.tree.leaves, (closed, plain)), strict=True):
        assert np.allclose(a, b, rtol=1e-11, atol=1e-11)


class OnlyTerms(nx.Lagrangian):
    """A type with a rule for the terms and none for the residual."""

    strength: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum((1 + q**2) * v**2) - self.strength * jnp.sum(q**4)


@nx.euler_lagrange_terms.register
def _(lagrangian: OnlyTerms, q, v):
    terms = autodiff_terms(lagrangian, q, v)
    return nx.EulerLagrangeTerms(*terms)


DIFFERENTIATED = {
    name: helpers.LAGRANGIANS[name]
    for name in (
        "Schwarzschild",
        "sum",
        "average over turns and exchange together",
        "potential network",
    )
} | {
    "neural": lambda: (helpers.neural(nx.Rotations(2), 2, depth=1), nx.Rotations(2), 2, None),
    "rule for the terms alone": lambda: (OnlyTerms(jnp.array(0.7)), nx.Trivial(2), 2, None),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_accelerations_differentiate_as_the_solve_does(name):
    """By the implicit function theorem, in weights and state, once and twice."""
    lagrangian, group, points, _ = DIFFERENTIATED[name]()
    q, v = np.random.default_rng(2).uniform(0.5, 1.5, size=(2, 3, points, group.space))
    weights, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))
    at = weights, jnp.asarray(q), jnp.asarray(v)

    def everything(law, alone):
        def observed(weights, q, v):
            return jnp.sum(jnp.sin(law(eqx.combine(weights, constants), q, v)))

        slopes = jax.grad(observed, argnums=(0, 1, 2))
        first, along = jax.jvp(slopes, at, at)
        of_weights = first[0], along[0]
        if alone:  # a program of its own, in which the state does not change
            of_weights = jax.jvp(jax.grad(observed), at, at)
        return jax.jvp(observed, at, at)[1], first, along, of_weights

    ours, expected = (
        jax.tree.leaves(jax.jit(everything, static_argnums=(0, 1))(law, law is nx.acceleration))
        for law in (nx.acceleration, through_every_entry)
    )
    assert len(ours) >= 5
    for a, b in zip(ours, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-8, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("group", [nx.Rotations(3), nx.Trivial(3)], ids=["few", "many"])
def test_products_keep_every_bit_of_their_factors(group):
    """Accelerators round them to ten bits by default, which leaves three digits of an acceleration."""
    lagrangian = helpers.neural(group, 1)
    q, v, a = np.random.default_rng(0).normal(size=(3, 4, 1, 3))
    state = q[0], v[0]
    for function, *arguments in (
        (lagrangian, *state),
        (lambda *x: nx.momentum(lagrangian, *x), *state),
        (lambda *x: lagrangian_gradient(lagrangian, *x), *state),
        (lambda *x: nx.acceleration(lagrangian, *x), q, v),
        (lambda *x: nx.acceleration(lambda q, v: lagrangian(q, v), *x), *state),
        (eqx.filter_grad(lambda *x: ACCELERATION(x[0], x[1:])), lagrangian, q, v, a),
    ):
        helpers.check_precision(function, *arguments)
        assert helpers.products(function, *arguments)


def test_a_precision_that_is_chosen_is_kept():
    lagrangian = helpers.neural(nx.Rotations(3), 1)
    q, v = np.ones((2, 1, 3))
    with jax.default_matmul_precision("tensorfloat32"):
        chosen = helpers.products(lagrangian.network, lagrangian.features(q, v))
        assert set(chosen) <= set(helpers.products(lagrangian, q, v))


@pytest.mark.parametrize("group", [nx.Rotations(3), nx.Trivial(3)], ids=["few", "many"])
def test_weights_and_states_may_differ_in_precision(group):
    """Where JAX's own promotion is allowed, a float64 model learns from float32 observations."""
    lagrangian = helpers.neural(group, 1)
    states = np.random.default_rng(0).normal(size=(3, 8, 1, 3)).astype(np.float32)
    weights, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))

    @jax.jit
    def gradient(weights, observations):
        model = eqx.combine(weights, constants)
        everything = eqx.filter_grad(ACCELERATION)(model, observations).network
        return everything, jax.grad(
            lambda weights: ACCELERATION(eqx.combine(weights, constants), observations)
        )(weights)

    residual_of = eqx.filter_jit(nx.euler_lagrange_residual)
    with jax.numpy_dtype_promotion("standard"):
        mixed = gradient(weights, tuple(jnp.asarray(states)))
        residual = residual_of(lagrangian, *jnp.asarray(states))
    wide = tuple(jnp.asarray(states, jnp.float64))
    expected = gradient(weights, wide)
    # Features are computed in float32.
    tolerance = 1e3 * np.finfo(np.float32).eps
    for a, b in zip(*map(jax.tree.leaves, (mixed, expected)), strict=True):
        assert np.allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())
    exact = residual_of(lagrangian, *wide)
    assert np.allclose(residual, exact, rtol=0, atol=tolerance * np.abs(exact).max())


def test_a_gradient_costs_the_same_for_any_number_of_coordinates():
    """It differentiates along the motion, not along every coordinate as it would through the matrix."""

    def operations(law, space: int) -> float:
        lagrangian = helpers.neural(nx.Translations(space, axes=(0,)), 1, width=64)
        q, v = np.random.default_rng(0).normal(size=(2, 16, 1, space))
        weights, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))

        def loss(weights):
            return jnp.sum(law(eqx.combine(weights, constants), q, v))

        programs = (jax.jit(f).lower(weights).compile() for f in (jax.grad(loss), loss))
        gradient, value = (program.cost_analysis()["flops"] for program in programs)
        return gradient - value

    ours, every_entry = (
        operations(law, 12) / operations(law, 4)
        for law in (nx.acceleration, lambda *x: solved(nx.euler_lagrange_terms(*x)))
    )
    assert ours < 1.3
    assert every_entry > 1.8  # what it would be


SHARING = {
    "few features": lambda: (helpers.neural(nx.Rotations(3), 1), (8, 1, 3)),
    "many": lambda: (helpers.neural(nx.Trivial(3), 1), (8, 1, 3)),
    "sum": lambda: (
        nx.LagrangianSum(helpers.neural(nx.Rotations(3), 1), helpers.HarmonicOscillator()),
        (8, 1, 3),
    ),
    "average": lambda: (
        nx.AveragedLagrangian(helpers.neural(nx.Rotations(2), 2), permutations=[(0, 1), (1, 0)]),
        (8, 2, 2),
    ),
}


@pytest.mark.parametrize("name", SHARING)
def test_a_training_step_sweeps_the_network_and_solves_once(name):
    """Also inside a loop, where XLA does not see that two computations are equal."""
    lagrangian, shape = SHARING[name]()
    motion = np.random.default_rng(0).normal(size=(3, *shape))
    weights, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))

    def program(weights, constants, motion):
        def step(weights, noise):
            observed = tuple(motion + noise)
            gradient = jax.grad(lambda w: ACCELERATION(eqx.combine(w, constants), observed))(
                weights
            )
            return eqx.apply_updates(weights, gradient), None

        return jax.lax.scan(step, weights, jnp.arange(5.0))[0]

    def times() -> tuple[int, int]:
        """Evaluations of softplus, in a network of two hidden layers, and searches for a pivot, one
        for each coordinate in an elimination."""
        compiled = (
            eqx.filter_jit(lambda *x: program(*x)).lower(weights, constants, motion).compile()
        )
        text = compiled.compiled.as_text()
        return text.count(" log-plus-one("), len(re.findall(r"= \(f64.*, s64.*\) reduce\(", text))

    assert times() == (2, math.prod(shape[1:]))
    apart = terms_and_change.dispatch(object)
    with mock.patch.object(_motion, "terms_and_change", apart):
        assert times()[0] > 2


@pytest.mark.parametrize("name", SHARING)
def test_gradients_name_a_wrong_shape(name):
    """As values do: the rule for derivatives is another."""
    lagrangian, _ = SHARING[name]()
    with pytest.raises(ValueError, match=r"shape \(points, space\), but it has shape \(3,\)"):
        terms_and_change(lagrangian, jnp.ones(3), jnp.ones(3))


def test_leading_axes_are_batches():
    lagrangian = helpers.neural(nx.Rotations(3), 1)
    q, v = np.random.default_rng(0).normal(size=(2, 3, 5, 1, 3))
    terms, acceleration = map(eqx.filter_jit, (nx.euler_lagrange_terms, nx.acceleration))
    mass, force = terms(lagrangian, q, v)
    assert mass.shape == (3, 5, 3, 3)
    assert force.shape == (3, 5, 3)
    one = terms(lagrangian, q[1, 2], v[1, 2])
    assert np.allclose(mass[1, 2], one.mass_matrix, rtol=1e-12)
    batched = acceleration(lagrangian, q, v)
    assert np.allclose(batched[1, 2], acceleration(lagrangian, q[1, 2], v[1, 2]), rtol=1e-9)


SINGULAR = {
    "no curvature": lambda q, v: jnp.sum(q * v),
    "homogeneous of degree one": lambda q, v: jnp.sqrt(jnp.sum(v**2)),
    "one direction": lambda q, v: 0.5 * jnp.sum(v * jnp.array([0.1, 0.3, 0.7])) ** 2 - jnp.sum(q),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_mass_matrix_is_reported(name):
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    with pytest.raises(RuntimeError, match="mass matrix"):
        nx.acceleration(SINGULAR[name], q, v)
    quiet = nx.acceleration(SINGULAR[name], q, v, throw=False)
    assert np.all(np.isnan(quiet))


def test_a_singular_matrix_is_seen_even_if_the_force_lies_in_its_range():
    direction = jnp.array([0.1, 0.3, 0.7])

    def lagrangian(q, v):
        return 0.5 * jnp.sum(direction * v) ** 2 - 0.5 * jnp.sum(direction * q) ** 2

    quiet = jax.jit(lambda q, v: nx.acceleration(lagrangian, q, v, throw=False))
    for q, v in np.random.default_rng(0).normal(size=(20, 2, 1, 3)):
        assert np.all(np.isnan(quiet(q, v)))
    with pytest.raises(RuntimeError, match="At the initial state: The mass matrix"):
        nx.rollout(lagrangian, q, v, ts=np.array([0.0, 1.0]))


@pytest.mark.parametrize("masses", [(1.0, 1e-8), (2e30, 3e23), (1e20, 1e-20)])
def test_light_and_heavy_particles_are_not_singular(masses):
    weights = jnp.array(masses)[:, None]

    def lagrangian(q, v):
        return 0.5 * jnp.sum(weights * v**2) - jnp.sum(weights * q)

    state = np.ones((2, 1))
    assert np.allclose(compiled(nx.acceleration, lagrangian, state, state), -1)


@pytest.mark.parametrize(
    ("ratio", "dtype"), [(1e7, "float32"), (1e20, "float64"), (0.0, "float64")]
)
def test_coupled_coordinates_in_unlike_units_are_not_singular(ratio, dtype):
    """Two coordinates that share kinetic energy, in units of that ratio; at 0, the second has none."""
    mass = jnp.asarray([[1, ratio / 2], [ratio / 2, ratio**2]], dtype)
    push = jnp.asarray([1, ratio], dtype)

    def lagrangian(q, v):
        return 0.5 * jnp.ravel(v) @ mass @ jnp.ravel(v) - jnp.sum(push * q)

    a = compiled(
        lambda *x: nx.acceleration(lagrangian, *x, throw=False), *np.ones((2, 1, 2), dtype)
    )
    if ratio:
        assert np.allclose(a * push, -2 / 3, rtol=10 * np.finfo(dtype).eps)
    else:
        assert np.all(np.isnan(a))


def test_solvers_for_any_rank_answer_by_least_squares():
    direction = jnp.array([0.1, 0.3, 0.7])

    def lagrangian(q, v):
        return 0.5 * jnp.sum(direction * v) ** 2 - jnp.sum(direction * q)

    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    solver = lx.AutoLinearSolver(well_posed=False)
    a = nx.acceleration(lagrangian, q, v, linear_solver=solver)
    assert np.allclose(a, -direction / jnp.sum(direction**2), rtol=1e-12)
    path = nx.rollout(lagrangian, q, v, ts=np.array([0.0, 1.0]), dt=1.0, linear_solver=solver)
    assert np.allclose(path.q[1], q + v + a / 2, rtol=1e-12)


def test_a_force_that_is_not_finite_is_no_singular_mass_matrix():
    def attraction(q, v):
        return 0.5 * jnp.sum(v**2) + 1 / jnp.linalg.norm(q)

    for lagrangian, q in (
        (attraction, jnp.zeros((2, 2))),
        (Coupled(1.0), jnp.full((2, 2), jnp.nan)),
    ):
        with pytest.raises(RuntimeError, match="derivatives of the Lagrangian are not finite"):
            compiled(nx.acceleration, lagrangian, q, jnp.ones_like(q))


def test_the_linear_solver_can_be_chosen():
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    lagrangian = helpers.HarmonicOscillator()
    for solver in (lx.QR(), lx.AutoLinearSolver(well_posed=True), lx.SVD()):
        assert np.allclose(nx.acceleration(lagrangian, q, v, linear_solver=solver), -2 * q)


def symmetric(spectrum, batch: int, key: int) -> np.ndarray:
    """Matrices of a spectrum, in axes of their own."""
    turns, _ = np.linalg.qr(
        np.random.default_rng(key).normal(size=(batch, len(spectrum), len(spectrum)))
    )
    return np.einsum("bik,k,bjk->bij", turns, spectrum, turns)


CONDITIONED = 100
"""Roundings an elimination may lose beyond the condition number, on a dozen unknowns or fewer."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 3, 8, 9])  # the last one by LAPACK
def test_small_systems_are_solved_to_rounding(size, dtype):
    """And their derivatives are those of x = M⁻¹ b, by the vector and by the matrix."""
    condition = 1e3 if size > 1 else 1.0
    spectrum = (-1.0) ** np.arange(size) * np.geomspace(1, condition, size)
    matrix = symmetric(spectrum, 6, size).astype(dtype)
    vector, weight = np.random.default_rng(1).normal(size=(2, 6, size)).astype(dtype)
    exact = np.linalg.solve(matrix.astype(float), vector.astype(float)[..., None])[..., 0]
    pulled = np.linalg.solve(matrix.astype(float), weight.astype(float)[..., None])[..., 0]
    allowed = CONDITIONED * condition * np.finfo(dtype).eps

    @jax.jit
    def solution_and_slopes(matrix, vector, weight):
        x, pull_back = jax.vjp(solve_symmetric, matrix, vector)
        return x, *pull_back(weight)

    x, by_matrix, by_vector = solution_and_slopes(matrix, vector, weight)
    expected = exact, pulled, -pulled[..., :, None] * exact[..., None, :]
    for ours, theirs in zip((x, by_vector, by_matrix), expected, strict=True):
        assert ours.dtype == dtype
        assert np.linalg.norm(np.asarray(ours) - theirs) < allowed * np.linalg.norm(theirs)


def test_small_systems_are_solved_by_the_largest_pivot():
    """Zeros where the elimination would start, or entries too small to divide by."""
    for corner in (0.0, 1e-14):
        matrix = jnp.array([[[corner, 1.1, 2.3], [1.1, 0.7, 3.2], [2.3, 3.2, corner]]])
        vector = jnp.array([[1.3, 2.1, 0.4]])
        exact = np.linalg.solve(matrix, vector[..., None])[..., 0]
        assert np.allclose(compiled(solve_symmetric, matrix, vector), exact, rtol=1e-13)
        first_left = mock.patch.object(jnp, "argmax", lambda x, axis: jnp.nanargmax(x >= 0, axis))
        with jax.disable_jit(), first_left:  # whatever is in that row
            in_order = solve_symmetric(matrix, vector)
        assert not np.allclose(in_order, exact, rtol=1e-13)


def test_a_singular_system_has_no_finite_solution_and_spoils_no_other():
    matrix = jnp.stack([jnp.ones((2, 2)), 2 * jnp.eye(2)])
    x = compiled(solve_symmetric, matrix, jnp.ones((2, 2)))
    assert not np.any(np.isfinite(x[0]))
    assert np.allclose(x[1], 0.5)


def test_small_systems_come_with_any_leading_axes():
    matrix = symmetric(np.array([1.0, -2.0, 3.0]), 6, 0).reshape(2, 3, 3, 3)
    vector = np.random.default_rng(0).normal(size=(2, 3, 3))
    x = compiled(solve_symmetric, matrix, vector)
    mapped = compiled(jax.vmap(jax.vmap(solve_symmetric)), matrix, vector)
    assert np.allclose(np.einsum("...ij,...j->...i", matrix, x), vector, rtol=1e-12)
    assert np.allclose(mapped, x, rtol=1e-12)
    helpers.check_precision(solve_symmetric, jnp.asarray(matrix), jnp.asarray(vector))


def test_users_register_a_faster_rule():
    class Free(nx.Lagrangian):
        def __call__(self, q, v):
            return 0.5 * jnp.sum(v**2)

    @nx.euler_lagrange_terms.register
    def _(lagrangian: Free, q, v):
        size = q.shape[-2] * q.shape[-1]
        mass = jnp.broadcast_to(jnp.eye(size), (*q.shape[:-2], size, size))
        return nx.EulerLagrangeTerms(mass, jnp.ones((*q.shape[:-2], size)))

    # The rule is used (it is deliberately not the true force), and the law would catch it.
    assert np.all(nx.acceleration(Free(), np.zeros((1, 3)), np.zeros((1, 3))) == 1)
    with pytest.raises(AssertionError, match="equals automatic differentiation: force"):
        nx.testing.check_lagrangian(Free(), nx.Rotations(3), points=1)


def test_an_acceleration_of_another_shape_is_named():
    q, v = np.zeros((2, 3, 2, 2))
    with pytest.raises(ValueError, match="q, v and a must have the same shape"):
        check_motion(q, v, v[:2])  # the public function's types are checked before, in tests


def test_a_wrong_rule_for_the_residual_is_caught():
    class Heavy(nx.Lagrangian):
        def __call__(self, q, v):
            return 0.5 * jnp.sum(v**2)

    @nx.euler_lagrange_residual.register
    def _(lagrangian: Heavy, q, v, a):
        return 2 * a.reshape(*a.shape[:-2], -1)

    with pytest.raises(AssertionError, match="euler_lagrange_residual equals automatic"):
        nx.testing.check_lagrangian(Heavy(), nx.Rotations(3), points=1)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_the_residual_vanishes_on_solutions_alone(name):
    lagrangian, group, points, _ = DIFFERENTIATED[name]()
    q, v = np.random.default_rng(2).uniform(0.5, 1.5, size=(2, 3, points, group.space))
    residual_of = eqx.filter_jit(nx.euler_lagrange_residual)
    mass_matrix, force = eqx.filter_jit(autodiff_terms)(lagrangian, q, v)
    a = np.linalg.solve(mass_matrix, force[..., None]).reshape(v.shape)
    size = np.abs(force).max() + np.abs(mass_matrix).max() * np.abs(a).max()
    assert np.abs(residual_of(lagrangian, q, v, a)).max() < 1e-11 * size
    moved = residual_of(lagrangian, q, v, a + 1)
    assert np.allclose(moved, np.sum(mass_matrix, axis=-1), rtol=1e-9, atol=1e-11 * size)


@pytest.mark.parametrize("name", ["Rotations(3)", "Trivial(2)"])
def test_gradients_and_their_derivatives_agree_with_autodiff(name):
    group = helpers.GROUPS[name]()
    lagrangian = nx.LagrangianSum(helpers.HarmonicOscillator(), helpers.neural(group, 1))
    q, v = (jnp.asarray(x) for x in np.random.default_rng(0).normal(size=(2, 1, group.space)))

    def everything(gradient):
        """Its value, its Jacobian in the state and its pull-back in the weights, in one program."""

        def weighted(lagrangian):
            force, momentum = gradient(lagrangian, q, v)
            return jnp.sum(force) + 2 * jnp.sum(momentum)

        jacobian = jax.jacfwd(lambda q, v: gradient(lagrangian, q, v), argnums=(0, 1))(q, v)
        return gradient(lagrangian, q, v), jacobian, eqx.filter_grad(weighted)(lagrangian)

    closed, plain = (
        eqx.filter_jit(everything)(gradient)
        for gradient in (lagrangian_gradient, lagrangian_gradient.dispatch(object))
    )
    leaves = list(zip(jax.tree.leaves(closed), jax.tree.leaves(plain), strict=True))
    assert len(leaves) > 8
    for a, b in leaves:
        assert np.allclose(a, b, rtol=1e-11, atol=1e-11)


def test_activations_and_their_derivatives_equal_autodiff():
    """Also where exponentials overflow or vanish, and the derivatives that training takes of them."""
    z = jnp.concatenate([jnp.linspace(-6.0, 6.0, 41), jnp.array([-800.0, -40.0, 40.0, 800.0])])
    assert {known for known, _ in _activations.RULES} == {
        jax.nn.softplus, jnp.tanh, jax.nn.sigmoid, jax.nn.silu
    }  # fmt: skip
    for known, rule in _activations.RULES:
        derivatives = [known]
        for _ in range(4):
            derivatives.append(jax.grad(derivatives[-1]))
        expected = jax.jit(lambda z, all=derivatives: [jax.vmap(f)(z) for f in all])(z)

        def rate(z, rule=rule):
            return jax.jvp(rule, (z,), (jnp.ones_like(z),))

        def second(z, rate=rate):
            return jax.jvp(lambda z: rate(z)[1], (z,), (jnp.ones_like(z),))[1]

        values, rates = jax.jit(rate)(z)
        curvatures = jax.jit(second)(z)
        for order, found in enumerate((values, rates, curvatures)):
            for one, other in zip(found, expected[order : order + 3], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)
    # A network keeps its activation as it is, so that its rule is found.
    assert helpers.neural(nx.Rotations(3), 1).network.activation is jax.nn.softplus
    # Any other function is differentiated, and the two agree.
    for one, other in zip(
        _activations.activate(lambda z: jnp.tanh(z), z),
        _activations.activate(jnp.tanh, z),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


MASSES = {
    "number": 2.0,
    "points": (1.0, 3.0),
    "matrix": np.diag([1.0, 2.0, 3.0, 4.0]) + np.triu(np.full((4, 4), 0.2), 1),  # not symmetric
}


class Coupled(nx.SeparableLagrangian):
    """Two points of the plane."""

    mass: object

    def inertia(self):
        return self.mass

    def potential(self, q):
        return jnp.sum(q**4) / 4 + jnp.sum(jnp.square(q[0] - q[1]))


def coupled(form: str) -> Coupled:
    """With constant masses of a form."""
    return Coupled(jax.tree.map(float, np.asarray(MASSES[form]).tolist()))


@pytest.mark.parametrize("form", ["number", "points", "matrix"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_mass_of_every_form(form, dtype):
    q, v = np.random.default_rng(0).normal(size=(2, 5, 2, 2)).astype(dtype)
    lagrangian = coupled(form)
    a = compiled(nx.acceleration, lagrangian, q, v)
    assert a.dtype == dtype
    closed, generic = (
        compiled(f, lagrangian, q, v) for f in (nx.euler_lagrange_terms, autodiff_terms)
    )
    tolerance = 100 * np.finfo(dtype).eps
    for x, y in zip(closed, generic, strict=True):
        assert np.allclose(x, y, rtol=tolerance, atol=tolerance)
    expected = np.linalg.solve(generic.mass_matrix, generic.force[..., None])[..., 0]
    assert np.allclose(a.reshape(5, 4), expected, rtol=tolerance, atol=tolerance)
    slopes = compiled(lagrangian_gradient, lagrangian, q[0], v[0])
    expected = compiled(jax.grad(lagrangian, (0, 1)), q[0], v[0])
    for x, y in zip(slopes, expected, strict=True):
        assert np.allclose(x, y, rtol=tolerance, atol=tolerance)
    assert np.allclose(compiled(nx.momentum, lagrangian, q[0], v[0]), slopes[1], rtol=tolerance)


def test_a_constant_mass_is_inverted_once():
    """Neither a loss nor a step of a rollout solves for the acceleration; with a network both do."""
    q, v = np.random.default_rng(0).normal(size=(2, 3, 2, 2))

    def loss(lagrangian):
        return ACCELERATION(lagrangian, (q, v, v))

    def field(lagrangian):
        accelerate = _integration.accelerate_by(lx.LU(), jnp.array(1))
        made = nx.solvers.formulate(nx.RK4(), lagrangian, q[0], v[0], accelerate)
        return made.term.vf(0.0, made.state, made.args)[1]

    for function in (loss, field):
        constant, learned = (
            {equation.primitive.name for equation in helpers.equations(function, lagrangian)}
            for lagrangian in (coupled("matrix"), helpers.neural(nx.Trivial(2), 2))
        )
        assert {"lu", "custom_linear_solve"} & learned
        assert not {"lu", "triangular_solve", "custom_linear_solve"} & constant


@pytest.mark.parametrize("form", MASSES)
def test_masses_may_train(form):
    """Gradients in the masses are those of the equations of motion by autodiff."""
    lagrangian = Coupled(jnp.asarray(MASSES[form]))
    q, v, a = np.random.default_rng(0).normal(size=(3, 4, 2, 2))

    def by_autodiff(lagrangian):
        terms = autodiff_terms(lagrangian, q, v)
        predicted = jnp.linalg.solve(terms.mass_matrix, terms.force[..., None])[..., 0]
        return jnp.mean(jnp.square(predicted - a.reshape(4, 4)))

    def ours(lagrangian):
        return ACCELERATION(lagrangian, (q, v, a))

    gradient, expected = (
        eqx.filter_jit(eqx.filter_grad(loss))(lagrangian).mass for loss in (ours, by_autodiff)
    )
    assert np.all(np.asarray(expected) != 0)
    assert np.allclose(gradient, expected, rtol=1e-10)


@pytest.mark.parametrize("mass", [0.0, (1.0, 0.0), np.diag([1.0, 2.0, 3.0, 0.0])])
@pytest.mark.parametrize("constant", [True, False])
def test_a_singular_mass_is_reported(mass, constant):
    mass = np.asarray(mass)
    mass = jax.tree.map(float, mass.tolist()) if constant else jnp.asarray(mass)
    lagrangian = Coupled(mass)
    q, v = np.random.default_rng(0).normal(size=(2, 2, 2))
    with pytest.raises(RuntimeError, match="singular to working precision"):
        eqx.filter_jit(nx.acceleration)(lagrangian, q, v)
    assert np.all(np.isnan(nx.acceleration(lagrangian, q, v, throw=False)))
    assert not np.isfinite(ACCELERATION(lagrangian, (q[None], v[None], v[None])))


@pytest.mark.parametrize("shape", [(3,), (2, 1), (1,)])
def test_a_mass_of_another_shape_is_named(shape):
    """By everything that evaluates L, or momenta would be wrong in silence."""
    lagrangian, state = Coupled(jnp.ones(shape)), np.ones((2, 2))
    for function in (nx.acceleration, nx.momentum, nx.energy):
        with pytest.raises(ValueError, match=rf"has shape \({shape[0]},"):
            function(lagrangian, state, state)


@pytest.mark.parametrize(
    ("mass", "error", "message"),
    [
        ("heavy", TypeError, "'heavy'"),
        (None, TypeError, "None"),
        ((1.0, float("nan")), ValueError, "must be finite"),
    ],
)
def test_a_mass_that_is_no_number_is_named(mass, error, message):
    state = np.ones((2, 2))
    for function in (nx.acceleration, nx.momentum):
        with pytest.raises(error, match=message):
            function(Coupled(mass), state, state)
