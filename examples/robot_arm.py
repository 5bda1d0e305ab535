"""A robot arm of two joints that writes letters: the torques of its motors from its motion.

Take `--data robot_characters.npz`, 20 letters simulated for "Deep Lagrangian Networks" (Lutter, Ritter
and Peters, ICLR 2019; https://github.com/milutter/deep_lagrangian_networks). It has arrays labels,
lengths, and end to end qp, qv, qa, tau, and m, the inertial part of tau. The letters e, q, v are not
trained on. If no file is given, the example makes one of this form, of another arm.
"""

import argparse
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, help="robot_characters.npz; made if not given")
parser.add_argument("--steps", type=int, default=500, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/robot_arm"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

if options.data is None:
    t, random = np.linspace(0, 2 * np.pi, 60)[:, None], np.random.default_rng(options.seed)
    x, y = random.uniform(-0.8, 0.8, (2, 20, 1, 2))
    motion = x * np.sin(t) + y * np.cos(2 * t), x * np.cos(t) - 2 * y * np.sin(2 * t)
    motion = [z.reshape(-1, 2, 1) for z in (*motion, -x * np.sin(t) - 4 * y * np.cos(2 * t))]
    parts = nx.force_parts(nx.systems.DoublePendulum().lagrangian, *motion)
    names = dict(zip(("qp", "qv", "qa", "tau", "m"), (*motion, sum(parts), parts[0]), strict=True))
    options.data = options.out / "strokes.npz"
    rows: dict = {name: np.asarray(x)[:, :, 0] for name, x in names.items()}
    np.savez(options.data, labels=list("abcdeghlmnopqrsuvwyz"), lengths=[60] * 20, **rows)

data = np.load(options.data)
unseen = np.isin(np.repeat(data["labels"], data["lengths"]), ["e", "q", "v"])
columns = [data[name][:, :, None] for name in ("qp", "qv", "qa", "tau")]
train, test = (nx.ForceObservations(*(x[of] for x in columns)) for of in (~unseen, unseen))
keys, loss = jax.random.split(jax.random.key(options.seed)), nx.ForceLoss()
features = nx.Periodic(1).configuration_features(points=2)
model = nx.NeuralMechanicalLagrangian(features, width=16, depth=1, masses=0.1, key=keys[0])
model, _ = nx.fit(model, train, loss=loss, steps=options.steps, key=keys[1])
model, _ = nx.polish(model, train, loss=loss, iterations=8)

parts, inertial = nx.force_parts(model, *test[:3]), data["m"][unseen][..., None]
found, known = {"torque": sum(parts), "inertial part": parts.inertial}, (4.33e-4, 7.34e-4)
print(f"{'on the letters e, q, v':24} {'mean square':>12} {'error':>10} {'error published':>16}")
for (name, force), true, theirs in zip(found.items(), (test.tau, inertial), known, strict=True):
    print(f"{name:24} {np.mean(true**2):12.3g} {np.mean((force - true) ** 2):10.2e} {theirs:16.2e}")
figure, axes = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
for ax, joint in zip(axes, (0, 1), strict=True):
    ax.plot(test.tau[:, joint], color="0.7", lw=4, label="simulated")
    ax.plot(np.sum(parts, axis=0)[:, joint], color="tab:red", lw=1, label="learned")
    ax.set(ylabel=f"torque of joint {joint + 1}", xlabel="sample of e, q, v, not seen")
axes[0].legend()
figure.savefig(options.out / "robot_arm.png", dpi=150)
