"""The laws of losses: ours hold them, and broken ones do not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing


class Bead(nx.Lagrangian):
    """A bead in the plane on a spring that stiffens, whose mass depends on where it is."""

    mass: jax.Array
    stiffness: jax.Array

    def __init__(self, mass=1.0, stiffness=(1.0, 0.5)):
        self.mass, self.stiffness = jnp.array(mass), jnp.array(stiffness)

    def __call__(self, q, v):
        kinetic = self.mass * jnp.sum(v**2) * (1 + 0.1 * jnp.sum(q**2)) / 2
        return kinetic - jnp.sum(self.stiffness[0] * q**2 / 2 + self.stiffness[1] * q**4 / 4)


TRUTH, MODEL = Bead(), Bead(1.5, (0.7, 0.9))
Q, V = np.random.default_rng(0).normal(size=(2, 6, 1, 2))
INTERVAL = 0.05


@pytest.fixture(scope="module")
def batches():
    a = np.asarray(nx.acceleration(TRUTH, Q, V))
    tau = np.asarray(nx.generalised_force(TRUTH, Q, V, a + 0.3))
    times = INTERVAL * np.arange(5)
    motion = jax.vmap(lambda q, v: nx.rollout(TRUTH, q, v, ts=times, solver=nx.RK4(), dt=0.0125))(
        Q, V
    )
    return {
        "accelerations": nx.Observations(Q, V, a),
        "forces": nx.ForceObservations(Q, V, a + 0.3, tau),
        "windows": nx.Windows(np.asarray(motion.q), np.asarray(motion.v), None),
    }


LOSSES = {
    "acceleration": (nx.AccelerationLoss(), "accelerations"),
    "relative": (nx.RelativeAccelerationLoss(0.1), "accelerations"),
    "force": (nx.ForceLoss(), "forces"),
    "discrete": (nx.DiscreteLoss(INTERVAL), "windows"),
    "trajectory": (nx.TrajectoryLoss(INTERVAL, noise=1e-3), "windows"),
}


def subject_of(name, batches):
    loss, batch = LOSSES[name]
    return testing.Loss(loss, MODEL, batches[batch], TRUTH)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_hold_all_laws(name, batches):
    subject = subject_of(name, batches)
    laws = {law.__name__: law for law in testing.laws(subject)}
    names = "samples", "loss_derivatives", "loss_precision", "states", "gauge", "truth"
    assert list(laws) == [f"{name}_law" for name in names]
    if (
        name == "trajectory"
    ):  # exact where the search for the trajectory converges, in the next test
        laws.pop("loss_derivatives_law")
    assert all(seen.cases and not seen.skipped for seen in (law(subject) for law in laws.values()))


@pytest.mark.slow
def test_the_gradient_of_the_trajectory_loss_is_exact_where_the_search_converges(batches):
    for iterations, converged in ((1, False), (4, True)):
        loss = nx.TrajectoryLoss(INTERVAL, noise=1e-3, iterations=iterations)
        subject = testing.Loss(loss, MODEL, batches["windows"])
        laws = {law.__name__: law for law in testing.laws(subject)}
        if converged:
            laws["loss_derivatives_law"](subject)
        else:
            with pytest.raises(AssertionError, match="by the weights is that of its values"):
                laws["loss_derivatives_law"](subject)


class Faulty(nx.Loss):
    """The acceleration loss, unless it has a fault."""

    fault: str = eqx.field(default="", static=True)

    def residuals(self, model, batch):
        q, v, a = batch
        if self.fault == "no mixed term":
            force, _ = jax.vmap(lambda q, v: nx.dynamics.lagrangian_gradient(model, q, v))(q, v)
            return (force - a).reshape(len(q), -1)
        error = (nx.acceleration(model, q, v) - a).reshape(len(q), -1)
        if self.fault == "a sum over samples":
            return jnp.sum(error, axis=0, keepdims=True)
        if self.fault == "the mean of the batch":
            return error - jnp.mean(error, axis=0)
        if self.fault == "the size of the batch":
            return error / len(q)
        if self.fault == "another model":
            return 0 * error + (nx.acceleration(TRUTH, q, v) - 0.9 * a).reshape(len(q), -1)
        if self.fault == "no derivative":
            return jax.lax.stop_gradient(error) * 2 - error
        if self.fault == "double precision":
            return error.astype(jnp.float64)
        if self.fault == "another sign":
            return (nx.acceleration(model, q, v) + a).reshape(len(q), -1)
        return error

    def states(self, batch):
        q, v, a = batch
        return (q[0], v[0], a[0]) if self.fault == "one state" else (q, v, a)


FAULTS = {
    "a sum over samples": ("samples_law", "one row for each of 6 samples: violated"),
    "the mean of the batch": ("samples_law", "the same beside others: violated"),
    "the size of the batch": ("samples_law", "the same in a smaller batch: violated"),
    "another model": ("loss_derivatives_law", "the loss changes with the weights: violated"),
    "no derivative": ("loss_derivatives_law", "by the weights is that of its values: violated"),
    "double precision": ("loss_precision_law", "stay in it: violated, they are float64"),
    "one state": ("states_law", "samples first: violated, their shapes are"),
    "no mixed term": ("gauge_law", "a total derivative changes no residual: violated"),
    "another sign": ("truth_law", "has a smaller loss: violated, that of the true one is"),
}


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_broken_losses_are_caught(fault, batches):
    subject = testing.Loss(Faulty(fault), MODEL, batches["accelerations"], TRUTH)
    laws = {law.__name__: law for law in testing.laws(subject)}
    if not fault:
        assert len([law(subject) for law in laws.values()]) == len(laws)
        return
    name, message = FAULTS[fault]
    with pytest.raises(AssertionError, match=message):
        laws[name](subject)


def test_a_loss_that_leaves_the_model_aside_has_no_true_law(batches):
    subject = testing.Loss(Faulty("another model"), MODEL, batches["accelerations"], TRUTH)
    laws = {law.__name__: law for law in testing.laws(subject)}
    with pytest.raises(AssertionError, match="added to the true law changes the loss: violated"):
        laws["truth_law"](subject)


def test_weights_in_single_precision_and_arrays_of_a_loss_are_no_false_alarms(batches):
    class Weighed(nx.Loss):
        weight: jax.Array

        def residuals(self, model, batch):
            return self.weight * nx.AccelerationLoss().residuals(model, batch)

        def states(self, batch):
            return batch

    single = jax.tree.map(lambda x: x.astype(jnp.float32), MODEL)
    loss, batch = Weighed(jnp.array(2.0)), batches["accelerations"]
    assert len(testing.check_loss(loss, single, batch, max_examples=1)) == 5


def test_a_batch_of_unlike_arrays_is_refused():
    batch = {"q": Q, "v": V[1:]}
    with pytest.raises(ValueError, match="samples along their first axis"):
        testing.check_loss(Faulty(), MODEL, batch)


def test_mistakes_are_named(batches):
    q, v, a = batches["accelerations"]
    hole = np.where(np.arange(6)[:, None, None] == 2, np.nan, a)
    for loss, batch, error, message in (
        (nx.AccelerationLoss, (q, v, a), TypeError, "takes a noetherax.Loss, such as"),
        (
            Faulty(),
            (q[:0], v[:0], a[:0]),
            ValueError,
            "samples along their first axis, at least one",
        ),
        (nx.AccelerationLoss(), (q, v[..., :1], a), ValueError, "shape"),
        (Faulty(), (q, v, hole), AssertionError, r"residuals of samples \[2\] are not"),
    ):
        subject = testing.Loss(loss, MODEL, batch)
        with pytest.raises(error, match=message):
            {law.__name__: law for law in testing.laws(subject)}["loss_derivatives_law"](subject)


def test_what_cannot_be_judged_is_said(batches):
    spring = testing.Loss(Faulty(), lambda q, v: jnp.sum(v**2 - q**2), batches["accelerations"])
    seen = {law.__name__: law(spring) for law in testing.laws(spring)}
    assert seen["loss_derivatives_law"].reason == "the model has no weights"
    pair = nx.Forced(MODEL, lambda q, v: -v)
    forced = testing.Loss(Faulty(), pair, batches["accelerations"])
    laws = {law.__name__: law for law in testing.laws(forced)}
    assert laws["gauge_law"](forced).reason == "the model has forces"
    with pytest.raises(ValueError, match="without forces"):
        testing.laws(forced._replace(truth=pair))
