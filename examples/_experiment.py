"""What the experiments on known systems share: training, rollouts, and figures to judge a model by.

A model is a neural Lagrangian on the features that some group leaves invariant, or an
`AccelerationNetwork`. It is judged by its trajectory from a start of the true system, beside that of
a twin which starts a little way off, and by its law along the true trajectory.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import print_table

import noetherax as nx

DT = 0.01  # the paper's step
TWIN = 1e-3  # how far away a perturbed twin starts, in every component (standard deviation)
HORIZON = 0.01  # a prediction holds until it is wrong by this part of the orbit's size
NEURAL_ODE, TRUE_LAW = "neural ODE", "true law"
STATES = 64  # states of the true trajectory where the derivative of the law is compared


class AccelerationNetwork(eqx.Module):
    """A second-order neural ODE, a = network(features of q, v): no Lagrangian, no charge.

    The type of its standardisation tells `nx.fit` not to train that.
    """

    features: nx.InvariantFeatures
    standardisation: nx.Standardisation
    network: eqx.nn.MLP

    def __init__(self, features, q, v, *, width: int = 128, depth: int = 2, key):
        self.features = features
        self.standardisation = nx.Standardisation.fit(features, q, v)
        size, inputs = q[0].size, features.num_features
        self.network = eqx.nn.MLP(inputs, size, width, depth, jax.nn.softplus, key=key)

    def __call__(self, q, v):
        return self.network(self.standardisation(self.features(q, v))).reshape(q.shape)


@nx.euler_lagrange_terms.register
def _(model: AccelerationNetwork, q, v):
    # The equation of motion 1 · a = network(q, v). With this rule nx.fit, nx.rollout and
    # nx.acceleration take the network as they take a Lagrangian.
    a = jnp.vectorize(model, signature="(n,d),(n,d)->(n,d)")(q, v)
    force = a.reshape(*a.shape[:-2], -1)
    size = force.shape[-1]
    mass_matrix = jnp.broadcast_to(jnp.eye(size, dtype=a.dtype), (*force.shape, size))
    return nx.EulerLagrangeTerms(mass_matrix, force)


class Times(eqx.Module):
    """Times as static data: they set the number of steps, which must be known to the compiler."""

    last: float = eqx.field(static=True)
    every: float = eqx.field(static=True)

    @property
    def value(self) -> np.ndarray:
        return np.linspace(0.0, self.last, round(self.last / self.every) + 1)


class Charge(NamedTuple):
    """A symmetry whose charge is watched. If the true charge is zero, `scale` gives what to divide
    by, a function of `(lagrangian, q0, v0)`."""

    group: nx.SymmetryGroup
    scale: Callable | None = None


class Problem(NamedTuple):
    """A known system, its orbit and twin, and what to watch along them."""

    system: Any
    charges: Mapping[str, Charge]
    ts: Times
    start: tuple[jax.Array, jax.Array]  # of the orbit and of its twin
    truth: tuple[np.ndarray, np.ndarray]  # their true paths (q, v), in float64
    samples: tuple[jax.Array, ...]  # noisy observations to measure the loss on


def pose(system, charges: Mapping[str, Charge], ts: Times, sampler, key) -> Problem:
    """The experiment's question, and the true system's own answer to it."""
    twin_key, sample_key = jax.random.split(key)
    q, v = system.initial_state()
    nudge = TWIN * jax.random.normal(twin_key, (2, *q.shape))
    start = jnp.stack([q, q + nudge[0]]), jnp.stack([v, v + nudge[1]])
    draws = jax.jit(jax.vmap(sampler))(jax.random.split(sample_key, 64))
    samples = tuple(x.reshape(-1, *x.shape[2:]) for x in draws)
    return Problem(system, charges, ts, start, exact(system.lagrangian, start, ts), samples)


def exact(lagrangian, start, ts: Times) -> tuple[np.ndarray, np.ndarray]:
    """The true motion from the same states, in float64 and to twelve digits."""
    with jax.enable_x64(True):
        controller = diffrax.PIDController(rtol=1e-12, atol=1e-12)
        options: Any = dict(solver=diffrax.Dopri8(), stepsize_controller=controller)
        times = jnp.asarray(ts.value)

        @jax.jit
        @jax.vmap
        def solve(q, v):
            trajectory = nx.rollout(lagrangian, q, v, ts=times, **options)
            return trajectory.q, trajectory.v

        q, v = solve(*(jnp.asarray(x, jnp.float64) for x in start))
        return np.asarray(q), np.asarray(v)


@eqx.filter_jit
def follow(law, q0, v0, ts: Times) -> nx.Trajectory:
    """Trajectories from a stack of initial states, by the paper's integrator in float32."""

    def one(q, v):
        return nx.rollout(law, q, v, ts=ts.value, dt=DT, solver=nx.RK4(), throw=False)

    return eqx.filter_vmap(one)(q0, v0)


