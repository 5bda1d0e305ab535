"""What first layers spread over the data are worth, by system: errors at states that were not seen.

Two thousand exact states and accelerations, drawn uniformly from a box, of a particle without a
declared symmetry; networks as they are by default, 1,500 steps, several seeds of data and weights. The
error is the mean of ‖a − â‖² over two thousand other states, relative to that of ‖a‖². The oscillator
is the control: nothing is changed there.

    python benchmarks/first_layers.py
"""

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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


TASKS = {
    "double well": Task(lambda q: q - q**3, -1.8, 1.8, 1.5),
    "Morse potential": Task(morse, -0.6, 3.0),
    "pendulum, all round": Task(lambda q: -np.sin(q), -3.0, 3.0, 2.0),
    "four wells, sin 4q": Task(lambda q: -np.sin(4 * q), -3.0, 3.0),
    "egg crate in the plane, sin 3q": Task(lambda q: -np.sin(3 * q), -2.0, 2.0, space=2),
    "oscillator": Task(lambda q: -q, -1.8, 1.8, 1.5),
}


def observations(task: Task, seed: int) -> tuple[np.ndarray, ...]:
    rng, shape = np.random.default_rng(seed), (SAMPLES, 1, task.space)
    q = rng.uniform(task.least, task.most, shape)
    v = rng.uniform(-task.speed, task.speed, shape)
    return tuple(x.astype(np.float32) for x in (q, v, task.acceleration(q)))


def error(model: nx.Lagrangian, states: tuple) -> float:
    q, v, a = states
    found = nx.acceleration(model, jnp.asarray(q), jnp.asarray(v), throw=False)
    return float(np.mean((np.asarray(found) - a) ** 2) / np.mean(a**2))


def measure(task: Task, seed: int, steps: int) -> list[float]:
    """The errors with the first layer that was drawn, and with the one that fit chooses."""
    data, other = observations(task, seed), observations(task, seed + 1_000_000)
    keys, found = jax.random.split(jax.random.key(seed)), []
    features = nx.Trivial(task.space).invariant_features(1)
    for first_layer in (False, True):
        model = nx.NeuralLagrangian(features, dtype=jnp.float32, key=keys[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that failed shows in its error
            model, _ = nx.prepare(model, data, first_layer=first_layer)
            model, _ = nx.fit(model, data, steps=steps, key=keys[1], progress=False)
        found.append(error(model, other))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="First layers as drawn and as chosen.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, float]] = {}
    for name, task in TASKS.items():
        drawn, chosen = zip(
            *(measure(task, seed, options.steps) for seed in options.seeds), strict=True
        )
        rows[name] = {
            "as drawn, median": statistics.median(drawn),
            "as drawn, worst": max(drawn),
            "as chosen, median": statistics.median(chosen),
            "as chosen, worst": max(chosen),
        }
        print(name, *(f"{key} {x:.1e}" for key, x in rows[name].items()), sep="; ", flush=True)
    settings = {"seeds": options.seeds, "steps": options.steps}
    path = options.out / "first_layers.json"
    path.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
