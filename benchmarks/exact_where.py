"""Which claim of exactness holds where: one measured figure for each, on learned Lagrangians.

Kepler's orbit learned with rotations declared, and two particles with rotations and translations, both
trained in float32 and then taken to float64. Rollouts to a long time with RK4, Tsit5, Dopri8 and the
variational solvers: drift of the model's charges and of its energy, and the time it took as a ratio to
RK4's. Beside it: random weights, several steps, float32, and states in between steps.

    python benchmarks/exact_where.py --out results/benchmarks
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

KEPLER, PARTICLES = nx.systems.Kepler(), nx.systems.TwoParticles()
SYSTEMS = {"Kepler": (KEPLER, 1, 20_000), "two particles": (PARTICLES, 2, 10_000)}
SOLVERS: dict[str, tuple[diffrax.AbstractSolver, float | None]] = {
    "RK4, h = 0.01": (nx.RK4(), 0.01),
    "Tsit5, 1e-8": (diffrax.Tsit5(), None),
    "Dopri8, 1e-12": (diffrax.Dopri8(), None),
    "VariationalMidpoint, h = 0.1": (nx.VariationalMidpoint(), 0.1),
    "VariationalGauss4, h = 0.1": (nx.VariationalGauss4(), 0.1),
    "VariationalGauss6, h = 0.1": (nx.VariationalGauss6(), 0.1),
}


def as_dtype(model, dtype):
    """A model with its arrays in another precision."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if hasattr(x, "dtype") and x.dtype.kind == "f" else x, model
    )


def train(system, points: int, steps: int):
    weights_key, batch_key = jax.random.split(jax.random.key(0))
    features = system.group.invariant_features(points)
    model = nx.NeuralLagrangian(features, key=weights_key, dtype=jnp.float32)
    with jax.enable_x64(False):
        model, _ = nx.fit(model, system.sampler(), steps=steps, key=batch_key)
    return model


def measure(model, system, solver, dt, final_time, scale=None, every=10.0) -> dict[str, float]:
    """Largest drifts over a rollout, and its time in seconds, after compilation."""
    q0, v0 = (x.astype(model.standardisation.unit.dtype) for x in system.initial_state())
    ts = np.linspace(0.0, final_time, round(final_time / every) + 1)

    def run():
        path = nx.rollout(model, q0, v0, ts=ts, dt=dt, solver=solver, throw=False)
        return jax.block_until_ready(path)

    run()
    start = time.perf_counter()
    path = run()
    seconds = time.perf_counter() - start
    angular = nx.Rotations(q0.shape[1]).noether_charge(model)
    return {
        "charge": float(np.max(nx.drift(angular, path, scale=scale))),
        "energy": float(np.max(nx.drift(nx.Energy(model), path))),
        "solved": bool(diffrax.is_successful(path.result)),
        "seconds": seconds,
    }


def rate_of_change(group, points: int, states: int = 256) -> float:
    """|dI/dt| along its own motion over Σ|p||v|, a median over states, of a network with random
    weights whose features are invariant under `group`: of its angular momentum."""
    features = group.invariant_features(points)
    model = nx.NeuralLagrangian(features, key=jax.random.key(1), dtype=jnp.float64)
    charge = nx.Rotations(group.space).noether_charge(model)

    @jax.jit
    @jax.vmap
    def rate(q, v):
        a = nx.acceleration(model, q, v, throw=False)
        _, change = jax.jvp(charge, (q, v), (v, a))
        return jnp.linalg.norm(change) / jnp.sum(jnp.abs(nx.momentum(model, q, v)) * jnp.abs(v))

    return float(np.median(rate(*np.random.default_rng(0).normal(size=(2, states, points, 3)))))


def between_steps(model, system) -> dict[str, float]:
    """Drift of the charge at the steps of a solver, and at times in between."""
    q, v = system.initial_state()
    state = (q, nx.momentum(model, q, v))
    drifts = {}
    for name, ts in (("steps", np.linspace(0, 64, 65)), ("between", np.linspace(0.05, 63.95, 64))):
        solution = diffrax.diffeqsolve(
            nx.LagrangianTerm(model), nx.VariationalGauss6(), 0.0, 64.0, 0.1, state,
            saveat=diffrax.SaveAt(ts=jnp.asarray(ts)),
        )  # fmt: skip
        assert solution.ys is not None
        charge = nx.Rotations(q.shape[1]).noether_charge(model)
        assert isinstance(charge, nx.MomentumMap)  # of affine groups: a function of (q, p)
        values = jax.vmap(charge.at_momentum)(solution.ys[0], solution.ys[1], jnp.asarray(ts))
        start = charge.at_momentum(*state, 0.0)
        change = jnp.linalg.norm(values - start, axis=-1)
        drifts[name] = float(jnp.max(change) / jnp.linalg.norm(start))
    return drifts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--final-time", type=float, default=1e4)
    parser.add_argument("--steps", type=int, help="training steps")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)
    results: dict[str, Any] = {"final_time": options.final_time}
    for name, (system, points, steps) in SYSTEMS.items():
        model = as_dtype(train(system, points, options.steps or steps), jnp.float64)
        print(f"\n{name}, learned, to t = {options.final_time:g}; drift of charge and energy")
        rows = {}
        for solver_name, (solver, dt) in SOLVERS.items():
            row = measure(model, system, solver, dt, options.final_time)
            rows[solver_name] = row
            row["ratio"] = row["seconds"] / rows["RK4, h = 0.01"]["seconds"]
            print(
                f"  {solver_name:30s} charge {row['charge']:.1e} energy {row['energy']:.1e} "
                f"time {row['ratio']:.2f} {'' if row['solved'] else 'FAILED'}",
                flush=True,
            )
        for step in (0.02, 0.05, 0.1, 0.2):
            row = measure(model, system, nx.VariationalMidpoint(), step, 128.0, every=1.0)
            rows[f"VariationalMidpoint to 128, h = {step}"] = row
            print(f"  to t = 128, midpoint, h = {step}: charge {row['charge']:.1e}", flush=True)
        single = as_dtype(model, jnp.float32)
        row = measure(single, system, nx.RK4(), 0.01, 128.0, every=1.0)
        rows["float32, RK4 to 128"] = row
        print(f"  to t = 128, RK4, h = 0.01, float32: charge {row['charge']:.1e}", flush=True)
        rows["between steps"] = between_steps(model, system)
        print(f"  at and between steps of VariationalGauss6: {rows['between steps']}", flush=True)
        results[name] = rows
    results["random weights"] = {
        "features of rotations": rate_of_change(nx.Rotations(3), 2),
        "plain network": rate_of_change(nx.Trivial(3), 2),
    }
    print(f"\nrandom weights, |dI/dt| over its scale: {results['random weights']}")
    results["device"], results["jax"] = str(jax.devices()[0]), jax.__version__
    path = options.out / "exact_where.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