def pick(trajectories: nx.Trajectory, index: int) -> nx.Trajectory:
    return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, trajectories)


def distance(a, b) -> np.ndarray:
    """‖q_a − q_b‖ at each time; infinite from where a path leaves the finite numbers."""
    with np.errstate(all="ignore"):
        apart = np.linalg.norm(np.asarray(a, float) - np.asarray(b, float), axis=(1, 2))
    return np.where(np.isfinite(apart), apart, np.inf)


def worst(series) -> float:
    """Largest value of a series, infinite if any is not a number."""
    return float(np.max(np.where(np.isfinite(series), series, np.inf)))


def horizon(ts, distances, size: float) -> float:
    """Time until the distance passes 1 % of the orbit's size; the last time if it never does."""
    passed = distances > HORIZON * size
    return float(ts[np.argmax(passed)] if passed.any() else ts[-1])


@eqx.filter_jit
def stiffness(law, q, v):
    """∂a/∂(q, v) at a stack of states: what the law says beside the orbit, where twins go."""

    def acceleration(state):
        mass_matrix, force = nx.euler_lagrange_terms(law, *state)
        return jnp.linalg.solve(mass_matrix, force)

    def derivative(q, v):
        return jax.jacfwd(acceleration)((q, v))

    return jax.vmap(derivative)(q, v)


@eqx.filter_jit
def measure(law, charges, q0, v0, orbit, samples):
    """Drift of the law's own charges along a trajectory, and its loss on noisy observations."""
    drifts = {}
    for name, (group, scale) in charges.items():
        size = None if scale is None else scale(law, q0, v0)
        drifts[name] = nx.drift(group.noether_charge(law), orbit, scale=size)
    return drifts, nx.acceleration_loss(law, samples)


class Record(NamedTuple):
    """What a model did: series over time, numbers without time, its orbit and twin, its training."""

    series: dict[str, np.ndarray]
    numbers: dict[str, float]
    orbit: nx.Trajectory
    twin: nx.Trajectory
    history: nx.History | None


def judge(law, problem: Problem, history: nx.History | None = None) -> Record:
    """A model, or the true law itself, which shows what integrator and precision do."""
    (q0, v0), true_law = problem.start, problem.system.lagrangian
    paths = follow(law, q0, v0, problem.ts)
    orbit, twin = pick(paths, 0), pick(paths, 1)
    charges = {} if isinstance(law, AccelerationNetwork) else dict(problem.charges)
    common = q0[0], v0[0], orbit, problem.samples
    drifts, loss = measure(law, charges, *common)
    true_drifts, true_loss = measure(true_law, dict(problem.charges), *common)
    series = {f"model drift {name}": np.asarray(x) for name, x in drifts.items()}
    series |= {f"true drift {name}": np.asarray(x) for name, x in true_drifts.items()}
    series["distance"] = distance(orbit.q, problem.truth[0][0])
    series["twin"] = distance(orbit.q, twin.q)
    index = np.linspace(0, len(problem.ts.value) - 1, STATES).astype(int)
    states = [jnp.asarray(x[0][index], q0.dtype) for x in problem.truth]
    ours, theirs = (np.asarray(stiffness(x, *states)) for x in (law, true_law))
    numbers = {
        "jacobian_error": float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)),
        "loss": float(loss),
        "true_loss": float(true_loss),
    }
    if history is not None:
        numbers |= {"seconds": history.seconds, "skipped": history.skipped}
    return Record(series, numbers, orbit, twin, history)


