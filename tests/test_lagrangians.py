import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing


@pytest.mark.parametrize("name", helpers.LAGRANGIANS)
def test_lagrangian_laws(name):
    lagrangian, group, points, strategy = helpers.LAGRANGIANS[name]()
    testing.check_lagrangian(lagrangian, group, points=points, state_strategy=strategy)


@pytest.mark.parametrize("name", helpers.GROUPS)
def test_random_weights_have_the_symmetry_of_their_group(name):
    group = helpers.GROUPS[name]()
    lagrangian = helpers.neural(group, points=2)
    testing.check_lagrangian(lagrangian, group, points=2, max_examples=8)


@pytest.mark.parametrize("name", [n for n in helpers.GROUPS if n != "Trivial(2)"])
def test_a_plain_network_has_no_symmetry(name):
    group = helpers.GROUPS[name]()
    plain = testing.Lagrangian(helpers.neural(nx.Trivial(group.space), 1), group, points=1)
    (invariance,) = (law for law in testing.laws(plain) if law.__name__ == "invariance_law")
    with pytest.raises(AssertionError, match="leaves the value unchanged"):
        invariance(plain)


def test_initial_weights_are_the_papers():
    features = nx.Rotations(4).invariant_features(2)
    network = nx.NeuralLagrangian(features, width=128, key=jax.random.key(0)).network
    deviations = [float(jnp.std(layer.weight)) for layer in network.layers]
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
        x = np.logaddexp(0, layer.weight @ x + layer.bias)
    assert np.allclose(lagrangian(q, v), (last.weight @ x)[0], rtol=1e-13)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_is_kept(dtype):
    features = nx.Rotations(3).invariant_features(1)
    lagrangian = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0), dtype=dtype)
    q = v = jnp.ones((1, 3), dtype)
    assert lagrangian(q, v).dtype == dtype
    assert nx.acceleration(lagrangian, q, v + 0.1 * jnp.arange(3, dtype=dtype)).dtype == dtype
    charge = nx.Rotations(3).noether_charge(lagrangian)
    assert charge(q, v).dtype == dtype


def test_mistakes_are_named():
    features = nx.Rotations(3).invariant_features(1)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="width must be a positive integer"):
        nx.NeuralLagrangian(features, width=0, key=key)
    with pytest.raises(ValueError, match="at least one Lagrangian"):
        nx.LagrangianSum()
