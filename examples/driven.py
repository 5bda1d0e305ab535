"""Duffing's oscillator, with friction: trained on two sizes of its drive, it predicts a third.

The spring is not known. The drive is an input of the tracks, sampled with the positions, and the model
says where it acts. Positions have noise.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=2000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/driven"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)


def push(q, v, t, u):
    return u[None]


truth = nx.Forced(lambda q, v: jnp.sum(v**2 / 2 - q**2 / 2 - q**4 / 4), lambda q, v: -0.2 * v, push)
t, random = np.arange(0.0, 40.0, 0.05), np.random.default_rng(options.seed)
drives = {size: nx.Inputs(t, size * np.cos(1.4 * t)[:, None], "cubic") for size in (0.2, 0.6, 0.4)}
start = jnp.full((1, 1), 0.5), jnp.zeros((1, 1))
motions = {size: nx.rollout(nx.Driven(truth, u), *start, ts=t).q for size, u in drives.items()}
noisy = [motions[size] + 1e-3 * random.normal(size=(len(t), 1, 1)) for size in (0.2, 0.6)]
tracks = nx.Tracks([t, t], noisy, inputs=[drives[size].u for size in (0.2, 0.6)]).smooth()

coordinate = nx.Trivial(1).configuration_features(1)
keys = jax.random.split(jax.random.key(options.seed))
spring = nx.NeuralSeparableLagrangian(coordinate, width=8, depth=1, masses=1.0, key=keys[0])
model = nx.Forced(spring, nx.LinearFriction(coordinate), push)
model, _ = nx.fit(model, tracks, steps=options.steps, key=keys[1])
model, _ = nx.polish(model, tracks, iterations=100)
print(f"friction constant {model.forces[0].constants[0]:.4f}, true 0.2")
print(f"{'size of the drive':>18} {'error of motion / its size':>28}")
figure, axes = plt.subplots(3, 1, sharex=True, figsize=(8, 7), layout="constrained")
for (size, true), ax in zip(motions.items(), axes, strict=True):
    path = nx.rollout(nx.Driven(model, drives[size]), *start, ts=t).q
    error = np.max(np.abs(path - true)) / np.max(np.abs(true))
    print(f"{size:18} {error:28.2%} {'not seen' if size == 0.4 else 'trained on'}")
    ax.plot(t, true[:, 0, 0], color="0.7", lw=4, label="true")
    ax.plot(t, path[:, 0, 0], color="tab:red", lw=1, label="learned")
    ax.set(ylabel=f"position, drive {size}")
axes[0].legend()
axes[2].set(xlabel="time")
figure.savefig(options.out / "driven.png", dpi=150)
