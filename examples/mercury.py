"""Mercury's law of motion, from twenty years of its positions, and ten years of prediction.

Positions are those of JPL's ephemeris DE421, one a day. Nothing else is given: velocities and
accelerations are estimated, and the law is learned knowing only that no direction is special. Beside
it stands Newton's law for two bodies: like any law of Mercury alone, it leaves out the other planets.
Needs `pip install 'noetherax[plot,data]'`. The full study is `experiments/mercury.py`.
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
parser.add_argument("--steps", type=int, default=20, help="of Gauss-Newton")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/mercury"), help="of the figure")
options = parser.parse_args()

AU, GM = 149_597_870.7, 0.01720209895**2  # in km; of the Sun, in AU³/day²
days = np.arange(1, 30 * 365)  # from 1970 on
file = importlib.resources.files("skyfield_data") / "data" / "de421.bsp"
with importlib.resources.as_file(file) as path, SPK.open(path) as kernel:
    parts = kernel[0, 1], kernel[1, 199], kernel[0, 10]
    first, planet, sun = (part.compute(2440587.5 + days).T[:, None] / AU for part in parts)
positions = first + planet - sun

group = nx.Rotations(3)
tracks = nx.Tracks(days, positions).smooth()
seen, later = tracks.split(2 / 3)
print(tracks.smoothing)
features = group.invariant_features(points=1)
model = nx.NeuralLagrangian(features, width=16, key=jax.random.key(options.seed))
model, how = nx.prepare(model, seen)
sample = tuple(x[::8] for x in seen.observations())
model, history = nx.polish(model, sample, iterations=options.steps, tolerance=0)

future, (q, v, _) = later[0], later.observations()
errors, years = {}, (future.t - future.t[0]) / 365.25
print(f"{'':20} {'error after 1 year':>20} {'10 years, AU':>14} {'drift of q × v':>16}")
laws = {"learned": model, "Newton's, two bodies": nx.systems.KeplerLagrangian(1.0, GM)}
for name, law in laws.items():
    orbit = nx.rollout(law, q[0], v[0], ts=future.t)
    error = errors[name] = np.linalg.norm(orbit.q - future.q, axis=(1, 2))
    drift = nx.drift(group.noether_charge(law), orbit).max()
    print(f"{name:20} {error[years < 1].max():20.1e} {error.max():14.1e} {drift:16.1e}")

ax = nx.plot.plot_series(years, errors, ylabel="error of position (AU)", xlabel="time (years)")
options.out.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(options.out / "mercury.png", dpi=150)
