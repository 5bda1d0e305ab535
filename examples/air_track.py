"""Carts on springs: the second half of a recording, predicted from the first.

Take `--data FILE.csv` with columns t, x (one cart) or t, x1, x2 (two), at even times; in the recordings by
camera that this was made for, x is in pixels. If no file is given, the example writes one of two carts
that lose energy. Springs need not be linear, and masses are not known.
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
parser.add_argument("--noise", type=float, default=0.5, help="of a position, in its own unit")
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


class Linear(nx.AccelerationLaw):
    matrix: jax.Array

    def __call__(self, q, v):
        return (jnp.concatenate([q, v, jnp.ones((1, 1))])[:, 0] @ self.matrix)[:, None]


if options.data is None:
    t, random = np.arange(180) / 30, np.random.default_rng(options.seed)
    springs = nx.systems.HarmonicOscillator(stiffness=jnp.array([[30.0, -28], [-28, 30]]), points=2)
    carts = nx.Forced(springs.lagrangian, lambda q, v: -0.02 * v)
    path = nx.rollout(carts, jnp.array([[0.0], [-100.0]]), jnp.zeros((2, 1)), ts=t).q[:, :, 0]
    options.data = options.out / "carts.csv"
    table = np.column_stack([t, path + options.noise * random.normal(size=path.shape)])
    np.savetxt(options.data, table, delimiter=",", header="t,x1,x2", comments="")

names = options.data.read_text().split("\n")[0].strip().split(",")
position = [[name] for name in names if name.startswith("x")]
tracks = nx.Tracks.from_csv(options.data, time="t", position=position)
(seen, later), points = tracks.split(0.5), tracks.points
smooth, whole = seen.smooth(), seen.windows(len(seen[0].t))
q, v, a = states = smooth.observations()
keys = jax.random.split(jax.random.key(options.seed))
springs = Stretches(2 * points - 1)
masses = dict(masses=(1.0,) * points, train_masses=points > 1)
free = nx.NeuralSeparableLagrangian(springs, width=8, depth=1, key=keys[0], **masses)
friction = nx.LinearFriction(nx.Trivial(1).configuration_features(points))
models = {
    "with friction": nx.Forced(free, friction),
    "frictionless": free,
    "neural ODE": nx.NeuralODE(*states, width=8, depth=1, key=keys[0]),
}
loss = nx.TrajectoryLoss(tracks.interval, noise=options.noise, substeps=2, iterations=2)
for name, model in models.items():
    model, _ = nx.fit(model, states, steps=options.steps, key=keys[1], progress=False)
    models[name], _ = nx.polish(model, whole, loss=loss, iterations=15, progress=False)
rows = np.column_stack([q[:, :, 0], v[:, :, 0], np.ones(len(q))])
models["linear"] = Linear(jnp.asarray(np.linalg.lstsq(rows, a[:, :, 0], rcond=None)[0]))
ts, errors = np.append(smooth[0].t[-1], later[0].t), {}
for name, model in models.items():
    path = nx.rollout(model, q[-1], v[-1], ts=ts).q[1:]
    errors[name] = np.sqrt(np.mean((path - later[0].q) ** 2, axis=(1, 2)))
    print(f"{name:16} error of prediction: {np.sqrt(np.mean(errors[name] ** 2)):8.3g} in the mean")
model = models["with friction"]
orbit = nx.rollout(model, q[0], v[0], ts=tracks[0].t, solver=nx.VariationalGauss4(), dt=0.01)
energy = nx.Energy(model)
work, left = nx.impulses(energy, orbit)[-1], nx.balance(energy, orbit)
print("friction constants", model.forces[0].constants, "masses", model.lagrangian.inertia())
print(f"work of friction {work[0, 0]:.4g} of {energy(q[0], v[0])}, balance {np.abs(left).max()}")
ax = nx.plot.plot_series(later[0].t, errors, ylabel="error of prediction")
ax.figure.savefig(options.out / "air_track.png", dpi=150)
