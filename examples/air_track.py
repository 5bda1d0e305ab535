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


class Stretches(nx.ConfigurationFeatures):
    """Of a spring from the wall to every cart, and of those between them."""

    num_features: int

    def __call__(self, q):
        return jnp.append(q[:, 0], jnp.diff(q[:, 0]))


if options.data is None:
    t, random = np.arange(180) / 30, np.random.default_rng(options.seed)
    springs = nx.systems.HarmonicOscillator(stiffness=jnp.array([[30.0, -28], [-28, 30]]), points=2)
    carts = nx.Forced(springs.lagrangian, lambda q, v: -0.02 * v)
    path = nx.rollout(carts, jnp.array([[0.0], [-100.0]]), jnp.zeros((2, 1)), ts=t).q[:, :, 0]
    options.data = options.out / "carts.csv"
    table = np.column_stack([t, path + 0.5 * random.normal(size=path.shape)])
    np.savetxt(options.data, table, delimiter=",", header="t,x1,x2", comments="")

position = [[name] for name in options.columns]
tracks = nx.Tracks.from_csv(options.data, time="t", position=position)
(seen, later), n = tracks.split(0.5), len(position)
q, v, a = states = seen.smooth().observations()
keys, rate = jax.random.split(jax.random.key(options.seed)), nx.Trivial(1).configuration_features(n)
loss = nx.TrajectoryLoss(tracks.interval, noise=0.5, substeps=2, iterations=2)
models: dict = {"neural ODE": nx.NeuralODE(*states, width=32, key=keys[0])}
for name, constant in {"no friction": 1e-30, "friction": 0.5}.items():
    masses = dict(masses=(1.0,) * n, train_masses=n > 1, key=keys[0])
    model = nx.NeuralSeparableLagrangian(Stretches(2 * n - 1), width=8, depth=1, **masses)
    models[name] = nx.Forced(model, nx.LinearFriction(rate, constant))
for name, model in models.items():
    model, _ = nx.fit(model, states, steps=options.steps, key=keys[1], progress=False)
    if name != "neural ODE":
        few, whole = min(15, options.steps // 40), seen.windows(len(seen[0].t))
        model, _ = nx.polish(model, whole, loss=loss, iterations=few, progress=False)
    models[name] = model
ts, errors = np.append(seen.smooth()[0].t[-1], later[0].t), {}
for name, model in models.items():
    path = nx.rollout(model, q[-1], v[-1], ts=ts).q[1:]
    errors[name] = np.sqrt(np.mean((path - later[0].q) ** 2, axis=(1, 2)))
    print(f"{name:12} error of prediction {np.sqrt(np.mean(errors[name] ** 2)):8.3g}")
orbit, energy = nx.rollout(model, q[-1], v[-1], ts=ts, solver=nx.RK4(), dt=0.01), nx.Energy(model)
work, left = nx.impulses(energy, orbit)[-1, 0, 0], np.max(np.abs(nx.balance(energy, orbit)))
print(f"friction takes {-work:.4g}, balance within {left:.1e}", model.forces[0].constants)
ax = nx.plot.plot_series(later[0].t, errors, ylabel="error of prediction")
ax.figure.savefig(options.out / "air_track.png", dpi=150)
