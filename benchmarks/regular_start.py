"""How many seeds training loses, from random weights and from a regular start, by width and optimiser.

An anharmonic oscillator in R³ without noise, from three hundred observations: a problem that any
network should learn. A seed is lost if its loss at the end is above a hundredth of the mean square of
the accelerations. All seeds train at once, as an ensemble.

    python benchmarks/regular_start.py
"""

import argparse
import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import noetherax as nx

SAMPLES, LOST = 300, 0.01


def observations() -> tuple[np.ndarray, ...]:
    q, v = 0.5 * np.random.default_rng(0).normal(size=(2, SAMPLES, 1, 3)).astype(np.float32)
    return q, v, -q * (1 + np.sum(q**2, axis=(1, 2), keepdims=True))


def adam(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(1e-2, steps, alpha=1e-2), b2=0.99)


OPTIMIZERS = {"default (Muon)": nx.default_optimizer, "Adam, 1e-2": adam}
STARTS = {"random": False, "regular": True}


def stacked(models: list) -> nx.NeuralLagrangian:
    return jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_array(x[0]) else x[0], *models)


def measure(width: int, steps: int, seeds: int) -> dict[str, dict[str, float]]:
    data = observations()
    features = nx.Rotations(3).invariant_features(1)
    keys = jax.random.split(jax.random.key(0), seeds)
    random = [
        nx.standardise(nx.NeuralLagrangian(features, width, key=key), *data[:2]) for key in keys
    ]
    rows = {}
    for name, optimizer in OPTIMIZERS.items():
        chosen = optax.chain(optax.clip_by_global_norm(1.0), optimizer(steps))
        row = {}
        for start, regular in STARTS.items():
            models = [nx.regular_start(m, *data) for m in random] if regular else random
            models, _ = nx.fit_ensemble(
                stacked(models), data, steps=steps, optimizer=chosen, keys=keys, progress=False
            )
            losses = np.array(eqx.filter_vmap(lambda m: nx.AccelerationLoss()(m, data))(models))
            lost = ~(losses < LOST * np.mean(np.square(data[2])))
            row |= {f"lost, {start}": int(lost.sum()), f"loss, {start}": float(np.median(losses))}
        rows[f"{width}, {name}"] = row
        print(f"width {width}, {name}, {seeds} seeds:", row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Seeds lost by start, width and optimiser.")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for width in options.widths:
        results |= measure(width, options.steps, options.seeds)
    settings = {"seeds": options.seeds, "steps": options.steps}
    path = options.out / "regular_start.json"
    path.write_text(json.dumps({"settings": settings, "rows": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
