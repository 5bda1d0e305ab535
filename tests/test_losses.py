"""A loss is an object with two members; whoever writes one gets all that the library's own get."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import noetherax as nx
from noetherax.losses import check_finite
from noetherax.training._checks import check_loss
from noetherax.training._observed import first_look
from noetherax.training._plan import Member
from noetherax.training._preparation import prepared
from noetherax.training._scale import FreeParticle, scale_of
from noetherax.training._verdict import verdicts

KEY = jax.random.key(0)
QUIET = dict(key=KEY, progress=False)
FEATURES = nx.Rotations(3).invariant_features(1)
H = 0.05


def observations(samples=64):
    """An anharmonic oscillator in R³."""
    q, v = np.random.default_rng(0).normal(size=(2, samples, 1, 3))
    return q, v, -q * (1 + 0.3 * np.sum(q**2, axis=(1, 2), keepdims=True))


class Own(nx.Loss):
    """The acceleration loss, from a table with names of its own, and with weights of components."""

    weights: jax.Array

    def residuals(self, model, batch):
        return self.weights * nx.AccelerationLoss().residuals(model, self.states(batch))

    def states(self, batch):
        return batch["x"], batch["dx"], batch["ddx"]


def table(samples=64):
    return dict(zip(("x", "dx", "ddx"), observations(samples), strict=True))


OWN = Own(jnp.ones(3))


def new_model():
    return nx.NeuralLagrangian(FEATURES, width=8, key=KEY, dtype=jnp.float64)


def test_a_loss_of_the_users_own_gets_what_ours_have():
    ours = nx.AccelerationLoss()
    theirs, reference = (
        prepared(new_model(), first_look(data, loss, KEY)[1], loss, None, first_layer=False)
        for data, loss in ((table(), OWN), (observations(), ours))
    )
    assert eqx.tree_equal(theirs.model, reference.model)
    assert theirs.description.endswith("last layer by least squares")
    model, words = nx.prepare(new_model(), table(), loss=OWN, first_layer=False)
    assert eqx.tree_equal(model, theirs.model)
    assert words == theirs.description
    assert nx.prepare(model, table(), loss=OWN) == (model, "")  # once
    options = dict(steps=3, optimizer=optax.sgd(1e-3), averaging=0.0, loss=OWN, **QUIET)
    trained, history = nx.fit(new_model(), table(), **options)
    assert history.preparation == theirs.description
    polished, history = nx.polish(trained, table(), loss=OWN, iterations=2, **QUIET)
    np.testing.assert_allclose(history.loss[0], ours(trained, observations()), rtol=1e-10)
    np.testing.assert_allclose(history.loss[-1], OWN(polished, table()), rtol=1e-10)
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_scale_and_verdict_of_a_loss_of_the_users_own():
    _, drawn = first_look(table(), OWN, KEY)
    scale = scale_of(OWN, new_model(), drawn)
    square = np.mean(np.square(observations()[2]))
    np.testing.assert_allclose(scale.without_force, square, rtol=1e-12)
    assert scale.unit == 2 ** np.round(np.log2(square))
    member = Member(None, "", None, drawn, None, scale)
    found = verdicts(np.full(200, square), np.zeros(0), 0, FreeParticle(), member, OWN)
    assert [x.finding.split(" in")[0] for x in found] == ["Next to nothing was learned"]
    assert "Trivial" in found[0].advice
    small = table() | {"ddx": 1e-200 * table()["ddx"]}
    with pytest.raises(ValueError, match="squares leave the range of float64"):
        scale_of(OWN, new_model(), jax.tree.map(lambda x: x[None], small))


class InNoise(nx.Loss):
    noise: float | None

    def residuals(self, model, batch):
        return 3.0 * (batch[0] / (self.noise or 1.0)).reshape(len(batch[0]), -1)

    def states(self, batch):
        return None


def test_a_loss_says_whether_it_has_a_unit():
    drawn = (jnp.ones((1, 4, 1, 3)),)
    assert scale_of(InNoise(0.1), None, drawn).unit == 1.0
    assert scale_of(InNoise(None), None, drawn).unit == 32.0  # 27, to a power of two
    assert nx.TrajectoryLoss(H, noise=1e-3).has_unit
    assert not any(x.has_unit for x in (nx.TrajectoryLoss(H), nx.DiscreteLoss(H), OWN))


def windows(*observed):
    """A circle of frequency 2, seen at seven times from 32 starts."""
    angle = np.random.default_rng(1).uniform(0, 6, (32, 1)) + 2 * H * np.arange(7)
    radius = np.random.default_rng(2).uniform(1, 2, (32, 1, 1))
    circle = radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    turned = radius * np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=-1)
    q, v, a = (x[:, :, None] for x in (circle, 2 * turned, -4 * circle))
    return nx.Windows(q, v if "v" in observed else None, a if "a" in observed else None), (q, v, a)


def test_windows_prepare_a_model_too():
    for loss in (nx.TrajectoryLoss(H), nx.DiscreteLoss(H)):
        batch, (q, v, a) = windows()
        # One in the middle of each, by a polynomial of degree four.
        for state, x in zip(loss.states(batch), (q, v, a), strict=True):
            np.testing.assert_allclose(state, x[:, x.shape[1] // 2], rtol=2e-3, atol=1e-12)
        batch, _ = windows("v", "a")
        for state, x in zip(loss.states(batch), (q, v, a), strict=True):
            np.testing.assert_array_equal(state, x[:, 1:-1].reshape(-1, 1, 3))
    for observed in ("", "va"):
        data, drawn = first_look(windows(*observed)[0], nx.TrajectoryLoss(H), KEY)
        assert isinstance(data, nx.Windows)
        start = prepared(new_model(), drawn, nx.TrajectoryLoss(H), None)
        assert start.description.startswith("none of 3 features bent")
        assert start.description.endswith("last layer by least squares")
        assert bool(start.model.standardisation.fitted)


class Spring(nx.Lagrangian):
    stiffness: jax.Array

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


def test_polish_takes_any_loss():
    """The frequency of a circle, from positions alone."""
    data, _ = windows()
    midpoint = (2 / H * np.tan(H)) ** 2  # what the midpoint rule takes the frequency for
    for loss, stiffness in ((nx.TrajectoryLoss(H), 4.0), (nx.DiscreteLoss(H), midpoint)):
        spring, history = nx.polish(Spring(jnp.array(3.0)), data, loss=loss, **QUIET)
        np.testing.assert_allclose(spring.stiffness, stiffness, rtol=1e-5)  # RK4: (2h)⁴/120
        assert history.loss[-1] < 1e-8 * history.loss[0]


def test_what_is_no_loss_and_no_data_is_named():
    with pytest.raises(TypeError, match="loss must be a noetherax.Loss, such as"):
        check_loss("acceleration")
    rows = dict(table(), mass=np.ones(5))
    with pytest.raises(ValueError, match="same samples along their first axis"):
        first_look(rows, OWN, KEY)
    with pytest.raises(ValueError, match="same samples along their first axis"):
        first_look((), OfNothing(), KEY)
    with pytest.raises(TypeError, match=r"sampler key -> \(q, v, a\)"):
        first_look(observations()[:2], nx.AccelerationLoss(), KEY)
    with pytest.raises(TypeError, match=r"sampler key -> \(q, v, a\)"):
        first_look(observations()[:2], lambda model, batch: 0.0, KEY)
    with pytest.raises(TypeError, match="needs a random key"):
        nx.prepare(new_model(), lambda key: observations())
    with pytest.raises(TypeError, match="Pass preparation=False"):
        nx.prepare(new_model(), (jnp.ones((4, 1)),), loss=OfNothing())
    nested = [x.tolist() for x in observations(4)]
    assert eqx.tree_equal(first_look(nested, nx.AccelerationLoss(), KEY)[0], tuple(
        jnp.asarray(x) for x in observations(4)
    ))  # fmt: skip


def test_a_batch_of_the_users_own_may_hold_integers():
    class Pairs(NamedTuple):
        q: jax.Array
        species: jax.Array

    q = jnp.ones((4, 1, 3))
    check_finite(Pairs(q, jnp.arange(4)))
    with pytest.raises(ValueError, match="q is not finite in 4 of 4"):
        check_finite(Pairs(jnp.nan * q, jnp.arange(4)))
    with pytest.raises(TypeError, match="v must hold floating-point numbers"):
        check_finite((q, jnp.ones((4, 1, 3), int), q))


class OfNothing(nx.Loss):
    def residuals(self, model, batch):
        return jnp.zeros((1, 1))

    def states(self, batch):
        return None


def test_residuals_that_have_a_derivative_in_one_direction_only_are_refused():
    class Ends(nx.Loss):
        def residuals(self, model, batch):
            def end(q, v):
                path = nx.rollout(model, q, v, ts=np.array([0.0, 0.2]), dt=0.1, solver=nx.RK4())
                return path.q[-1]

            return jax.vmap(end)(*batch)

        def states(self, batch):
            return *batch, None

    batch = tuple(np.random.default_rng(0).normal(size=(2, 8, 1, 1)))
    with pytest.raises(TypeError, match="one direction only. Give a rollout inside them"):
        nx.polish(Spring(jnp.array(2.0)), batch, loss=Ends(), **QUIET)
