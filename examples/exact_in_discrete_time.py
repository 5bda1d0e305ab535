"""Exact in discrete time: a learned law, followed over 300 revolutions by three solvers.

The charge of a neural Lagrangian is constant along its own motion, whatever its weights. Steps by
Runge and Kutta keep it to their order, variational ones to rounding. That shows in float64 alone.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import noetherax as nx

jax.config.update("jax_enable_x64", True)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/exact_in_discrete_time"))
options = parser.parse_args()

system, group = nx.systems.Kepler(eccentricity=0.3), nx.Rotations(3)
model_key, key = jax.random.split(jax.random.key(options.seed))
model = nx.NeuralLagrangian(group.invariant_features(points=1), width=16, key=model_key)
model, history = nx.fit(model, system.sampler(noise=0.0), steps=options.steps, key=key)

charges = {"angular momentum": group.noether_charge(model), "energy": nx.Energy(model)}
ts = jnp.linspace(0.0, 300 * system.period, 301)
solvers = {"RK4": nx.RK4(), "midpoint": nx.VariationalMidpoint(), "Gauss": nx.VariationalGauss4()}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
drifts: dict[str, dict] = {name: {} for name in charges}
print(f"largest drift in 300 revolutions\n{'':10}", *(f"{name:>18}" for name in charges))
for label, solver in solvers.items():
    orbit = nx.rollout(model, *system.initial_state(), ts=ts, dt=0.1, solver=solver)
    for name, charge in charges.items():
        drifts[name][label] = nx.drift(charge, orbit)
    largest = (float(series[label].max()) for series in drifts.values())
    print(f"{label:10}", *(f"{x:18.1e}" for x in largest))
for ax, (name, series) in zip(axes, drifts.items(), strict=True):
    nx.plot.plot_series(ts / system.period, series, ylabel=f"drift of the {name}", ax=ax)
    ax.set_xlabel("revolutions")
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "exact_in_discrete_time.png", dpi=150)
