import equinox as eqx
import helpers
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled

import noetherax as nx
from noetherax import testing
from noetherax.dynamics import autodiff_terms
from noetherax.lagrangians._activation import check_activation


@pytest.mark.parametrize("name", helpers.LAGRANGIANS)
def test_lagrangian_laws(name):
    lagrangian, group, points, strategy = helpers.LAGRANGIANS[name]()
    testing.check_lagrangian(lagrangian, group, points=points, state_strategy=strategy)


FEW_ON_ONE_POINT = {
    "Translations(4) * Rotations(4)",
    "Euclidean(2)",
    "Poincare(3)",
    *helpers.SINGULAR_ON_ONE_POINT,
}
"""Groups with one invariant of one point. With one point the others compile in half the time."""


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_random_weights_have_the_symmetry_of_their_group(name):
    group = helpers.GROUPS[name]()
    points = 2 if name in FEW_ON_ONE_POINT else 1
    lagrangian = helpers.neural(group, points)
    testing.check_lagrangian(lagrangian, group, points=points, max_examples=24)


@pytest.mark.parametrize("name", ["Rotations(3)", "Lorentz()", "SpecialUnitary(4)", "parabolic"])
def test_a_plain_network_has_no_symmetry(name):
    group = helpers.GROUPS[name]()
    plain = testing.Lagrangian(helpers.neural(nx.Trivial(group.space), 1), group, points=1)
    (invariance,) = (law for law in testing.laws(plain) if law.__name__ == "invariance_law")
    with pytest.raises(AssertionError, match="leaves the value unchanged"):
        invariance(plain)


def test_initial_weights_are_the_papers():
    features = nx.Rotations(4).invariant_features(2)
    network = nx.NeuralLagrangian(features, width=128, key=jax.random.key(0)).network
    deviations = [float(np.std(layer.weight)) for layer in network.layers]
    expected = [2 / np.sqrt(128), 1 / np.sqrt(128), np.sqrt(128)]
    assert np.allclose(deviations, expected, rtol=0.2)
    assert all(not np.any(layer.bias) for layer in network.layers[:-1])
    assert network.layers[-1].bias is None


def test_a_network_by_hand():
    """Weights put into the network give softplus layers on the raw features, as in the paper."""
    lagrangian = helpers.neural(nx.Rotations(3), 1)
    lagrangian = nx.NeuralLagrangian(
        lagrangian.features, width=16, key=jax.random.key(1), dtype=jnp.float64
    )
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    x = np.array([np.sum(q * q), np.sum(q * v), np.sum(v * v)])
    first, second, last = lagrangian.network.layers
    for layer in (first, second):
        x = np.logaddexp(0, np.asarray(layer.weight) @ x + np.asarray(layer.bias))
    assert np.allclose(compiled(lagrangian, q, v), (np.asarray(last.weight) @ x)[0], rtol=1e-13)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_is_kept(dtype):
    features = nx.Rotations(3).invariant_features(1)
    lagrangian = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0), dtype=dtype)
    q = v = jnp.ones((1, 3), dtype)
    assert lagrangian(q, v).dtype == dtype
    assert nx.acceleration(lagrangian, q, v + 0.1 * jnp.arange(3, dtype=dtype)).dtype == dtype
    charge = nx.Rotations(3).noether_charge(lagrangian)
    assert charge(q, v).dtype == dtype


def square_symmetries() -> np.ndarray:
    """The eight rotations and reflections of the square."""
    turns = helpers.quarter_turns()
    return np.concatenate([turns, turns @ np.diag([1.0, -1.0])])


@pytest.mark.parametrize("seed", range(2))
def test_an_average_over_shifts_is_invariant_for_any_weights(seed):
    q, v = np.random.default_rng(seed).normal(size=(2, 5, 1))
    plain = helpers.neural(nx.Translations(1), 5, seed=seed)
    ring = nx.AveragedLagrangian(plain, permutations=nx.systems.SpinChain(5).shifts)
    for shift in range(1, 5):
        moved = np.roll(q, shift, axis=0), np.roll(v, shift, axis=0)
        assert np.isclose(compiled(ring, *moved), compiled(ring, q, v), rtol=1e-13)
        assert not np.isclose(compiled(plain, *moved), compiled(plain, q, v), rtol=1e-3)
    pair = (np.stack([x, np.roll(x, 1, axis=0)]) for x in (q, v))
    here, there = nx.acceleration(ring, *pair)
    assert np.allclose(np.roll(here, 1, axis=0), there, rtol=1e-8, atol=1e-10)
    # No more than that: the mirror image of a ring is another state.
    mirrored = compiled(ring, q[::-1], v[::-1])
    assert not np.isclose(mirrored, compiled(ring, q, v), rtol=1e-3)


def test_an_average_over_matrices_is_invariant():
    q, v = np.random.default_rng(0).normal(size=(2, 2, 2))
    plain = helpers.neural(nx.Trivial(2), 2)
    square = nx.AveragedLagrangian(plain, matrices=square_symmetries())
    value, of_plain = compiled(square, q, v), compiled(plain, q, v)
    for matrix in square_symmetries()[1:]:
        moved = q @ matrix.T, v @ matrix.T
        assert np.isclose(compiled(square, *moved), value, rtol=1e-13)
        assert not np.isclose(compiled(plain, *moved), of_plain, rtol=1e-3)
    other = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert not np.isclose(compiled(square, q @ other.T, v @ other.T), value, rtol=1e-3)
    assert helpers.products(square.images, q)
    helpers.check_precision(lambda q: square.pull_back(square.images(q)), q)


