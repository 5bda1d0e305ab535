"""Carts on springs, with friction: the second half of a recording, predicted from the first.

Take `--data FILE.csv` with columns t and `--columns`, one for each cart; else the example makes one.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, help="table of positions; made if not given")
parser.add_argument("--columns", nargs="+", default=["x1", "x2"])
parser.add_argument("--steps", type=int, default=500, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/air_track"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)


class Stretches(nx.ConfigurationFeatures):  # of the springs: from a wall to every cart, and between
    num_features: int

    def __call__(self, q):
        return jnp.append(q[:, 0], jnp.diff(q[:, 0]))


if options.data is None:  # two modes, damped
    t, random = np.arange(180)[:, None] / 30, np.random.default_rng(options.seed)
    x = 50 * np.exp(-0.01 * t) * (np.cos(1.4 * t) * [-1, -1] + np.cos(5.5 * t) * [1, -1])
    table, options.data = [t, x + 0.5 * random.normal(size=x.shape)], options.out / "carts.csv"
    np.savetxt(options.data, np.hstack(table), delimiter=",", header="t,x1,x2", comments="")

n, keys = len(options.columns), jax.random.split(jax.random.key(options.seed))
tracks = nx.Tracks.from_csv(options.data, time="t", position=[[name] for name in options.columns])
seen, later = tracks.split(0.5)
q, v, a = states = seen.smooth().observations()
masses: dict = dict(masses=(1.0,) * n, train_masses=n > 1, key=keys[0])
free = nx.NeuralSeparableLagrangian(Stretches(2 * n - 1), width=8, depth=1, **masses)
rate, whole = nx.Trivial(1).configuration_features(n), seen.windows(len(seen[0].t))
loss = nx.TrajectoryLoss(tracks.interval, noise=0.5, substeps=2)
ts, errors = np.append(seen.smooth()[0].t[-1], later[0].t), {}
model = nx.Forced(free, nx.LinearFriction(rate))
for name, size in {"no friction": 1e-30, "friction": 0.5}.items():  # so little is none
    start = nx.Forced(free, nx.LinearFriction(rate, size))
    model, _ = nx.fit(start, states, steps=options.steps, key=keys[1], progress=False)
    model, _ = nx.polish(model, whole, loss=loss, iterations=options.steps // 12, tolerance=0)
    path = nx.rollout(model, q[-1], v[-1], ts=ts).q[1:]
    errors[name] = np.sqrt(np.mean((path - later[0].q) ** 2, axis=(1, 2)))
    print(f"{name:12} error of prediction {np.sqrt(np.mean(errors[name] ** 2)):8.3g}")
orbit, energy = nx.rollout(model, q[-1], v[-1], ts=ts, solver=nx.RK4(), dt=0.01), nx.Energy(model)
work, left = nx.impulses(energy, orbit)[-1, 0, 0], np.max(np.abs(nx.balance(energy, orbit)))
print(f"friction takes {-work:.4g}, balance within {left:.1e}", model.forces[0].constants)
figure = nx.plot.plot_series(later[0].t, errors, ylabel="error of prediction").figure
figure.savefig(options.out / "air_track.png", dpi=150)
