"""What an acceleration of many points costs, by three ways to it, and what a step of a rollout does.

The law is one pairwise Lagrangian with random weights, in float32. *Dense*: the same L as a plain
function, ∂²L/∂v² by automatic differentiation and a solve. *All pairs*: the rules of the type.
*Neighbours*: a cut-off with about fifty of them. Points lie at random in a cube with one of them for
each unit of volume. Memory is that of temporary buffers, as XLA has planned it.

    python benchmarks/pairs.py --out results/benchmarks
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx
from noetherax.dynamics import solve_motion, solve_terms

REPEATS = 7
COUNTS = (2, 10, 30, 100, 300, 1_000, 3_000, 10_000)
DENSE, ALL = 300, 3_000  # largest counts
CUTOFF, NEIGHBOURS = 2.3, 64  # 4/3 π 2.3³ is 51


def law(cutoff: bool, width: int) -> nx.PairwiseLagrangian:
    return nx.PairwiseLagrangian(
        nx.Euclidean(3),
        width,
        cutoff=CUTOFF if cutoff else None,
        neighbours=NEIGHBOURS,
        key=jax.random.key(0),
    )


def measured(function, *arguments) -> dict:
    """Milliseconds of a call, the median of several, and mebibytes of temporary buffers."""
    compiled = jax.jit(function).lower(*arguments).compile()
    analysis = compiled.memory_analysis()
    jax.block_until_ready(compiled(*arguments))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(1e3 * (time.perf_counter() - start))
    found = {"milliseconds": float(np.median(times))}
    if analysis is not None:
        found["mebibytes"] = analysis.temp_size_in_bytes / 2**20
    return found


def accelerations(width: int) -> list[dict]:
    rows = []
    for points in COUNTS:
        random = np.random.default_rng(points)
        q = jnp.asarray(random.uniform(0, points ** (1 / 3), (points, 3)), jnp.float32)
        v = jnp.asarray(random.normal(size=(points, 3)), jnp.float32)
        all_pairs, near = law(False, width), law(True, width)
        ways = {}
        if points <= DENSE:
            ways["dense"] = lambda q, v, of=all_pairs: solve_motion(
                lambda q, v: of(q, v), q, v, solve_terms
            )[0]
        if points <= ALL:
            ways["all pairs"] = lambda q, v, of=all_pairs: solve_motion(of, q, v, solve_terms)[0]
        ways["neighbours"] = lambda q, v, of=near: solve_motion(of, q, v, solve_terms)[0]
        row = {name: measured(way, q, v) for name, way in ways.items()}
        rows.append({"points": points} | row)
        shown = (f"{name} {x['milliseconds']:.2f} ms" for name, x in row.items())
        print(points, *shown, sep="  ")
    return rows


def training_step(width: int) -> dict:
    """A step of the six springs against one of its matrix products: all pairs of a batch through one
    hidden layer of the network."""
    points, batch = 6, 128
    random = np.random.default_rng(0)
    model = nx.PairwiseLagrangian(
        nx.Euclidean(2), width, attributes=2, mass_attribute=0, key=jax.random.key(0)
    )
    q, v, a = (jnp.asarray(random.normal(size=(batch, points, 2)), jnp.float32) for _ in range(3))
    u = jnp.asarray(random.uniform(0.5, 2, (batch, points * 2)), jnp.float32)
    data = nx.TimedObservations(q, v, a, jnp.zeros(batch, jnp.float32), u)
    loss = nx.AccelerationLoss()

    parameters, constants = eqx.partition(model, nx.trainable(model))
    step = measured(
        lambda p, data: jax.grad(lambda p: loss(eqx.combine(p, constants), data))(p),
        parameters,
        data,
    )
    pairs = batch * points * (points - 1) // 2
    x = jnp.asarray(random.normal(size=(pairs, width)), jnp.float32)
    w = jnp.asarray(random.normal(size=(width, width)), jnp.float32)
    product = measured(lambda x, w: x @ w, x, w)
    return {
        "step": step,
        "matrix product": product,
        "ratio": step["milliseconds"] / product["milliseconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    results = {
        "device": str(jax.devices()[0]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "width": options.width,
        "accelerations": accelerations(options.width),
        "training": training_step(options.width),
    }
    print("training step / one matrix product:", f"{results['training']['ratio']:.1f}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "pairs.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
