"""Cost of a training step and of a rollout step, as ratios to a peer and to a bound in the same run,
on all cores and on one; how it scales; memory, compilation, and what `import noetherax` takes; and what
every special route of the library is worth.

Peer: the same loss with the Euler–Lagrange terms by automatic differentiation, and any program that
`--peer` names. Bound: the matrix products that the gradient of the loss cannot avoid, alone. Compiled
first, median of several repeats. Nothing else should run meanwhile.

    python benchmarks/speed.py                       # results/benchmarks/speed.json and speed.md
    python benchmarks/speed.py --parts scaling       # a part anew, beside what is there
    python benchmarks/speed.py --check docs/results/benchmarks/speed.json    # slower than it was?
    python benchmarks/speed.py --peer PROGRAM.py     # prints one JSON object {model: ms per step}
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _routes import measure_routes
from _timing import LOOPS, REPEATS, gradient_loop, milliseconds

import noetherax as nx
from noetherax.dynamics import autodiff_terms

BATCH, WIDTH, FIT_STEPS = 128, 128, 1000
KEY = jax.random.key(4)
SLOWER = 1.5
"""A ratio that has grown by more than this factor since `--check`'s file fails the check."""
PEER_SECONDS = 600
AUTODIFF, BOUND = "autodiff / closed form", "closed form / matrix products"
NEEDED = "import jax, equinox, diffrax, optax"

MODELS = {
    "Kepler, none": (nx.Trivial(3), 1),
    "Kepler, rotations": (nx.Rotations(3), 1),
    "Schwarzschild, rotations": (
        nx.Rotations(4, axes=(0, 1, 2)) * nx.Translations(4, axes=(3,)),
        1,
    ),
    "two particles, none": (nx.Trivial(4), 2),
    "two particles, rotations": (nx.Rotations(4), 2),
    "two particles, translations": (nx.Translations(4), 2),
    "two particles, both": (nx.Translations(4) * nx.Rotations(4), 2),
}


def autodiff_loss(lagrangian, batch):
    """The acceleration loss as automatic differentiation has it, through the mass matrix and all."""
    q, v, a = batch
    mass, force = autodiff_terms(lagrangian, q, v)
    predicted = jnp.linalg.solve(mass, force[..., None])[..., 0]
    return jnp.mean(jnp.square(predicted.reshape(a.shape) - a))


def rows_needed(columns: int) -> tuple[int, int]:
    """Products of a row with the matrix of a hidden layer, for one sample: those ahead of the
    gradient, and how many of them it takes back, each by two.

    The terms take one for the value, one for its gradient and one for each of the `columns` of the
    Hessian. The gradient takes two more for the derivatives of value and gradient along the motion,
    and takes these four back.
    """
    return columns + 4, 4


@jax.jit
def matrix_products(forward, backward, weight):
    """Products of one hidden layer: forwards, and the two of the derivative."""

    def step(carry, _):
        forward, weight = carry
        ahead = forward @ weight
        back = ahead[: len(backward)]
        gradient, before = backward.T @ back, back @ weight.T
        return (forward.at[: len(backward)].set(1e-3 * before), weight + 1e-9 * gradient), None

    return jax.lax.scan(step, (forward, weight), None, length=LOOPS)[0]


def measure(group, points, width=WIDTH, batch=BATCH):
    """Milliseconds of every part for one model, and the ratios."""
    features = group.invariant_features(points)
    lagrangian = nx.NeuralLagrangian(features, width=width, key=jax.random.key(0))
    q, v, a = jax.random.normal(jax.random.key(1), (3, batch, points, group.space))
    lagrangian = nx.standardise(lagrangian, q, v)
    data = q, v, a
    rows = rows_needed(min(features.num_features, points * group.space + 1))
    forward, backward = (
        jax.random.normal(jax.random.key(2), (batch * count, width)) / width for count in rows
    )
    weight = jax.random.normal(jax.random.key(3), (width, width)) / width

    ts = np.linspace(0.0, LOOPS * 1e-4, LOOPS + 1)

    def steps(lagrangian, q, v):
        return nx.rollout(lagrangian, q, v, ts=ts, solver=nx.RK4(), throw=False).q

    closed: Any = gradient_loop(nx.AccelerationLoss())
    times = milliseconds(
        {
            "closed form": (closed, (lagrangian, data)),
            "autodiff": (gradient_loop(autodiff_loss), (lagrangian, data)),
            "matrix products": (matrix_products, (forward, backward, weight)),
            "rollout step": (steps, (lagrangian, q[0], v[0])),
        }
    )
    options: Any = dict(batch_size=batch, steps=FIT_STEPS, key=KEY, progress=False)
    _, history = nx.fit(lagrangian, data, **options)
    memory = closed.lower(lagrangian, data).compile().compiled.memory_analysis()
    return {name: float(np.median(x)) for name, x in times.items()} | {
        "features": features.num_features,
        "fit step": 1e3 * (history.seconds - history.compile_seconds) / (FIT_STEPS - 1),
        "compilation, s": history.compile_seconds,
        "memory, MiB": memory.temp_size_in_bytes / 2**20,
        AUTODIFF: float(np.median(times["autodiff"] / times["closed form"])),
        BOUND: float(np.median(times["closed form"] / times["matrix products"])),
    }


