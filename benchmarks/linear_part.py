"""What a linear part beside the network is worth, by system: errors at states that were not seen.

Three hundred exact states and accelerations, networks of width 32, 600 steps, several seeds of data and
weights. The error is the mean of ‖a − â‖² over a thousand other states, relative to that of ‖a‖². In
the first three systems v·v is a feature; in the others components of v are, and not their squares.

    python benchmarks/linear_part.py
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from _errors import compare, error

import noetherax as nx

SAMPLES, UNSEEN, WIDTH = 300, 1000, 32
TURN = np.array([[0.0, 1.0], [-1.0, 0.0]])


class Task(NamedTuple):
    group: nx.SymmetryGroup
    space: int
    acceleration: Callable
    size: float = 1.0  # of positions and velocities
    away: float = 0.0  # added to the distance from the origin


class AboutTheAxis(nx.AffineGroup):
    """Rotations of space about its third axis."""

    def algebra(self):
        spin = np.zeros((1, 3, 3))
        spin[0, :2, :2] = -TURN
        return spin, np.zeros((1, 3))


def square(q):
    return np.sum(q**2, axis=-1, keepdims=True)


def henon_heiles(q, v):
    x, y = q[..., 0], q[..., 1]
    return np.stack([-x - 2 * x * y, -y - x**2 + y**2], axis=-1)


def trap(q, v):
    turned = np.concatenate([v[..., :2] @ TURN.T, 0 * v[..., 2:]], axis=-1)
    return np.array([0.5, 0.5, -1.0]) * q + 3 * turned


TASKS = {
    "central force 1/r²": Task(nx.Rotations(2), 2, lambda q, v: -q / square(q) ** 1.5, away=2.0),
    "spring in a magnetic field": Task(nx.Rotations(2), 2, lambda q, v: -q + 1.4 * v @ TURN.T),
    "hardening spring": Task(nx.Rotations(2), 2, lambda q, v: -q * (1 + 0.3 * square(q))),
    "Hénon–Heiles, no symmetry declared": Task(nx.Trivial(2), 2, henon_heiles, size=0.3),
    "Penning trap, about its axis": Task(AboutTheAxis(), 3, trap),
}


def observations(task: Task, count: int, seed: int) -> tuple[np.ndarray, ...]:
    q, v = task.size * np.random.default_rng(seed).normal(size=(2, count, 1, task.space))
    q = q * (1 + task.away / np.sqrt(square(q)))
    return q, v, task.acceleration(q, v)


def measure(task: Task, seed: int, steps: int) -> tuple[float, float]:
    """The errors of the network alone, and with the linear part."""
    data, other = observations(task, SAMPLES, seed), observations(task, UNSEEN, seed + 1_000_000)
    features = task.group.invariant_features(1)
    keys = jax.random.split(jax.random.key(seed), 3)
    network = nx.NeuralLagrangian(features, WIDTH, key=keys[0])
    both = nx.LagrangianSum(network, nx.LinearLagrangian(features, key=keys[1]))
    found = []
    for model in (network, both):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that failed shows in its error
            options: dict = {"steps": steps, "key": keys[2], "progress": False}
            found.append(error(nx.fit(model, data, **options)[0], other))
    return found[0], found[1]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    columns = "network", "with a linear part"
    compare(
        "linear_part", TASKS, measure, columns, 600, "A network with and without a linear part."
    )
