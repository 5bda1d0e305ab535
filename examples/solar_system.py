"""Gravity and masses from 75 years of positions of the outer planets, and decades of prediction.

From JPL's DE421: the Sun with the inner planets (their barycentre), and Jupiter to Neptune. Declared is
that no place and no direction is special. Needs `pip install 'noetherax[plot,data]'`.
"""

import argparse
import importlib.resources
from pathlib import Path

import jax
import numpy as np
from jplephem.spk import SPK

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=910, help="of Gauss-Newton")
parser.add_argument("--out", type=Path, default=Path("results/solar_system"), help="of the figure")
options = parser.parse_args()
TRUE = {"Sun": 1, "Jupiter": 1047.35, "Saturn": 3497.9, "Uranus": 22903.0, "Neptune": 19412.2}
SUNS = {10: 1, 1: 1 / 6023600, 2: 1 / 408523.7, 3: 1 / 328900.6, 4: 1 / 3098708}  # inner planets
days, AU = np.arange(0, 150 * 365, 40), 149_597_870.7  # from 1900 on; in km
kernel = SPK.open(str(importlib.resources.files("skyfield_data") / "data" / "de421.bsp"))
parts = [kernel[0, k].compute(2415020.5 + days).T / AU for k in (*SUNS, 5, 6, 7, 8)]
parts[4] = np.average(parts[:5], axis=0, weights=list(SUNS.values()))
seen, later = nx.Tracks(days / 365.25, np.stack(parts[4:], axis=1)).smooth().split(0.5)


class EachBody(nx.Loss):
    unit: jax.Array  # of acceleration, for each body

    def residuals(self, model, batch):
        return (nx.acceleration(model, *batch[:2]) - batch[2]) / self.unit[:, None]

    def states(self, batch):
        return batch


known = {"masses": (1, 1e-3, 3e-4, 5e-5, 5e-5), "train_masses": True, "train_attributes": True}
known["attributes"] = np.array([[2, 2], [2, -1], [-1, 2], [-2, -2], [-2, 0]])  # to tell them apart
seed = {"activation": jax.nn.tanh, "key": jax.random.key(0)}
model = nx.PairwiseLagrangian(nx.Euclidean(3), 20, **known, **seed)
q, v, a = sample = tuple(x[::8] for x in seen.observations())
model, _ = nx.prepare(model, sample, loss=EachBody(np.sqrt(np.mean(a**2, (0, 2)))))
for power, part in ((0.3, 7), (0.4, 7), (0.5, 1.4)):  # the heavy ones first, then all alike
    loss, steps = EachBody(np.mean(a**2, (0, 2)) ** power), max(1, int(options.steps / part))
    model, _ = nx.polish(model, sample, loss=loss, iterations=steps, tolerance=0)
future, masses = later[0][:275], model.mass_of(5) / model.mass_of(5)[0]  # thirty years
orbit = nx.rollout(model, future.q[0], later.observations().v[0], ts=future.t)
years, error = future.t - future.t[0], np.linalg.norm(orbit.q - future.q, axis=2).T
bend = -jax.vmap(jax.hessian(model.potential))(q)[:, 0]  # that of the pairs with the Sun
law = [np.median(x[:, 0] / x[:, 2]) for x in map(np.linalg.eigvalsh, np.moveaxis(bend, 2, 0))]
for (name, true), e, mass, power in zip(TRUE.items(), error, masses, law, strict=True):
    text = f"{name:8} {e[years < 10].max():.1e} AU in 10 years, {e.max():.1e} in 30; Sun/mass"
    print(text, f"{1 / mass:.2f} ({true}); force ~ r^{power:.4f}")
ax = nx.plot.plot_series(years, dict(zip(TRUE, error, strict=True)), ylabel="AU", xlabel="years")
options.out.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(options.out / "solar_system.png", dpi=150)
