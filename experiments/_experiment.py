"""What the experiments on known systems share: rollouts, and figures to judge a model by.

A model is judged by its trajectory from a start of the true system, beside that of a twin which
starts a little way off, and by its law along the true trajectory; and, in `_unseen`, by trajectories
that it was not trained on.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import print_table
from _models import TRUE_LAW

import noetherax as nx

DT = 0.01  # the paper's step
TWIN = 1e-3  # how far away a perturbed twin starts, in every component (standard deviation)
HORIZON = 0.01  # a prediction holds until it is wrong by this part of the orbit's size
STATES = 64  # states of the true trajectory where the derivative of the law is compared


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

    system: nx.systems.System
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
    truth = exact(system, start, ts)
    return Problem(system, charges, ts, start, truth, observe(sampler, sample_key))


def observe(sampler, key) -> tuple[jax.Array, ...]:
    """64 batches of noisy observations."""
    draws = jax.jit(jax.vmap(sampler))(jax.random.split(key, 64))
    return tuple(x.reshape(-1, *x.shape[2:]) for x in draws)


def exact(system, start, ts: Times) -> tuple[np.ndarray, np.ndarray]:
    """The true motions from the same states, in float64."""
    with jax.enable_x64(True):
        q0, v0 = (np.asarray(x, np.float64) for x in start)
        q, v = nx.systems.motion(system, q0, v0, ts.value)
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
        apart = np.linalg.norm(np.asarray(a, float) - np.asarray(b, float), axis=(-2, -1))
    return np.where(np.isfinite(apart), apart, np.inf)


def worst(series) -> float:
    """Largest value of a series, infinite if any is not a number."""
    return float(np.max(np.where(np.isfinite(series), series, np.inf)))


def size_of(path) -> float:
    """Largest distance of a path from its mean."""
    return float(np.max(np.linalg.norm(path - np.mean(path, axis=0), axis=(-2, -1))))


def horizon(ts, distances, size: float) -> float:
    """Time until the distance passes 1 % of the orbit's size; the last time if it never does."""
    passed = distances > HORIZON * size
    return float(ts[np.argmax(passed)] if passed.any() else ts[-1])


@eqx.filter_jit
def stiffness(law, q, v):
    """∂a/∂q and ∂a/∂v at a stack of states, `(states, 2, components, points, space)`: what the law says
    beside the orbit, where twins go."""

    def acceleration(state):
        mass_matrix, force = nx.euler_lagrange_terms(law, *state)
        return jnp.linalg.solve(mass_matrix, force)

    def derivative(q, v):
        return jnp.stack(jax.jacfwd(acceleration)((q, v)))

    return jax.vmap(derivative)(q, v)


@eqx.filter_jit
def measure(law, charges, q0, v0, orbit, samples):
    """Drift of the law's own charges along a trajectory, and its loss on noisy observations."""
    drifts = {}
    for name, (group, scale) in charges.items():
        size = None if scale is None else scale(law, q0, v0)
        drifts[name] = nx.drift(group.noether_charge(law), orbit, scale=size)
    return drifts, nx.AccelerationLoss()(law, samples)


class Record(NamedTuple):
    """What a model did: series over time, numbers without time, its orbit and twin, its training."""

    series: dict[str, np.ndarray]
    numbers: dict[str, Any]
    orbit: nx.Trajectory
    twin: nx.Trajectory
    history: nx.History | None


def judge(law, problem: Problem, history: nx.History | None = None) -> Record:
    """A model, or the true law itself, which shows what integrator and precision do."""
    (q0, v0), true_law = problem.start, problem.system.lagrangian
    paths = follow(law, q0, v0, problem.ts)
    orbit, twin = pick(paths, 0), pick(paths, 1)
    charges = {} if isinstance(law, nx.AccelerationLaw) else dict(problem.charges)
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
    size = q0[0].size
    numbers: dict[str, Any] = {
        "jacobian_error": float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)),
        "force_gradient": np.diag(ours[0, 0].reshape(size, size)).tolist(),
        "loss": float(loss),
        "true_loss": float(true_loss),
    }
    if history is not None:
        numbers |= {"seconds": history.seconds, "skipped": history.skipped}
    return Record(series, numbers, orbit, twin, history)


def tabulate(record: Record, problem: Problem, last: float) -> dict[str, Any]:
    """The numbers of a record up to the time `last`: maxima over time, ratios, horizon."""
    ts, (path, true_twin) = problem.ts.value, problem.truth[0]
    until = ts <= last + 1e-9
    numbers: dict[str, Any] = {
        name.replace(" ", "_"): worst(x[until]) for name, x in record.series.items()
    }
    numbers["true_twin"] = worst(distance(path, true_twin)[until])
    numbers["twin_ratio"] = numbers["twin"] / numbers["true_twin"]
    numbers["horizon"] = horizon(ts[until], record.series["distance"][until], size_of(path))
    return numbers | record.numbers


def compare(
    names: Sequence[str], tables: Mapping[str, Mapping], paper: Mapping[str, Mapping] | None = None
) -> None:
    """A table of every model's numbers, with the paper's above ours where it has that model."""
    paper = paper or {}
    rows = []
    for model, numbers in tables.items():
        if model in paper:
            rows.append([f"{model}, paper", *(paper[model].get(name) for name in names)])
        rows.append([f"{model}, ours", *(numbers.get(name) for name in names)])
    print_table(["model", *(name.replace("_", " ") for name in names)], rows)


def losses(
    records: Mapping[str, Record], models: Sequence[str], ax, bound: float | None = None
) -> None:
    """Training losses, with the true law's own on the same kind of observations: by default those of
    the problem."""
    bound = records[TRUE_LAW].numbers["loss"] if bound is None else bound
    histories = {name: records[name].history for name in models}
    curves = {name: history.loss for name, history in histories.items() if history is not None}
    nx.plot.plot_loss(curves, bounds={"true law's own": bound}, ax=ax)


def titled(model: str) -> str:
    """A model's name as a panel's title."""
    return model if model.startswith("neural ODE") else f"symmetry: {model}"


def save_figure(figure, folder: Path, name: str) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(folder / f"{name}.png", dpi=150)
    plt.close(figure)
