"""Cost of a training step and of a rollout step, as ratios to a peer and to a bound in the same run.

Peer: the same model with the Euler–Lagrange terms by automatic differentiation. Bound: the matrix
products that the closed form cannot avoid, alone. Compiled first, median of several repeats.

    python benchmarks/steps.py --out results/benchmarks
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx
from noetherax.dynamics import autodiff_terms

BATCH, WIDTH, REPEATS, LOOPS = 128, 128, 7, 50

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


def milliseconds(function, *arguments) -> float:
    """Median time of one call, after compilation, with the result ready."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times) / LOOPS


def gradient_loop(rule):
    """Many loss gradients in one compiled loop, each depending on the last."""

    def loss(lagrangian, q, v, a):
        mass, force = rule(lagrangian, q, v)
        predicted = jnp.linalg.solve(mass, force[..., None])[..., 0]
        return jnp.mean(jnp.square(predicted.reshape(a.shape) - a))

    @eqx.filter_jit
    def loop(lagrangian, q, v, a):
        parameters, constants = eqx.partition(lagrangian, nx.trainable(lagrangian))

        def step(parameters, _):
            gradient = jax.grad(lambda p: loss(eqx.combine(p, constants), q, v, a))(parameters)
            return jax.tree.map(lambda p, g: p - 1e-12 * g, parameters, gradient), None

        return jax.lax.scan(step, parameters, None, length=LOOPS)[0]

    return loop


@jax.jit
def matrix_products(stack, weight):
    """Forward product of all carried columns, and the two products of its derivative."""

    def step(carry, _):
        stack, weight = carry
        forward = stack @ weight
        return (forward @ weight.T * 1e-3, weight + 1e-9 * (stack.T @ forward)), None

    return jax.lax.scan(step, (stack, weight), None, length=LOOPS)[0]


def measure(group, points):
    features = group.invariant_features(points)
    lagrangian = nx.NeuralLagrangian(features, width=WIDTH, key=jax.random.key(0))
    q, v, a = jax.random.normal(jax.random.key(1), (3, BATCH, points, group.space))
    lagrangian = nx.standardise(lagrangian, q, v)
    columns = 1 + min(features.num_features, points * group.space + 1)
    stack = jax.random.normal(jax.random.key(2), (BATCH * columns, WIDTH)) / WIDTH
    weight = jax.random.normal(jax.random.key(3), (WIDTH, WIDTH)) / WIDTH

    ts = np.linspace(0.0, LOOPS * 1e-4, LOOPS + 1)

    def steps(lagrangian, q, v):
        return nx.rollout(lagrangian, q, v, ts=ts, solver=nx.RK4(), throw=False).q

    times = {
        "closed form": milliseconds(gradient_loop(nx.euler_lagrange_terms), lagrangian, q, v, a),
        "autodiff": milliseconds(gradient_loop(autodiff_terms), lagrangian, q, v, a),
        "matrix products": milliseconds(matrix_products, stack, weight),
        "rollout step": milliseconds(steps, lagrangian, q[0], v[0]),
    }
    return times | {
        "features": features.num_features,
        "autodiff / closed form": times["autodiff"] / times["closed form"],
        "closed form / matrix products": times["closed form"] / times["matrix products"],
    }


def main():
    parser = argparse.ArgumentParser(description="Cost of a training step and of a rollout step.")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    results = {}
    columns = ["features", "closed form", "autodiff", "matrix products", "rollout step"]
    columns += ["autodiff / closed form", "closed form / matrix products"]
    print("ms per loss gradient (batch 128) and per RK4 step, float32\n")
    print(" | ".join(["model".ljust(28), *columns]))
    for name, (group, points) in MODELS.items():
        results[name] = measure(group, points)
        cells = [f"{results[name][column]:.3g}".rjust(len(column)) for column in columns]
        print(" | ".join([name.ljust(28), *cells]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"device": str(jax.devices()[0]), "jax": jax.__version__, "models": results}
    (options.out / "steps.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
