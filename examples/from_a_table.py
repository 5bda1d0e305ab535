"""From a table to a conserved charge: a ball in a bowl, seen from above by a camera that drops frames.

The table has several recordings at irregular times, with noisy positions and nothing else. Declared is
that the bowl is round; what is conserved, and how well, the recordings that were held out say.
"""

import argparse
import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/from_a_table"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
table, random = options.out / "bowl.csv", np.random.default_rng(options.seed)


def bowl(q, v):
    """What nobody knows: the true law, which makes the measurements."""
    return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2 - jnp.sum(q**2) ** 2 / 4


with open(table, "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["run", "seconds", "x", "y"])
    for run in range(10):
        times = np.sort(random.choice(np.arange(300), 240, replace=False)) / 30
        start = random.uniform(0.4, 1.0, (2, 1, 2)) * random.choice([-1, 1], (2, 1, 2))
        path = nx.rollout(bowl, *start, ts=times).q[:, 0]
        for t, (x, y) in zip(times, path + 1e-3 * random.normal(size=path.shape), strict=True):
            writer.writerow([run, f"{t:.4f}", f"{x:.4f}", f"{y:.4f}"])

tracks = nx.Tracks.from_csv(table, time="seconds", position=[["x", "y"]], recording="run")
train, held_out = (part.smooth() for part in tracks.split(0.8, by="recording"))
group = nx.Rotations(2)
model_key, key = jax.random.split(jax.random.key(options.seed))
model = nx.NeuralLagrangian(group.invariant_features(points=1), width=32, key=model_key)
model, history = nx.fit(model, train, steps=options.steps, key=key)
charges = {"angular momentum": group.noether_charge, "energy": nx.Energy}
print(tracks, nx.evaluate(model, held_out, charges=charges), sep="\n\n")

seen, (q, v, _) = held_out[0], held_out.observations()
orbit = nx.rollout(model, q[0], v[0], ts=seen.t)
drifts = {name: nx.drift(of(model), orbit) for name, of in charges.items()}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
nx.plot.plot_orbits({"model": orbit}, reference=seen.q, unit="m", ax=left)
nx.plot.plot_series(
    orbit.ts, drifts, ylabel="drift of the model's charges", xlabel="time (s)", ax=right
)
figure.savefig(options.out / "from_a_table.png", dpi=150)
print(f"figure: {options.out / 'from_a_table.png'}")