def test_permutations_and_matrices_belong_together():
    """Every other element exchanges the points; the exchange alone is no symmetry."""
    lagrangian = helpers.LAGRANGIANS["average over turns and exchange together"]()[0]
    q, v = np.random.default_rng(0).normal(size=(2, 2, 2))
    turn = helpers.quarter_turns()[1]
    value, *images = (
        compiled(lagrangian, *state)
        for state in (
            (q, v),
            ((q @ turn.T)[::-1], (v @ turn.T)[::-1]),
            (q @ turn.T, v @ turn.T),
            (q[::-1], v[::-1]),
        )
    )
    assert np.isclose(images[0], value, rtol=1e-13)
    assert not np.isclose(images[1], value, rtol=1e-3)
    assert not np.isclose(images[2], value, rtol=1e-3)


def test_a_momentum_that_cancels_is_judged_by_rounding():
    """At rest at the origin ∂L/∂v is a sum of rotated vectors that is zero, but for rounding."""
    lagrangian, group, points, _ = helpers.LAGRANGIANS["average over turns and exchange together"]()
    nothing = np.zeros((2, points, 2))
    some = np.random.default_rng(0).normal(size=nothing.shape)
    strategy = st.sampled_from([tuple(nothing), tuple(some)])
    options = dict(points=points, state_strategy=strategy, rest=False)
    testing.check_lagrangian(lagrangian, group, **options)


def test_the_terms_of_an_average_take_batches():
    lagrangian = helpers.LAGRANGIANS["average over shifts"]()[0]
    q, v = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 1))
    closed = eqx.filter_jit(nx.euler_lagrange_terms)(lagrangian, q, v)
    generic = eqx.filter_jit(autodiff_terms)(lagrangian, q, v)
    for ours, reference in zip(closed, generic, strict=True):
        assert ours.shape == reference.shape
        assert np.allclose(ours, reference, rtol=1e-11, atol=1e-11)


def test_elements_that_are_no_group_are_named():
    plain = helpers.neural(nx.Trivial(2), 2)
    turns = helpers.quarter_turns()
    for options, message in [
        ({}, "permutations, matrices or both"),
        ({"permutations": []}, "at least one"),
        ({"permutations": [(0, 1)], "matrices": turns}, r"\[1, 4\]"),
        ({"permutations": [(0, 1, 2), (1, 2, 0)]}, "product of entries 1 and 1"),
        ({"permutations": [(0, 0), (0, 1)]}, r"\(0, 0\) is not a permutation"),
        ({"permutations": [(0, 1), (0, 1)]}, "listed twice"),
        ({"matrices": turns[:2]}, "product of entries 1 and 1"),
        ({"matrices": np.zeros((1, 2, 2))}, "inverse of entry 0"),
        ({"matrices": np.array([np.eye(2), np.zeros((2, 2))])}, "inverse of entry 1"),
        ({"matrices": np.eye(2)}, r"\(2, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            nx.AveragedLagrangian(plain, **options)
    three = nx.AveragedLagrangian(plain, permutations=[(0, 1, 2)])
    with pytest.raises(ValueError, match="of 3 points"):
        three(np.ones((2, 2)), np.ones((2, 2)))


def test_mistakes_are_named():
    features = nx.Rotations(3).invariant_features(1)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="width must be a positive integer"):
        nx.NeuralLagrangian(features, width=0, key=key)
    with pytest.raises(ValueError, match="at least one Lagrangian"):
        nx.LagrangianSum()


class Gated(eqx.Module):
    """Scales of its own for every unit, which are parameters; mixed or not."""

    scale: jax.Array
    mixed: bool = eqx.field(static=True)

    def __call__(self, x):
        return jnp.tanh(self.scale * x) / (jnp.linalg.norm(x) if self.mixed else 1.0)


NOT_ELEMENTWISE = {
    "softmax": jax.nn.softmax,
    "GLU": jax.nn.glu,
    "normalised": lambda x: x / (1 + jnp.linalg.norm(x)),
    "centred": lambda x: jnp.tanh(x - jnp.mean(x)),
    "a matrix": Gated(jnp.ones(4), mixed=False),
    "whole numbers": jnp.argmax,
}


def test_activations_act_on_each_number_by_itself():
    features = nx.Rotations(2).invariant_features(1)

    def build(activation, key=jax.random.key(0)):
        return nx.NeuralLagrangian(features, width=8, activation=activation, key=key)

    for activation in NOT_ELEMENTWISE.values():
        with pytest.raises(ValueError, match="must act on each number by itself"):
            build(activation)
    with pytest.raises(TypeError, match="activation must be a function"):
        check_activation(5, jnp.float32)
    for activation in (jax.nn.gelu, lambda x: x**3, Gated(jnp.ones(()), mixed=False)):
        build(activation)
    # Under transformations, too.
    keys = jax.random.split(jax.random.key(0), 2)
    with pytest.raises(ValueError, match="differs by"):
        eqx.filter_vmap(lambda key: build(NOT_ELEMENTWISE["centred"], key))(keys)
    eqx.filter_eval_shape(build, jax.nn.celu)


SIZED = {
    "features": lambda **sizes: nx.NeuralLagrangian(
        nx.Rotations(2).invariant_features(points=1), **sizes
    ),
    "pairs": lambda **sizes: nx.PairwiseLagrangian(nx.Euclidean(2), **sizes),
    "friction": lambda **sizes: nx.Friction(
        nx.Rotations(2).configuration_features(points=1), "convex", **sizes
    ),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_of_numpy_are_those_of_python(name):
    """With no warning, and the same structure, so that files are the same."""
    key = jax.random.key(0)
    of_numpy = SIZED[name](width=np.int64(4), depth=np.int32(2), key=key)
    assert jax.tree.structure(of_numpy) == jax.tree.structure(
        SIZED[name](width=4, depth=2, key=key)
    )
