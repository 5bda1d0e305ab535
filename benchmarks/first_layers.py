"""What first layers spread over the data are worth, by system: errors at states that were not seen.

Two thousand exact states and accelerations, drawn uniformly from a box, of a particle without a
declared symmetry; networks as they are by default, few steps and more, several seeds of data and
weights. The error is the mean of ‖a − â‖² over two thousand other states, relative to that of ‖a‖².
The oscillator is the control: nothing is changed there.

    python benchmarks/first_layers.py
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _errors import compare, error

import noetherax as nx

SAMPLES = 2000


class Task(NamedTuple):
    acceleration: Callable
    least: float  # of every coordinate
    most: float
    speed: float = 1.0  # largest component
    space: int = 1


def morse(q):
    return -2 * np.exp(-q) * (1 - np.exp(-q))


def beside(q):
    return np.where(np.arange(2) == 0, -q, -np.sin(4 * q))


TASKS = {
    "double well": Task(lambda q: q - q**3, -1.8, 1.8, 1.5),
    "Morse potential": Task(morse, -0.6, 3.0),
    "pendulum, all round": Task(lambda q: -np.sin(q), -3.0, 3.0, 2.0),
    "four wells, sin 4q": Task(lambda q: -np.sin(4 * q), -3.0, 3.0),
    "egg crate in the plane, sin 3q": Task(lambda q: -np.sin(3 * q), -2.0, 2.0, space=2),
    "oscillator beside sin 4q": Task(beside, -2.0, 2.0, space=2),
    "oscillator": Task(lambda q: -q, -1.8, 1.8, 1.5),
}


def observations(task: Task, seed: int) -> tuple[np.ndarray, ...]:
    rng, shape = np.random.default_rng(seed), (SAMPLES, 1, task.space)
    q = rng.uniform(task.least, task.most, shape)
    v = rng.uniform(-task.speed, task.speed, shape)
    return tuple(x.astype(np.float32) for x in (q, v, task.acceleration(q)))


STEPS = 1500, 5000
CASES = {
    f"{name}, {steps:,} steps": (task, steps) for name, task in TASKS.items() for steps in STEPS
}


def measure(case: tuple[Task, int], seed: int, most: int) -> tuple[float, float]:
    """The errors with the first layer that was drawn, and with the one that fit chooses."""
    task, steps = case
    data, other = observations(task, seed), observations(task, seed + 1_000_000)
    keys, found = jax.random.split(jax.random.key(seed)), []
    features = nx.Trivial(task.space).invariant_features(1)
    for first_layer in (False, True):
        model = nx.NeuralLagrangian(features, dtype=jnp.float32, key=keys[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that failed shows in its error
            model, _ = nx.prepare(model, data, first_layer=first_layer)
            model, _ = nx.fit(model, data, steps=min(steps, most), key=keys[1], progress=False)
        found.append(error(model, other))
    return found[0], found[1]


if __name__ == "__main__":
    columns = "as drawn", "as chosen"
    compare(
        "first_layers", CASES, measure, columns, max(STEPS), "First layers as drawn and as chosen."
    )
