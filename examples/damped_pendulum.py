"""A pendulum that loses its energy: how much friction there is, and of which kind, from its angle.

Take `--data FILE.csv` with columns t and theta (rad), at even times; the first two fifths are for
training. If no file is given, the example writes one, with the friction 0.1 v, let go at 2.5 rad.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, help="table of t and theta; made if not given")
parser.add_argument("--noise", type=float, default=1e-3, help="of an angle")
parser.add_argument("--steps", type=int, default=500, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/damped_pendulum"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

motion = None
if options.data is None:
    t, random = 0.2 * np.arange(520), np.random.default_rng(options.seed)
    truth = nx.Forced(lambda q, v: jnp.sum(v**2 / 2 + jnp.cos(q)), lambda q, v: -0.1 * v)
    motion = nx.rollout(truth, jnp.full((1, 1), 2.5), jnp.zeros((1, 1)), ts=t).q[:, 0, 0]
    table = np.stack([t, motion + options.noise * random.normal(size=520)], axis=1)
    options.data = options.out / "pendulum.csv"
    np.savetxt(options.data, table, delimiter=",", header="t,theta", comments="")

tracks = nx.Tracks.from_csv(
    options.data, time="t", position=[["theta"]], periods={"theta": 2 * np.pi}
)
seen, later = tracks.split(200 / 520)
smooth, loss = seen.smooth(), nx.TrajectoryLoss(tracks.interval, noise=options.noise)
angle, rate = (group.configuration_features(1) for group in (nx.Periodic(1), nx.Trivial(1)))
keys, paths, start = jax.random.split(jax.random.key(options.seed)), {}, smooth[0]
q, v, _ = smooth.observations()
ts, few = np.append(start.t[-1], later[0].t), min(12, options.steps // 40)  # steps of polish
unseen = later[0].q if motion is None else motion[200:, None, None]  # without noise, if known
whole, free = seen.windows(len(seen[0].t)), 1e-30  # so little friction is none
print(f"{'friction':12} {'constant':>10} {'misfit, seen':>14} {'error, unseen':>14}")
for index, kind in enumerate(("linear", "quadratic", "dry")):
    potential = nx.NeuralSeparableLagrangian(angle, width=8, depth=1, key=keys[0])
    linear, quadratic, dry = np.where(np.arange(3) == index, 0.5, free)
    kinds = nx.LinearFriction(rate, linear), nx.QuadraticFriction(rate, quadratic)
    model = nx.Forced(potential, *kinds, nx.DryFriction(rate, dry, width=0.05))
    model, _ = nx.fit(model, smooth, steps=options.steps, key=keys[1], progress=False)
    model, history = nx.polish(model, whole, loss=loss, iterations=few, progress=False)
    paths[kind] = nx.rollout(model, q[-1], v[-1], ts=ts).q[1:]
    off, force = np.abs(paths[kind] - unseen).max() / np.abs(unseen).max(), model.forces[index]
    print(f"{kind:12} {force.constants[0]:10.5f} {history.loss[-1]:14.3g} {off:14.2%}")

series = {kind: np.abs(path - unseen)[:, 0, 0] for kind, path in paths.items()}
ax = nx.plot.plot_series(later[0].t, series, ylabel="error of prediction (rad)")
ax.figure.savefig(options.out / "damped_pendulum.png", dpi=150)