def tabulate(record: Record, problem: Problem, last: float) -> dict[str, float]:
    """The numbers of a record up to the time `last`: maxima over time, ratios, horizon."""
    ts, (path, true_twin) = problem.ts.value, problem.truth[0]
    until = ts <= last + 1e-9
    size = float(np.max(np.linalg.norm(path - np.mean(path, axis=0), axis=(1, 2))))
    numbers = {name.replace(" ", "_"): worst(x[until]) for name, x in record.series.items()}
    numbers["true_twin"] = worst(distance(path, true_twin)[until])
    numbers["twin_ratio"] = numbers["twin"] / numbers["true_twin"]
    numbers["horizon"] = horizon(ts[until], record.series["distance"][until], size)
    return numbers | record.numbers


def train(
    arm: str,
    arms: Mapping[str, nx.SymmetryGroup],
    problem: Problem,
    sampler,
    steps: int,
    key,
    optimizer: Callable[[int], optax.GradientTransformation] = nx.default_optimizer,
):
    """A model of one arm: the same data, number of steps, optimiser and size of network for all."""
    weights_key, batch_key = jax.random.split(key)
    q, v, a = problem.samples
    if arm == NEURAL_ODE:
        # It sees what the unconstrained Lagrangian sees.
        features = arms["none"].invariant_features(points=q.shape[1])
        model = AccelerationNetwork(features, q, v, key=weights_key)
    else:
        features = arms[arm].invariant_features(points=q.shape[1])
        model = nx.standardise(nx.NeuralLagrangian(features, key=weights_key), q, v)
    # Where accelerations are small, so are gradients: a norm of one would clip nothing.
    max_norm = min(1.0, float(jnp.mean(jnp.square(a))))
    options: Any = dict(steps=steps, optimizer=optimizer(steps), max_norm=max_norm)
    return nx.fit(model, sampler, key=batch_key, **options)


def compare(
    names: Sequence[str], tables: Mapping[str, Mapping], paper: Mapping[str, Mapping]
) -> None:
    """A table of every arm's numbers, with the paper's above ours where it has that arm."""
    rows = []
    for arm, numbers in tables.items():
        if arm in paper:
            rows.append([f"{arm}, paper", *(paper[arm].get(name) for name in names)])
        rows.append([f"{arm}, ours", *(numbers.get(name) for name in names)])
    print_table(["symmetry", *(name.replace("_", " ") for name in names)], rows)


def losses(records: Mapping[str, Record], arms: Sequence[str], ax) -> None:
    """Training losses, with the true law's own on the same kind of observations."""
    histories = {name: records[name].history for name in arms}
    curves = {name: history.loss for name, history in histories.items() if history is not None}
    bound = {"true law's own": records[TRUE_LAW].numbers["loss"]}
    nx.plot.plot_loss(curves, bounds=bound, ax=ax)


def save_figure(figure, folder: Path, name: str) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(folder / f"{name}.png", dpi=150)
    plt.close(figure)


def adam(steps: int) -> optax.GradientTransformation:
    """Adam with a cosine decay, which on Kepler's problem differed least from seed to seed. Its usual
    `eps` is the size of the gradients themselves where accelerations are about 0.01."""
    return optax.adam(optax.cosine_decay_schedule(3e-3, steps, alpha=1e-2), b2=0.99, eps=1e-12)
