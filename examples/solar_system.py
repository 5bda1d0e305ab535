"""Gravity and masses from 75 years of positions of the outer planets, and decades of prediction.

From JPL's ephemeris DE421: the Sun with the inner planets (their barycentre), and Jupiter to Neptune.
Declared is only that no place and no direction is special. Needs `pip install 'noetherax[plot,data]'`.
"""

import argparse
import importlib.resources
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jplephem.spk import SPK

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=900, help="of Gauss-Newton")
parser.add_argument("--out", type=Path, default=Path("results/solar_system"), help="of the figure")
options = parser.parse_args()
SUNS = {10: 1, 1: 1 / 6023600, 2: 1 / 408523.7, 3: 1 / 328900.6, 4: 1 / 3098708}  # inner planets
TRUE = 1 / np.array([1, 1047.35, 3497.9, 22903.0, 19412.2])
days = np.arange(0, 150 * 365, 40)  # from 1900 on
file = importlib.resources.files("skyfield_data") / "data" / "de421.bsp"
with importlib.resources.as_file(file) as path, SPK.open(path) as kernel:
    parts = [kernel[0, k].compute(2415020.5 + days).T for k in (*SUNS, 5, 6, 7, 8)]
parts[4] = np.average(parts[:5], axis=0, weights=list(SUNS.values()))
tracks = nx.Tracks(days / 365.25, np.stack(parts[4:], axis=1) / 149_597_870.7)  # years and AU
seen, later = tracks.smooth().split(0.5)


class EachBody(nx.Loss):
    unit: jax.Array

    def residuals(self, model, batch):
        return (nx.acceleration(model, *batch[:2]) - batch[2]) / self.unit[:, None]

    def states(self, batch):
        return batch


group, names = nx.Euclidean(3), ("Sun", "Jupiter", "Saturn", "Uranus", "Neptune")
start = {"masses": (1, 1e-3, 3e-4, 5e-5, 5e-5), "train_masses": True, "train_attributes": True}
start["attributes"] = np.array(
    [[2, 2], [2, -1], [-1, 2], [-2, -2], [-2, 0]]
)  # what tells them apart
model = nx.PairwiseLagrangian(group, 20, **start, activation=jnp.tanh, key=jax.random.key(0))
q, v, a = sample = tuple(x[::8] for x in seen.observations())
size = jnp.sqrt(jnp.mean(jnp.sum(jnp.square(a), axis=2), axis=0))
model, _ = nx.prepare(model, sample, loss=EachBody(size))
for power, part in ((0.6, 0.15), (0.8, 0.15), (1, 0.7)):  # at first the heavy ones, then all alike
    polish = {"loss": EachBody(size**power), "iterations": max(1, round(options.steps * part))}
    model, history = nx.polish(model, sample, tolerance=0, **polish)
future, (q1, v1, _) = later[0], later.observations()
orbit = nx.rollout(model, q1[0], v1[0], ts=future.t[:275])  # thirty years
error, years = np.linalg.norm(orbit.q - future.q[:275], axis=2), future.t[:275] - future.t[0]
masses = model.mass_of(5) / model.mass_of(5)[0]
stiffness = -jax.vmap(jax.hessian(model.potential))(q)[:, 0]  # of the pairs with the Sun
print(f"{'':10} {'10 years':>9} {'30 years, AU':>13} {'mass':>10} {'true':>10} {'force ~ r^':>11}")
for k in range(1, 5):
    along = (q[:, k] - q[:, 0]) / jnp.linalg.norm(q[:, k] - q[:, 0], axis=1, keepdims=True)
    steep = jnp.einsum("si,sij,sj->s", along, stiffness[:, :, k], along)
    power = 2 * steep / (jnp.trace(stiffness[:, :, k], axis1=1, axis2=2) - steep)
    print(f"{names[k]:10} {error[years < 10, k].max():9.1e} {error[:, k].max():13.1e}", end=" ")
    print(f"{masses[k]:10.4e} {TRUE[k]:10.4e} {jnp.median(power):11.4f}")
print(f"drift of P and L: {nx.drift(group.noether_charge(model), orbit).max():.1e}")
errors = dict(zip(names, error.T, strict=True))
ax = nx.plot.plot_series(years, errors, ylabel="error of position (AU)", xlabel="time (years)")
options.out.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(options.out / "solar_system.png", dpi=150)
