"""How long the first calls of a process take, and what JAX's compilation cache on disk saves of it.

A process imports the library, trains a network of width 32 for 200 steps and integrates it, with and
without programs on disk. What is left with them is mostly tracing.

    python benchmarks/compiling.py --out results/benchmarks
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

ALONE = """
import json, sys, time
begun = time.perf_counter()
import jax, jax.numpy as jnp, noetherax as nx
if len(sys.argv) > 1:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
imported = time.perf_counter()
q, v = jax.random.normal(jax.random.key(0), (2, 512, 1, 2))
a = -q * (1 + 0.3 * jnp.sum(q**2, axis=-1, keepdims=True))
features = nx.Rotations(2).invariant_features(1)
model = nx.NeuralLagrangian(features, width=32, key=jax.random.key(0))
model, _ = nx.fit(model, (q, v, a), steps=200, key=jax.random.key(1), progress=False)
trained = time.perf_counter()
jax.block_until_ready(nx.rollout(model, q[0], v[0], ts=jnp.linspace(0.0, 1.0, 11)))
ends = imported, trained, time.perf_counter()
print(json.dumps([b - a for a, b in zip((begun, *ends), ends)]))
"""

PARTS = "import", "fit", "rollout"


def seconds(cache: str | None) -> list[float]:
    """Of each part, in a process of its own."""
    own = "JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE"  # of the user's
    environment = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    command = [sys.executable, "-c", ALONE, *([] if cache is None else [cache])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="of the JSON")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    times: dict[str, list] = {"without": [], "written": [], "read": []}
    seconds(None)  # files come from memory from now on
    for _ in range(arguments.repeats):  # by turns
        with tempfile.TemporaryDirectory() as cache:
            for name, folder in (("without", None), ("written", cache), ("read", cache)):
                times[name].append(seconds(folder))

    found = {
        name: dict(zip(PARTS, np.median(rows, axis=0).round(2).tolist(), strict=True))
        for name, rows in times.items()
    }
    for name, row in found.items():
        print(f"{name:8}", *(f"{part} {time:6.2f} s" for part, time in row.items()))
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"seconds": found, "device": str(jax.devices()[0]), "jax": jax.__version__}
    path = arguments.out / "compiling.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
