"""A spherical pendulum, recorded as two angles; the azimuth jumps by 2π where it closes.

Declared are the period of that angle, and that its zero is arbitrary. The mass of this system depends
on where it is, and is learned as the rest. Conserved is the angular momentum about the vertical.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=5000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/pendulum_angles"), help="folder")
options = parser.parse_args()


def pendulum(q, v):
    """The truth, of length and weight one: polar angle from below, and azimuth."""
    (polar, _), (polar_rate, rate) = q[0], v[0]
    return (polar_rate**2 + (jnp.sin(polar) * rate) ** 2) / 2 + jnp.cos(polar)


random = np.random.default_rng(options.seed)
t = np.arange(0.0, 20.0, 0.05)
rows = []
for swing in range(10):
    start = random.uniform([0.7, -np.pi], [1.3, np.pi]), random.uniform([-0.3, 0.5], [0.3, 1.0])
    angles = nx.rollout(pendulum, *(x[None] for x in start), ts=t).q[:, 0]
    angles = angles + 1e-3 * random.normal(size=angles.shape)
    rows.append(np.column_stack([np.full(len(t), swing), t, angles % (2 * np.pi)]))
table = dict(zip(["swing", "t", "polar", "azimuth"], np.concatenate(rows).T, strict=True))

columns: dict = dict(time="t", position=[["polar", "azimuth"]], recording="swing")
tracks = nx.Tracks.from_table(table, periods={"azimuth": 2 * np.pi}, **columns)
train, held_out = (part.smooth() for part in tracks.split(0.8, by="recording"))
group = nx.Translations(2, axes=(1,))  # of the azimuth
model_key, key = jax.random.split(jax.random.key(options.seed))
model = nx.NeuralLagrangian(group.invariant_features(points=1), width=32, key=model_key)
model, history = nx.fit(model, train, steps=options.steps, key=key)
charges = {"angular momentum": group.noether_charge, "energy": nx.Energy}
print(tracks, nx.evaluate(model, held_out, charges=charges), sep="\n\n")

seen, (q, v, _) = held_out[0], held_out.observations()
orbit = nx.rollout(model, q[0], v[0], ts=seen.t)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for q, style in (seen.q, {"marker": ".", "ls": ""}), (orbit.q, {"color": "tab:red"}):
    polar, azimuth = np.asarray(q[:, 0]).T
    left.plot(np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), **style)
left.set(xlabel="x", ylabel="y", aspect="equal", title="from above: recorded, and predicted")
drifts = {name: nx.drift(of(model), orbit) for name, of in charges.items()}
nx.plot.plot_series(orbit.ts, drifts, ylabel="drift of the model's charges", ax=right)
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "pendulum_angles.png", dpi=150)
