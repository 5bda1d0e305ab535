import jax
import numpy as np
import pytest

import noetherax as nx


@pytest.mark.parametrize("eccentricity", [0.0, 0.3, 0.8, 0.99])
@pytest.mark.parametrize("angular_momentum", [1.0, -0.7])
def test_the_reference_solves_keplers_problem(eccentricity, angular_momentum):
    """Against laws it was not computed from: the equation of motion, by finite differences."""
    kepler = nx.systems.Kepler(2.0, 3.0, eccentricity, angular_momentum)
    ts = np.linspace(0.1, 3 * kepler.period, 40)
    q, v = kepler.reference(ts)
    step = 1e-6 * kepler.period
    later, earlier = kepler.reference(ts + step), kepler.reference(ts - step)
    acceleration = -1.5 * q / np.linalg.norm(q, axis=-1, keepdims=True) ** 3
    size = np.abs(v).max(), np.abs(acceleration).max()
    assert np.allclose((later[0] - earlier[0]) / (2 * step), v, atol=1e-5 * size[0])
    assert np.allclose((later[1] - earlier[1]) / (2 * step), acceleration, atol=1e-4 * size[1])


def test_the_reference_starts_at_perihelion_and_returns():
    kepler = nx.systems.Kepler()
    q0, v0 = kepler.initial_state()
    assert np.allclose(q0, [[1 / 1.8, 0, 0]])
    assert np.allclose(v0, [[0, 1.8, 0]])
    q, v = kepler.reference(np.array([0.0, kepler.period]))
    assert np.allclose(q, q0, atol=1e-13)
    assert np.allclose(v, v0, atol=1e-12)


def test_true_charges_are_constant_along_the_reference():
    kepler = nx.systems.Kepler()
    q, v = kepler.reference(np.linspace(0, 128, 50))
    for charge in (kepler.group.noether_charge(kepler.lagrangian), nx.Energy(kepler.lagrangian)):
        values = jax.vmap(charge)(q, v)
        assert np.allclose(values, values[0], atol=1e-12)


@pytest.mark.parametrize(
    "system", [nx.systems.Kepler(), nx.systems.KeplerFamily()], ids=["orbit", "family"]
)
def test_samplers_observe_the_law_with_the_noise_asked_for(system):
    exact = system.sampler(4096, noise=0.0)(jax.random.key(0))
    noisy = system.sampler(4096, noise=1e-3)(jax.random.key(0))
    q, _, a = exact
    assert np.allclose(a, -q / np.linalg.norm(q, axis=-1, keepdims=True) ** 3, rtol=1e-12)
    for clean, dirty in zip(exact, noisy, strict=True):
        assert np.isclose(np.std(np.asarray(dirty - clean)), 1e-3, rtol=0.05)
    assert not np.any(q[..., 2])


def test_the_family_has_the_orbits_it_names():
    q, v, _ = nx.systems.KeplerFamily().sampler(4096, noise=0.0)(jax.random.key(0))
    momentum = np.cross(q, v)[:, 0, 2]
    energy = 0.5 * np.sum(v**2, axis=(1, 2)) - 1 / np.linalg.norm(q, axis=(1, 2))
    eccentricity = np.sqrt(1 + 2 * energy * momentum**2)
    assert momentum.min() > 0.8 - 1e-9
    assert momentum.max() < 1.2 + 1e-9
    assert eccentricity.min() > 0.5 - 1e-9
    assert eccentricity.max() < 0.9 + 1e-9


def test_parameters_are_validated():
    with pytest.raises(ValueError, match="eccentricity"):
        nx.systems.Kepler(eccentricity=1.2)
    with pytest.raises(ValueError, match="angular_momentum"):
        nx.systems.Kepler(angular_momentum=0.0)
    with pytest.raises(ValueError, match="positive"):
        nx.systems.Kepler(mass=-1.0)
