"""Gravity and masses from 75 years of positions of the outer planets, and decades of prediction.

From JPL's ephemeris DE421: the Sun with the inner planets (their barycentre), and Jupiter to Neptune.
Declared is only that no place and no direction is special, so that pairs of bodies see distances.
Needs `pip install 'noetherax[plot,data]'`.
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
parser.add_argument("--steps", type=int, default=130, help="of Gauss-Newton, for each of three losses")
parser.add_argument("--out", type=Path, default=Path("results/solar_system"), help="of the figure")
options = parser.parse_args()

BODIES = ("Sun", "Jupiter", "Saturn", "Uranus", "Neptune")
INNER = {10: 1, 1: 1 / 6023600, 2: 1 / 408523.7, 3: 1 / 328900.6, 4: 1 / 3098708}  # in Suns
TRUE = 1 / np.array([1, 1047.35, 3497.9, 22903.0, 19412.2])
days = np.arange(0, 150 * 365.25, 40)  # from 1900 on
file = importlib.resources.files("skyfield_data") / "data" / "de421.bsp"
with importlib.resources.as_file(file) as path, SPK.open(path) as kernel:
    places = [kernel[0, k].compute(2415020.5 + days).T / 149_597_870.7 for k in (*INNER, 5, 6, 7, 8)]
sun = np.average(places[:5], axis=0, weights=list(INNER.values()))
tracks = nx.Tracks(days / 365.25, np.stack([sun, *places[5:]], axis=1)).smooth()
seen, later = tracks.split(0.5)

class EachBody(nx.Loss):
    """Errors of the acceleration of each body, in units of its own."""
    unit: jax.Array
    def residuals(self, model, batch):
        error = nx.acceleration(model, *batch[:2]) - batch[2]
        return (error / self.unit[:, None]).reshape(len(error), -1)
    def states(self, batch):
        return batch

group, guess = nx.Euclidean(3), np.array([1.0, 1e-3, 3e-4, 5e-5, 5e-5])
known = {"masses": guess, "attributes": KINDS}
model = nx.PairwiseLagrangian(group, 20, train_masses=True, train_attributes=True, **known, activation=jnp.tanh, key=jax.random.key(0))
sample = tuple(x[::8] for x in seen.observations())
sizes = jnp.sqrt(jnp.mean(jnp.sum(jnp.square(sample[2]), axis=2), axis=0))
model, _ = nx.prepare(model, sample, loss=EachBody(sizes))
for power in (0.6, 0.8, 1):  # from the heavy to the light
    model, history = nx.polish(model, sample, loss=EachBody(sizes**power), iterations=options.steps, tolerance=0)
