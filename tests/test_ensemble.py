import functools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import compiled, member, stacked

import noetherax as nx

MEMBERS, STEPS = 3, 60
KEYS = jax.random.split(jax.random.key(5), MEMBERS)
FEATURES = nx.Rotations(3).invariant_features(1)
ADAM = optax.adam(1e-2)  # compiles in a third of the time that the default takes
OPTIONS = dict(steps=STEPS, batch_size=16, optimizer=ADAM, progress=False)
ROUNDING = 1e-7
"""Products of stacked matrices are summed in another order, 1e-16 each; 60 steps made that 1e-12."""


def build(key):
    return nx.NeuralLagrangian(FEATURES, width=8, key=key)


def ensemble():
    return compiled(eqx.filter_vmap(build), KEYS)


@functools.cache
def prepared():
    """An ensemble that no fit has to prepare again."""
    return stacked([nx.prepare(build(key), arrays(50))[0] for key in KEYS])


def sampler(noise=1e-3):
    return nx.systems.Kepler().sampler(batch_size=16, noise=noise)


def arrays(samples):
    data = nx.systems.Kepler().sampler(batch_size=samples)
    return tuple(np.asarray(x) for x in compiled(data, jax.random.key(samples)))


def apart(one, other):
    """Largest difference of two models, relative to the size of each array."""
    pairs = zip(
        *(jax.tree.leaves(eqx.filter(x, eqx.is_inexact_array)) for x in (one, other)), strict=True
    )
    pairs = ((np.asarray(a), np.asarray(b)) for a, b in pairs)
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b) + 1e-12)) for a, b in pairs)


def test_an_ensemble_in_the_place_of_a_model_is_named():
    q, v = (jnp.asarray(x[0]) for x in arrays(2)[:2])
    advice = r"ensemble of models, .* leading axes \(3,\)\. Take one model"
    with pytest.raises(ValueError, match=advice):
        nx.acceleration(ensemble(), q, v)
    with pytest.raises(ValueError, match=advice):
        nx.rollout(ensemble(), q, v, ts=jnp.linspace(0.0, 1.0, 3), solver=nx.RK4())
    with pytest.raises(ValueError, match=advice):
        nx.evaluate(ensemble(), nx.systems.Kepler(), ts=np.linspace(0.0, 1.0, 3))


@pytest.mark.parametrize(
    "observations",
    [
        sampler(),
        arrays(50),
        [sampler(noise) for noise in (1e-4, 1e-3, 1e-2)],
        [arrays(20), arrays(50), sampler()],
    ],
    ids=["one sampler", "the same arrays", "noises", "sizes"],
)
def test_each_member_learns_what_it_would_alone(observations):
    # The default optimiser once; the others compile faster.
    options = OPTIONS | {"optimizer": None if isinstance(observations, tuple) else ADAM}
    models, history = nx.fit_ensemble(ensemble(), observations, keys=KEYS, **options)
    assert history.loss.shape == (MEMBERS, STEPS)
    assert history.skipped.shape == (MEMBERS,)
    # Every noise compiles a program of its own: one of them tells.
    noises = isinstance(observations, list) and all(map(callable, observations))
    for index, key in list(enumerate(KEYS))[2 * noises :]:
        own = observations[index] if isinstance(observations, list) else observations
        alone, record = nx.fit(build(key), own, key=key, **options)
        assert apart(member(models, index), alone) < ROUNDING
        assert np.allclose(history.loss[index], record.loss, rtol=ROUNDING)
        other = member(models, (index + 1) % MEMBERS)
        assert apart(other, alone) > 1e-3  # members do differ


def test_a_member_that_fails_leaves_the_others_alone():
    models = prepared()
    broken = models.network.layers[0].weight.at[1].set(jnp.nan)
    broken = eqx.tree_at(lambda m: m.network.layers[0].weight, models, broken)
    with pytest.warns(UserWarning, match=r"members \[1\], so that they learned nothing"):
        learned, history = nx.fit_ensemble(broken, sampler(), keys=KEYS, **OPTIONS)
    assert history.skipped.tolist() == [0, STEPS, 0]
    whole, _ = nx.fit_ensemble(models, sampler(), keys=KEYS, **OPTIONS)
    assert apart(member(learned, 0), member(whole, 0)) == 0
    assert apart(member(learned, 2), member(whole, 2)) == 0
    network = models.network
    network = jax.tree.map(lambda x: x * jnp.nan if eqx.is_inexact_array(x) else x, network)
    nothing = eqx.tree_at(lambda m: m.network, models, network)
    with pytest.raises(RuntimeError, match=r"members \[0, 1, 2\]"):
        nx.fit_ensemble(nothing, sampler(), keys=KEYS, **OPTIONS)


def test_an_ensemble_goes_on_from_its_checkpoint(tmp_path):
    data = sampler()
    whole, record = nx.fit_ensemble(prepared(), data, keys=KEYS, **OPTIONS)
    checkpoints = nx.Checkpoints(tmp_path, every=20)
    nx.fit_ensemble(prepared(), data, keys=KEYS, checkpoints=checkpoints, **OPTIONS)
    (tmp_path / f"step_{STEPS:012d}.nx").unlink()  # as if the process had been killed before
    again, history = nx.fit_ensemble(
        prepared(), data, keys=KEYS, checkpoints=checkpoints, **OPTIONS
    )
    assert apart(again, whole) == 0
    assert np.array_equal(history.loss, record.loss)
    with pytest.raises(ValueError, match="belongs to another run: key was"):
        nx.fit_ensemble(prepared(), data, keys=KEYS[::-1], checkpoints=checkpoints, **OPTIONS)


def test_what_does_not_fit_is_named():
    def fit(models, observations=None, keys=KEYS):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nx.fit_ensemble(models, observations or sampler(), keys=keys, **OPTIONS)

    with pytest.raises(ValueError, match="There are 2 keys.*leading axis of 2 members.*has shape"):
        fit(ensemble(), keys=KEYS[:2])
    with pytest.raises(ValueError, match="keys must have shape"):
        fit(ensemble(), keys=KEYS[0])
    with pytest.raises(ValueError, match="3 keys, but 2 sets of observations"):
        fit(ensemble(), [sampler(), sampler()])
    q, v, a = arrays(20)
    lost = np.where(np.arange(20)[:, None, None] == 3, np.nan, a)
    with pytest.raises(ValueError, match="Member 1: a is not finite in 1 of 20 samples"):
        fit(ensemble(), [arrays(20), (q, v, lost), arrays(20)])
    other = nx.systems.Kepler().sampler(batch_size=8)
    with pytest.raises(ValueError, match="batch of member 0 has .*one of member 2 has"):
        fit(ensemble(), [sampler(), sampler(), other])
    with pytest.raises(TypeError, match="Member 0: observations are float32 but the weights"):
        fit(ensemble(), tuple(x.astype(np.float32) for x in (q, v, a)))
