"""Kepler's problem, learned from noisy observations of one ellipse with and without its symmetry.

The first experiment of Müller 2023: both models are followed for eight revolutions. The full version,
with the paper's other figures, is `experiments/kepler.py`.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/kepler"), help="folder of the figure")
options = parser.parse_args()

system = nx.systems.Kepler()
sampler = system.sampler(noise=1e-3)  # at random places of an ellipse of eccentricity 0.8
ts = jnp.linspace(0.0, 128.0, 1281)
truth, _ = system.reference(ts)
rotations = nx.Rotations(3)
# At perihelion the noise of positions reaches accelerations twelve times enlarged.
loss = nx.RelativeAccelerationLoss(floor=0.3)


def learn(group: nx.AffineGroup):
    """A neural Lagrangian of the group's invariants; without a group, of the six coordinates."""
    data_key, model_key, key = jax.random.split(jax.random.key(options.seed), 3)
    model = nx.NeuralLagrangian(group.invariant_features(points=1), width=32, key=model_key)
    q, v, _ = sampler(data_key)
    model = nx.standardise(model, q, v, bend=False)  # on a single orbit q·q says where one is
    return nx.fit(model, sampler, steps=options.steps, loss=loss, key=key)[0]


paths, drifts = {}, {}
print(f"{'symmetry':10} {'drift of the charge':>20} {'of the true charge':>20} {'distance':>10}")
for name, group in {"none": nx.Trivial(3), "rotations": rotations}.items():
    model = learn(group)
    # A model that is wrong may end in a singularity: the figure then shows how far it came.
    state = system.initial_state()
    paths[name] = nx.rollout(model, *state, ts=ts, dt=0.01, solver=nx.RK4(), throw=False)
    own = nx.drift(rotations.noether_charge(model), paths[name])
    true = nx.drift(rotations.noether_charge(system.lagrangian), paths[name])
    drifts |= {f"{name}: of the model": own, f"{name}: true": true}
    distance = jnp.linalg.norm(paths[name].q - truth, axis=(1, 2))
    cells = (
        f"{x:.1e}" if jnp.isfinite(x) else "diverges" for x in map(jnp.max, (own, true, distance))
    )
    print("{:10} {:>20} {:>20} {:>10}".format(name, *cells))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
nx.plot.plot_orbits(paths, reference=truth[:160:2], limit=4.0, ax=left)
nx.plot.plot_series(ts, drifts, ylabel="drift of angular momentum (1)", ax=right)
right.set(ylim=(1e-8, 10))
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "kepler.png", dpi=150)
print(f"figure: {options.out / 'kepler.png'}")