def on_one_core() -> dict:
    """The models in a process that keeps to one core, where no step waits for another thread. Nothing
    where a process may not choose its cores, as it may on Linux."""
    if not hasattr(os, "sched_setaffinity"):
        return {}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread, and so of all in the process it starts
    try:
        command = [sys.executable, __file__, "--models"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    finally:
        os.sched_setaffinity(0, cores)
    return json.loads(done.stdout.splitlines()[-1])


def scaling() -> dict:
    """The same numbers as one thing grows: points, features, width, batch."""
    both, rotations = nx.Translations(4) * nx.Rotations(4), nx.Rotations(3)
    return {
        "points, translations and rotations in R³": {
            n: measure(nx.Translations(3) * nx.Rotations(3), n) for n in (2, 3, 4)
        },
        "features, one point in R^n without a symmetry": {
            2 * n: measure(nx.Trivial(n), 1) for n in (2, 4, 8)
        },
        "width, Kepler, rotations": {n: measure(rotations, 1, width=n) for n in (32, 64, 128, 256)},
        "batch, two particles, both": {n: measure(both, 2, batch=n) for n in (32, 128, 512, 2048)},
    }


def import_times() -> dict:
    """Seconds of importing what the package needs anyway, of the package, and their ratio."""

    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    # By turns, since other work on the machine comes and goes.
    times = [[seconds(x) for x in ("", NEEDED, "import noetherax")] for _ in range(REPEATS)]
    nothing, needed, package = map(statistics.median, zip(*times, strict=True))
    needed, package = needed - nothing, package - nothing
    return {NEEDED: needed, "import noetherax": package, "ratio": package / needed}


def of_peer(program: Path) -> dict:
    """What a peer's program prints, `{model: ms per training step}`; empty if it does not run."""
    try:
        command = [sys.executable, str(program)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_SECONDS)
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            raise ValueError(done.stderr.strip()[-300:] or "it printed nothing")
        return {str(name): float(x) for name, x in json.loads(lines[-1]).items()}
    except (OSError, ValueError, AttributeError, TypeError, subprocess.TimeoutExpired) as error:
        print(f"peer {program} skipped: {error}", file=sys.stderr)
        return {}


def measure_models() -> dict:
    """Every model, on all cores that this process may use."""
    return {name: measure(*model) for name, model in MODELS.items()}


PARTS = {
    "models": measure_models,
    "one core": on_one_core,
    "scaling": scaling,
    "import": import_times,
    "routes": measure_routes,
}


def slower(models: dict, before: dict) -> list[str]:
    """Which models have lost speed, by ratios that each run measures for itself."""
    return [
        f"{name}: {BOUND} was {before[name][BOUND]:.2f}, is {row[BOUND]:.2f}"
        for name, row in models.items()
        if name in before and row[BOUND] > SLOWER * before[name][BOUND]
    ]


COLUMNS = ("features", "fit step", "closed form", "autodiff", "matrix products", "rollout step")
COLUMNS += (AUTODIFF, BOUND, "compilation, s", "memory, MiB")


def table(title: str, rows: dict) -> list[str]:
    """A Markdown table."""
    lines = [f"| {title} | {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * len(COLUMNS)}"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{row[column]:.3g}' for column in COLUMNS)} |")
    return lines


def report(results: dict) -> str:
    """All tables."""
    lines: list[str] = []
    named = {
        f"ms, batch {BATCH}, width {WIDTH}, float32, {results['device']}": results.get("models"),
        "the same on one core": results.get("one core"),
        **results.get("scaling", {}),
    }
    for title, rows in named.items():
        lines += [*table(title, rows), ""] if rows else []
    for name, row in results.get("routes", {}).items():
        lines.append(f"{name}: {row['ratio']:.2f} times the time with the route")
    lines += [f"{name}: {x:.3g}" for name, x in results.get("import", {}).items()]
    for program, numbers in results.get("peers", {}).items():
        for name, x in numbers.items():
            row = results.get("models", {}).get(name)
            ours = f", {x / row['fit step']:.3g} times ours" if row else ""
            lines.append(f"peer {program}, {name}: {x:.3g} ms{ours}")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Cost of a training step and of a rollout step.")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--peer", type=Path, action="append", default=[], help="see above")
    parser.add_argument("--check", type=Path, help="speed.json of another run to compare with")
    parser.add_argument("--models", action="store_true", help="the models alone, as JSON")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="one by one")
    options = parser.parse_args()
    if options.models:
        print(json.dumps(measure_models()))
        return
    before = json.loads(options.check.read_text())["models"] if options.check else {}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "speed.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for part in options.parts:
        results[part] = PARTS[part]()
        if part == "models" and options.peer:
            results["peers"] = {str(program): of_peer(program) for program in options.peer}
        results |= {"device": str(jax.devices()[0]), "machine": platform.platform()}
        results |= {"jax": jax.__version__}
        path.write_text(json.dumps(results, indent=2) + "\n")
        (options.out / "speed.md").write_text(report(results))
        print(f"{part}: done", flush=True)
    print(report(results))
    if lost := slower(results.get("models", {}), before):
        sys.exit("Slower than before:\n" + "\n".join(lost))


if __name__ == "__main__":
    main()
