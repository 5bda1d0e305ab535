"""Gravity, and the masses of the planets, from 75 years of positions; then thirty years of prediction.

From JPL's DE421: the Sun with the inner planets, and Jupiter to Neptune. Declared: no place and no
direction is special, and what resists being moved is what attracts, one number for each body, learned
with the potential of a pair. Nothing says that it is 1/r. Needs `pip install 'noetherax[plot,data]'`.
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
parser.add_argument("--steps", type=int, default=250, help="of Gauss-Newton")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/solar_system"), help="of the figure")
options = parser.parse_args()

AU, INNER = 149_597_870.7, {10: 1, 1: 6_023_600, 2: 408_523.7, 3: 328_900.6, 4: 3_098_708}
TRUE = {"Sun": 1.0, "Jupiter": 1047.35, "Saturn": 3497.9, "Uranus": 22903.0, "Neptune": 19412.2}
days = np.arange(0, 150 * 365, 40)  # from 1900 on
file = importlib.resources.files("skyfield_data") / "data" / "de421.bsp"
with importlib.resources.as_file(file) as path, SPK.open(path) as kernel:
    places = {k: kernel[0, k].compute(2415020.5 + days).T / AU for k in (*INNER, 5, 6, 7, 8)}
sun = np.average([places[k] for k in INNER], axis=0, weights=[1 / x for x in INNER.values()])
positions = np.stack([sun, *(places[k] for k in (5, 6, 7, 8))], axis=1)
seen, later = nx.Tracks(days / 365.25, positions).smooth().split(0.5)
model = nx.PairwiseLagrangian(
    nx.Euclidean(3),
    width=16,
    attributes=[[1.0], *4 * [[1e-3]]],
    train_attributes=True,
    mass_attribute=0,
    strength=0,
    activation=jax.nn.tanh,
    key=jax.random.key(options.seed),
)
sample = tuple(x[::8] for x in seen.observations())
model, _ = nx.prepare(model, sample)
model, history = nx.polish(model, sample, iterations=options.steps, tolerance=0)
print(history)

future, (q, v, _) = later[0][:275], later.observations()
orbit = nx.rollout(model, q[0], v[0], ts=future.t)
years, masses = future.t - future.t[0], np.asarray(model.mass_of(5))
errors = dict(zip(TRUE, np.linalg.norm(orbit.q - future.q, axis=2).T, strict=True))
print(f"{'':8} {'AU off in 10 years':>20} {'in 30':>10} {'Sun / mass':>12} {'true':>10}")
for (name, error), mass in zip(errors.items(), masses / masses[0], strict=True):
    worst = error[years < 10].max(), error.max()
    print(f"{name:8} {worst[0]:20.1e} {worst[1]:10.1e} {1 / mass:12.2f} {TRUE[name]:10}")

ax = nx.plot.plot_series(years, errors, ylabel="error of position (AU)", xlabel="time (years)")
options.out.mkdir(parents=True, exist_ok=True)
ax.figure.savefig(options.out / "solar_system.png", dpi=150)
