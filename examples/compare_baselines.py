"""What is the structure worth? Three models of a particle in a double well, from the same noisy data.

A Lagrangian with the symmetry, a network with the symmetry, and a network with neither. They are
judged by motions that none of them has seen, and by one that the system's rotations turn.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/compare_baselines"), help="folder")
options = parser.parse_args()

system = nx.systems.DoubleWell(space=2)
rotations = nx.Rotations(2)
data_key, batch_key, model_key, key = jax.random.split(jax.random.key(options.seed), 4)
orbits = nx.systems.Orbits(system, 16, key=data_key)
observations = orbits.sampler(batch_size=4096, noise=1e-3)(batch_key)
features = rotations.invariant_features(points=1)
models = {
    "Lagrangian": nx.NeuralLagrangian(features, width=32, key=model_key),
    "equivariant ODE": nx.EquivariantODE(rotations, *observations, width=32, key=model_key),
    "neural ODE": nx.NeuralODE(*observations, width=32, key=model_key),
}
ts = np.linspace(0.0, 20.0, 201)
columns = ["distance, unseen", "distance, moved", "error of da/dq", "true drift of charge"]
print(f"medians\n{'':15}", *(f"{name:>20}" for name in columns))
errors = {}
for name, model in models.items():
    model, history = nx.fit(model, observations, steps=options.steps, key=key, progress=False)
    result = nx.evaluate(model, system, ts=ts, orbits=4, solver=nx.RK4(), dt=0.02)
    print(f"{name:15}", *(f"{result[column].median:20.2g}" for column in columns), flush=True)
    errors[name] = np.median(result.errors, axis=0)  # an infinite one is a motion that ended

ax = nx.plot.plot_series(ts, errors, ylabel="distance to the truth / size of the motion")
ax.set(title="particle in a double well, median over 9 motions", ylim=(1e-5, 10))
options.out.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(options.out / "compare_baselines.png", dpi=150)
