"""What an accelerator makes of invariance, of accelerations, of a training step and of ensembles.

Rounding is compared with float64 on the CPU of the same machine; a step in full precision with one
whose matrix products round their factors (`tensorfloat32`), in one run.

    python benchmarks/accelerator.py --out results/benchmarks
    python benchmarks/accelerator.py --quick           # a few steps of each, to see that it runs
"""

import argparse
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from speed import MODELS, measure

import noetherax as nx

STATES, FIT_STEPS, MEMBERS = 64, 1000, (1, 16, 64)
GROUPS = {
    "rotations, one point": (nx.Rotations(3), 1),
    "Euclidean, three points": (nx.Euclidean(3), 3),
    "Lorentz, two points": (nx.Lorentz(), 2),
}
STEPS = {
    "Kepler, rotations": ("Kepler, rotations", None),
    "two particles, both": ("two particles, both", None),
    "two particles, both, tensorfloat32": ("two particles, both", "tensorfloat32"),
}


def rounding(group: nx.SymmetryGroup, points: int) -> dict[str, float]:
    """Largest change of features and Lagrangian under a group element, relative to their size, and the
    relative error of accelerations against float64 on the CPU, in the median."""
    q, v = jax.random.normal(jax.random.key(1), (2, STATES, points, group.space), jnp.float64)
    element = 0.5 * jax.random.normal(jax.random.key(2), (group.dimension,), jnp.float64)
    features = group.invariant_features(points)
    model = nx.NeuralLagrangian(features, key=jax.random.key(0), dtype=jnp.float64)
    cpu = jax.devices("cpu")[0]
    on_cpu = jax.tree.map(lambda x: jax.device_put(x, cpu) if eqx.is_array(x) else x, (model, q, v))
    exact = np.asarray(_accelerations(*on_cpu))
    found = {}
    for dtype in (jnp.float32, jnp.float64):
        ours, *state, c = _cast((model, q, v, element), dtype)
        moved = jax.vmap(lambda q, v, c=c: group.act(c, q, v))(*state)
        for name, function in {"features": features, "L": ours}.items():
            before, after = (eqx.filter_jit(eqx.filter_vmap(function))(*x) for x in (state, moved))
            change = jnp.max(jnp.abs(after - before) / jnp.max(jnp.abs(before), axis=0))
            found[f"{name}, {dtype.__name__}"] = float(change)
        found[f"acceleration, {dtype.__name__}"] = _error(_accelerations(ours, *state), exact)
        if dtype is jnp.float32:
            with jax.default_matmul_precision("tensorfloat32"):
                rounded = _accelerations(ours, *state)
            found["acceleration, tensorfloat32"] = _error(rounded, exact)
    return found


def _error(accelerations, exact) -> float:
    error = np.asarray(accelerations, np.float64) - exact
    sizes = (np.linalg.norm(x.reshape(STATES, -1), axis=1) for x in (error, exact))
    return float(np.median(np.divide(*sizes)))


@eqx.filter_jit
def _accelerations(model, q, v):
    return nx.acceleration(model, q, v, throw=False)


def _cast(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree)


def ensemble(members: int, steps: int) -> float:
    """Milliseconds of a training step of so many models together."""
    kepler = nx.systems.Kepler()
    features = kepler.group.invariant_features(1)
    keys = jax.random.split(jax.random.key(0), members)
    models = eqx.filter_vmap(lambda key: nx.NeuralLagrangian(features, key=key))(keys)
    options: Any = dict(steps=steps, keys=keys, progress=False)
    _, history = nx.fit_ensemble(models, kepler.sampler(), **options)
    return 1e3 * (history.seconds - history.compile_seconds) / (steps - 1)


def main():
    parser = argparse.ArgumentParser(description="What an accelerator makes of it.")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    device = jax.devices()[0]
    results: dict[str, Any] = {"device": device.device_kind, "jax": jax.__version__}
    with jax.enable_x64(True):
        results["rounding"] = {name: rounding(*case) for name, case in GROUPS.items()}
    results["ensembles"] = {
        n: ensemble(n, 20 if options.quick else FIT_STEPS)
        for n in (MEMBERS[:1] if options.quick else MEMBERS)
    }
    results["steps"] = {}
    for name, (model, precision) in STEPS.items() if not options.quick else ():
        with jax.default_matmul_precision(precision or "highest"):
            results["steps"][name] = measure(*MODELS[model])
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "accelerator.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
