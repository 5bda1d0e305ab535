"""Carts on springs, with friction: the second half of a recording, predicted from the first.

Take `--data FILE.csv` with columns t, x (one cart) or t, x1, x2 (two), at even times, such as positions
in a film, in pixels. If no file is given, the example writes one, of two carts.
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
parser.add_argument("--columns", nargs="+", default=["x1", "x2"], help="of positions")
parser.add_argument("--steps", type=int, default=500, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/air_track"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)


class Stretches(nx.ConfigurationFeatures):  # of springs from a wall to every cart, and between them
    num_features: int

    def __call__(self, q):
        return jnp.append(q[:, 0], jnp.diff(q[:, 0]))


def springs(q, v):
    return jnp.sum(v**2) / 2 - jnp.sum(q**2) - 14 * jnp.sum(jnp.diff(q[:, 0]) ** 2)


if options.data is None:
    t, random = np.arange(180) / 30, np.random.default_rng(options.seed)
    start, carts = jnp.array([[0.0], [-100.0]]), nx.Forced(springs, lambda q, v: -0.02 * v)
    x = nx.rollout(carts, start, 0 * start, ts=t).q[:, :, 0] + 0.5 * random.normal(size=(180, 2))
    options.data, table = options.out / "carts.csv", np.column_stack([t, x])
    np.savetxt(options.data, table, delimiter=",", header="t,x1,x2", comments="")

position, n = [[name] for name in options.columns], len(options.columns)
tracks = nx.Tracks.from_csv(options.data, time="t", position=position)
seen, later = tracks.split(0.5)
q, v, a = states = seen.smooth().observations()
keys, rate = jax.random.split(jax.random.key(options.seed)), nx.Trivial(1).configuration_features(n)
loss = nx.TrajectoryLoss(tracks.interval, noise=0.5, substeps=2, iterations=2)
masses = dict(masses=(1.0,) * n, train_masses=n > 1, key=keys[0])
free = nx.NeuralSeparableLagrangian(Stretches(2 * n - 1), width=8, depth=1, **masses)
models: dict = {"neural ODE": nx.NeuralODE(*states, width=32, key=keys[0])}
for name, size in {"no friction": 1e-30, "friction": 0.5}.items():
    models[name] = nx.Forced(free, nx.LinearFriction(rate, size))
ts, errors = np.append(seen.smooth()[0].t[-1], later[0].t), {}
few, whole = min(15, options.steps // 40), seen.windows(len(seen[0].t))
for name, model in models.items():
    model, _ = nx.fit(model, states, steps=options.steps, key=keys[1], progress=False)
    if name != "neural ODE":
        model, _ = nx.polish(model, whole, loss=loss, iterations=few, progress=False)
    path = nx.rollout(model, q[-1], v[-1], ts=ts).q[1:]
    errors[name] = np.sqrt(np.mean((path - later[0].q) ** 2, axis=(1, 2)))
    print(f"{name:12} error of prediction {np.sqrt(np.mean(errors[name] ** 2)):8.3g}")
orbit, energy = nx.rollout(model, q[-1], v[-1], ts=ts, solver=nx.RK4(), dt=0.01), nx.Energy(model)
work, left = nx.impulses(energy, orbit)[-1, 0, 0], np.max(np.abs(nx.balance(energy, orbit)))
print(f"friction takes {-work:.4g}, balance within {left:.1e}", model.forces[0].constants)
ax = nx.plot.plot_series(later[0].t, errors, ylabel="error of prediction")
ax.figure.savefig(options.out / "air_track.png", dpi=150)
