"""What a few thousand steps of training reach, by optimiser, over many seeds; and whether any diverge.

Each system's model with its whole symmetry (or, `--plain`, without), on fresh noisy observations of
the one trajectory of the paper, from a regular start as `fit` has it by itself (or, `--random`, from
the paper's random weights). A run diverges if the loss at its end is not finite or above that of
a model without a force. Models are judged by the distance to the true motion, under the paper's
integrator, and by the drift of the true charge; the loss is there as a ratio to the true law's own.

    python benchmarks/training.py                                # 20 seeds of 5,000 steps
    python benchmarks/training.py --seeds 3 --steps 20000 --only Kepler
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _soap import soap

import noetherax as nx

SKY, CLOCK = nx.Rotations(4, axes=(0, 1, 2)), nx.Translations(4, axes=(3,))
DT, SAVES, BATCH, LAST = 0.01, 200, 128, 200


class Task(NamedTuple):
    """A system, its symmetry, what a model without it keeps, the symmetry whose charge is watched, and
    the times models are followed for."""

    system: nx.systems.System
    group: nx.SymmetryGroup
    plain: nx.SymmetryGroup
    watched: nx.SymmetryGroup
    final_time: float
    paper_time: float
    loss: nx.Loss = nx.AccelerationLoss()
    points: int = 1
    bend: nx.features.Bend = "logarithm"


RELATIVE = nx.RelativeAccelerationLoss(0.3)
TASKS = {
    "Kepler": Task(
        nx.systems.Kepler(),
        nx.Rotations(3),
        nx.Trivial(3),
        nx.Rotations(3),
        16.0,
        128.0,
        RELATIVE,
        bend=None,
    ),
    "Schwarzschild": Task(nx.systems.Schwarzschild(), SKY * CLOCK, CLOCK, SKY, 100.0, 1000.0),
    "two particles": Task(
        nx.systems.TwoParticles(),
        nx.Translations(4) * nx.Rotations(4),
        nx.Trivial(4),
        nx.Rotations(4),
        8.0,
        8.0,
        points=2,
    ),
}


def adam(steps: int, rate: float = 1e-2) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(rate, steps, alpha=1e-2)
    return optax.adam(schedule, b2=0.99, eps=1e-12)


def schedule_free(steps: int) -> optax.GradientTransformation:
    """No decay of the rate, but an average of its own, over which `fit` takes its average."""
    return optax.contrib.schedule_free_adamw(
        1e-2, warmup_steps=steps // 20, b1=0.95, b2=0.99, eps=1e-12
    )


def growing(optimizer: Callable[[int], optax.GradientTransformation]):
    """Batches four times as large, accumulated, from the middle of the run on."""

    def of_steps(steps: int) -> optax.GradientTransformation:
        single = steps // 2
        updates = single + (steps - single) // 4

        def batches(update):
            return jnp.where(update < single, 1, 4)

        return optax.MultiSteps(optimizer(updates), batches).gradient_transformation()

    return of_steps


def preconditioned(steps: int) -> optax.GradientTransformation:
    """The default, but with four iterations to orthogonalise, from a start nearer to their end."""
    rate = optax.cosine_decay_schedule(1e-2, steps, alpha=0.1)
    muon = optax.contrib.muon(rate, ns_steps=4, preconditioning="aol")
    return optax.chain(optax.normalize_by_update_norm(), muon)


OPTIMIZERS = {
    "default (Muon)": nx.default_optimizer,
    "Adam, 1e-2": adam,
    "Adam, 3e-3": functools.partial(adam, rate=3e-3),
}
OTHERS = {
    "Muon, growing batch": growing(nx.default_optimizer),
    "Adam, 1e-2, growing batch": growing(adam),
    "Muon, AOL, 4": preconditioned,
    "SOAP": lambda steps: soap(optax.cosine_decay_schedule(3e-3, steps, alpha=1e-2)),
    "schedule-free Adam": schedule_free,
    "Adan": lambda steps: optax.adan(optax.cosine_decay_schedule(1e-2, steps, alpha=1e-2)),
    "AdEMAMix": lambda steps: optax.contrib.ademamix(
        optax.cosine_decay_schedule(3e-3, steps, alpha=0.1), eps=1e-12
    ),
}


@eqx.filter_jit
def follow(law, q, v, final_time: str):  # a string is static
    ts = np.linspace(0.0, float(final_time), SAVES + 1)
    return nx.rollout(law, q, v, ts=ts, dt=DT, solver=nx.RK4(), throw=False)


def truth(task: Task) -> np.ndarray:
    ts = np.linspace(0.0, task.final_time, SAVES + 1)
    with jax.enable_x64(True):
        return np.asarray(task.system.reference(ts)[0])


def judge(task: Task, model, path) -> dict[str, float]:
    q, v = task.system.initial_state()
    orbit = follow(model, q, v, str(task.final_time))
    drift = nx.drift(task.watched.noether_charge(task.system.lagrangian), orbit)
    apart = np.linalg.norm(np.asarray(orbit.q, float) - path, axis=(1, 2))
    whole = bool(np.all(np.isfinite(apart)))
    return {
        "distance": float(np.max(apart)) if whole else float("inf"),
        "true drift": float(np.max(np.asarray(drift))) if whole else float("inf"),
    }


def measure(task: Task, optimizer, steps: int, seeds: int, regular: bool) -> dict[str, Any]:
    path, sampler = truth(task), task.system.sampler(BATCH)
    features = task.group.invariant_features(task.points)
    draws = jax.vmap(sampler)(jax.random.split(jax.random.key(10**6), 64))
    many = tuple(x.reshape(-1, *x.shape[2:]) for x in draws)
    force_free = float(jnp.mean(jnp.square(many[2])))
    own = float(task.loss(task.system.lagrangian, many))
    no_force = float(task.loss(lambda q, v: jnp.sum(v**2) / 2, many))
    clip = optax.clip_by_global_norm(min(1.0, force_free) / no_force)
    optimizer = optax.chain(clip, optimizer)
    rows, diverged, seconds, skipped = [], 0, [], 0
    for seed in range(seeds):
        key, fit_key = jax.random.split(jax.random.key(seed))
        model = nx.NeuralLagrangian(features, key=key)
        model = nx.standardise(model, *many[:2], bend=task.bend)
        start = time.perf_counter()
        model = nx.regular_start(model, *many) if regular else model
        model, history = nx.fit(
            model, sampler, steps=steps, optimizer=optimizer, loss=task.loss, key=fit_key,
            progress=False,
        )  # fmt: skip
        diverged += not np.mean(history.loss[-LAST:]) < no_force
        skipped += history.skipped
        seconds.append(time.perf_counter() - start)  # of the first with compilation
        excess = float(task.loss(model, many)) / own
        rows.append({"loss / true loss": excess} | judge(task, model, path))
    numbers: dict[str, Any] = {"diverged": diverged, "left out": skipped}
    for name in rows[0]:
        values = [row[name] for row in rows]
        for label, value in ((name, np.median(values)), (f"worst {name}", np.max(values))):
            numbers[label] = float(value) if np.isfinite(value) else None  # JSON has no infinity
    return numbers | {"seconds": float(np.median(seconds)), "first seconds": seconds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Training by optimiser, over many seeds.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--long", action="store_true", help="follow models as long as the paper")
    parser.add_argument("--plain", action="store_true", help="models without the symmetry")
    parser.add_argument("--random", action="store_true", help="start from the paper's weights")
    every = OPTIMIZERS | OTHERS
    parser.add_argument("--optimizers", nargs="+", choices=every, default=list(OPTIMIZERS))
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "training.json"
    results = json.loads(path.read_text()) if path.exists() else {}  # parts may run one by one
    for system in options.only:
        task = TASKS[system]
        task = task._replace(final_time=task.paper_time) if options.long else task
        task = task._replace(group=task.plain) if options.plain else task
        called = f"{system} without symmetry" if options.plain else system
        called = f"{called}, random start" if options.random else called
        for optimizer in options.optimizers:
            chosen = every[optimizer](options.steps)  # one object: every seed runs one program
            numbers = measure(task, chosen, options.steps, options.seeds, not options.random)
            settings = {"seeds": options.seeds, "steps": options.steps, "until": task.final_time}
            name = f"{called}, {optimizer}, {options.steps} steps, to {task.final_time:g}"
            results[name] = settings | numbers
            cells = "  ".join(
                f"{key} {'-' if x is None else f'{x:.3g}'}" for key, x in numbers.items()
            )
            print(f"{name}: {cells}", flush=True)
            path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
