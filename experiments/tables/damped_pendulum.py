"""A pendulum that loses energy: its friction, of which kind it is, and its next ten periods.

200 positions with noise of standard deviation 1e-3 or 1e-2, 0.2 apart, of θ'' = −sin θ − friction, let
go at 2.5 rad; friction is 0.1 v, 0.1 |v| v or 0.02 tanh(v/0.05). Measures: the error of the constant of
linear friction, and the largest error of the angle, without noise, over the 320 times that follow, ten
small periods and more, relative to the largest unseen angle or to the first one. Which kind it was is
asked of three models, by their misfit of the noisy positions not seen, in units of the noise.

Declared is that the angle has a period, and in one arm that θ → −θ changes nothing; the potential is a
network, and its weights have a normal prior of unit size, but for one arm, which is trained and
followed as in `examples/damped_pendulum.py`. Another arm knows the law up to its constants. Bounds are
those of Cramér and Rao for the estimate of all parameters and of the start: the mean of the largest
error that the best unbiased estimate makes. That of the network has its prior, and is linear about
weights fitted to positions without noise.
"""

import dataclasses
import functools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _motions import WithPrior, follow, nearest_start, permitted
from _row import Measure, Row
from jax.flatten_util import ravel_pytree

import noetherax as nx

INTERVAL, TIMES, SEEN, FIRST = 0.2, 520, 200, 2.5
SUBSTEPS = 2
NOISES = {"3": 1e-3, "2": 1e-2}
TRUE = {"linear": 0.1, "quadratic": 0.1, "dry": 0.02}
WIDTH = 0.05  # of dry friction
FREE = 1e-30  # so little friction is none
EXAMPLE, PLAIN, EVEN, KNOWN = (
    "network, no prior (the example)",
    "network",
    "network, mirrored",
    "law known but for its constants",
)
BOUND, NETWORK_BOUND = "bound, law known but for its constants", "bound, mirrored network"


class Cosine(nx.ConfigurationFeatures):
    """Of an angle: all that a period and θ → −θ leave."""

    num_features: int = 1

    def __call__(self, q):
        return jnp.cos(q[:, 0])


class Pendulum(nx.SeparableLagrangian):
    """V = −k cos θ."""

    stiffness: jax.Array

    def inertia(self):
        return 1.0

    def potential(self, q):
        return -self.stiffness * jnp.sum(jnp.cos(q))


def frictions(kind: str, constant: float) -> list:
    """All kinds, of which one is there."""
    rates = nx.Trivial(1).configuration_features(1)
    sizes = {name: constant if name == kind else FREE for name in TRUE}
    return [
        nx.LinearFriction(rates, sizes["linear"]),
        nx.QuadraticFriction(rates, sizes["quadratic"]),
        nx.DryFriction(rates, sizes["dry"], width=WIDTH),
    ]


def truth(kind: str):
    return nx.Forced(Pendulum(jnp.array(1.0)), *frictions(kind, TRUE[kind]))


@functools.cache
def moved(kind: str) -> np.ndarray:
    """The true angles."""
    start, t = jnp.array([[FIRST]]), INTERVAL * np.arange(TIMES)
    path = nx.rollout(truth(kind), start, jnp.zeros((1, 1)), ts=t, dt=0.02, solver=nx.RK4())
    return np.asarray(path.q)


@dataclasses.dataclass(frozen=True)
class Recording:
    """What was seen, smoothed as well, and all noisy angles."""

    seen: nx.Tracks
    smooth: nx.Tracks
    noisy: np.ndarray
    noise: float


def recorded(kind: str, noise: float, seed: int | None) -> Recording:
    """Without a seed the noise is there in name only."""
    noisy = moved(kind)
    if seed is not None:
        noisy = noisy + noise * np.random.default_rng(seed).normal(size=noisy.shape)
    tracks = nx.Tracks(INTERVAL * np.arange(TIMES), noisy, periods=[[2 * np.pi]])
    seen, _ = tracks.split(SEEN / TIMES)
    return Recording(seen, seen.smooth(), noisy, noise)


def trained(data: Recording, potential: Any, kind: str, budget, key, *, prior: float = 1.0):
    """By accelerations of the smoothed positions, then by all positions at once, and a prior."""
    quiet: dict[str, Any] = {"progress": False}
    model: Any = nx.Forced(potential, *frictions(kind, 0.5))
    model, _ = nx.fit(model, data.smooth, steps=budget[0], key=key, **quiet)
    of_data = nx.TrajectoryLoss(INTERVAL, noise=1.0, substeps=SUBSTEPS)
    loss = WithPrior(of_data, jnp.array(data.noise), jnp.array(prior), SEEN - 2)
    whole = data.seen.windows(SEEN)
    return nx.polish(model, whole, loss=loss, iterations=budget[1], **quiet)[0]


def network(features, key) -> nx.NeuralSeparableLagrangian:
    return nx.NeuralSeparableLagrangian(features, width=8, depth=1, key=key)


def arms_of(key) -> dict[str, tuple]:
    """The potential of each before training, and how much its prior weighs."""
    angle = network(nx.Periodic(1).configuration_features(1), key)
    return {
        EVEN: (network(Cosine(), key), 1.0),
        PLAIN: (angle, 1.0),
        EXAMPLE: (angle, 0.0),
        KNOWN: (Pendulum(jnp.array(0.8)), 0.0),
    }


@functools.cache
def learned(seed: int, arm: str, kind: str, true: str, noise: float, budget: tuple[int, int]):
    """A model with one kind of friction, from a recording with one kind, once."""
    keys = jax.random.split(jax.random.key(seed))
    potential, prior = arms_of(keys[0])[arm]
    data = recorded(true, noise, seed)
    return trained(data, potential, kind, budget, keys[1], prior=prior)


