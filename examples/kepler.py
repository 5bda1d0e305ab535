"""Kepler's problem, learned from noisy observations of one ellipse with and without its symmetry.

The first experiment of Müller 2023: both models are followed to t = 128. The full version,
with the paper's other figures, is `experiments/kepler.py`.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=15_000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/kepler"), help="folder")
options = parser.parse_args()

system, rotations = nx.systems.Kepler(), nx.Rotations(3)
ts = jnp.linspace(0.0, 128.0, 1281)
truth, _ = system.reference(ts)
# At perihelion the noise of positions reaches accelerations twelve times enlarged.
loss = nx.RelativeAccelerationLoss(floor=0.3)
keys = jax.random.split(jax.random.key(options.seed), 3)
q, v, _ = system.sampler(4096)(keys[0])  # at random places of an ellipse of eccentricity 0.8

paths, drifts = {}, {}
print(f"{'symmetry':10} {'drift of the charge':>20} {'of the true charge':>20} {'distance':>10}")
for name, group in {"none": nx.Trivial(3), "rotations": rotations}.items():
    model = nx.NeuralLagrangian(group.invariant_features(points=1), key=keys[1])
    model = nx.standardise(model, q, v, bend=None)  # on a single orbit q·q says where one is
    model, _ = nx.fit(model, system.sampler(), steps=options.steps, loss=loss, key=keys[2])

    # A model without the symmetry may end in a singularity: the figure shows how far it came.
    start: tuple = (model, *system.initial_state())
    path = nx.rollout(*start, ts=ts, dt=0.01, solver=nx.RK4(), throw=False)
    own = nx.drift(rotations.noether_charge(model), path)
    true = nx.drift(rotations.noether_charge(system.lagrangian), path)
    distance = jnp.linalg.norm(path.q - truth, axis=(1, 2))
    numbers = map(float, map(jnp.max, (own, true, distance)))
    worst = (f"{x:.1e}" if x < jnp.inf else "diverges" for x in numbers)
    print("{:10} {:>20} {:>20} {:>10}".format(name, *worst))
    paths[name] = path
    drifts |= {f"{name}: of the model": own, f"{name}: true": true}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
nx.plot.plot_orbits(paths, reference=truth[:160:2], limit=6.0, ax=left)
nx.plot.plot_series(ts, drifts, ylabel="drift of angular momentum (1)", ax=right)
right.set(ylim=(1e-8, 10))
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "kepler.png", dpi=150)
print(f"figure: {options.out / 'kepler.png'}")