def predicted(model, data: Recording) -> np.ndarray:
    """All angles, from the start whose motion is nearest to those seen."""
    start = nearest_start(model, data.seen, data.smooth, SUBSTEPS)
    return np.asarray(follow(model, start, INTERVAL, TIMES - 1, 2 * SUBSTEPS)[:, 0])


def from_last_state(model, data: Recording) -> np.ndarray:
    """The angles not seen, from the last smoothed state."""
    last = data.smooth[0]
    assert last.v is not None  # of what is smoothed
    ts = np.append(last.t[-1], INTERVAL * np.arange(SEEN, TIMES))
    path = nx.rollout(model, last.q[-1], last.v[-1], ts=ts, dt=0.1, solver=nx.RK4())
    return np.asarray(path.q[1:])


def figures(model, unseen: np.ndarray, name: str) -> dict[str, float]:
    true = moved("linear")[SEEN:]
    off, size = np.max(np.abs(unseen - true)), np.max(np.abs(true))
    found = float(model.forces[0].constants[0])
    return {
        f"constant_{name}": 100 * abs(found / TRUE["linear"] - 1),
        f"off_{name}": float(100 * off / size),
        f"first_{name}": float(100 * off / FIRST),
    }


def bound(model, noise: float, name: str, prior: float = 0.0) -> dict[str, float]:
    """Of parameters and start together, at a model."""
    chosen = nx.trainable(model)
    force = chosen.forces[0]
    chosen = eqx.tree_at(lambda x: x.forces, chosen, jax.tree.map(lambda _: False, chosen.forces))
    chosen = eqx.tree_at(lambda x: x.forces[0], chosen, force)  # of its kind alone
    weights, constants = eqx.partition(model, chosen)
    start = jnp.array([FIRST, 0.0])
    flat, restored = ravel_pytree((start, weights))

    def motion(x):
        state, weights = restored(x)
        law = eqx.combine(weights, constants)
        return follow(law, state.reshape(2, 1, 1), INTERVAL, TIMES - 1, SUBSTEPS)[:, 0]

    where = jax.tree.map(lambda leaf: jnp.zeros_like(leaf), (start, weights))
    where = eqx.tree_at(lambda x: x[1].forces[0].strength.logarithms, where, jnp.ones(1))
    of_friction = np.flatnonzero(ravel_pytree(where)[0])
    inverse = np.full(len(flat), prior)
    inverse[:2], inverse[of_friction] = 0, 0
    found = permitted(motion, flat, SEEN, noise, prior=inverse)
    size = np.max(np.abs(moved("linear")[SEEN:]))
    mean = np.sqrt(2 / np.pi)  # of a normal error's size, by its deviation
    return {
        f"constant_{name}": float(100 * mean * found.deviations[of_friction[0]]),
        f"off_{name}": 100 * found.largest / size,
        f"first_{name}": 100 * found.largest / FIRST,
    }


def main() -> None:
    measures = {}
    for name, noise in NOISES.items():
        text, aim = f"noise {noise:g}", 1.0 if noise < 5e-3 else 5.0
        measures |= {
            f"constant_{name}": Measure(f"{text}: error of the friction constant, %", aim=aim),
            f"off_{name}": Measure(f"{text}: error, % of the largest unseen angle", aim=1.0),
            f"first_{name}": Measure(f"{text}: error, % of the first angle"),
        }
    for kind in TRUE:
        text = f"noise {NOISES['2']:g}, {kind} friction: misfit not seen, in noise"
        measures[kind] = Measure(text)
    row = Row(__doc__, "damped_pendulum", measures)
    budget = (3, 2) if row.quick else (500, 20)
    noises = {"2": NOISES["2"]} if row.quick else NOISES
    of_bounds = {BOUND: [truth("linear"), 0.0]}
    if not row.quick:
        keys = jax.random.split(jax.random.key(0))
        exact = recorded("linear", NOISES["3"], None)
        exact = trained(exact, network(Cosine(), keys[0]), "linear", budget, keys[1])
        of_bounds[NETWORK_BOUND] = [exact, 1.0]
    bounds: dict[str, dict] = {arm: {} for arm in of_bounds}
    for arm, (model, prior) in of_bounds.items():
        for name, noise in noises.items():
            bounds[arm] |= bound(model, noise, name, prior)
    for seed in row.seeds:
        begun = time.perf_counter()
        for arm in row.chosen([EVEN, PLAIN, EXAMPLE, KNOWN]):
            found = {}
            for name, noise in noises.items():
                data = recorded("linear", noise, seed)
                model = learned(seed, arm, "linear", "linear", noise, budget)
                after = arm == EXAMPLE
                unseen = from_last_state(model, data) if after else predicted(model, data)[SEEN:]
                found |= figures(model, unseen, name)
            row.add(seed, arm, **found)
        for arm, found in bounds.items():
            row.add(seed, arm, **found)
        for kind in row.chosen(list(TRUE)):
            found = {}
            for true in row.chosen(list(TRUE)):
                data = recorded(true, NOISES["2"], seed)
                model = learned(seed, EVEN, kind, true, NOISES["2"], budget)
                off = (predicted(model, data) - data.noisy)[SEEN:]
                found[true] = float(np.sqrt(np.mean(off**2)) / data.noise)
            row.add(seed, f"model with {kind} friction", **found)
        print(f"  seed {seed}: {time.perf_counter() - begun:.0f} s")
    row.show()


if __name__ == "__main__":
    main()
