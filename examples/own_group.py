"""A symmetry of your own, by its generator: a bead tied to a helical wire. Neither its momentum along
the axis nor its angular momentum about it is conserved, but their sum is."""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import noetherax as nx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=5000, help="of training")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/own_group"), help="of the figure")
options = parser.parse_args()


class Screw(nx.AffineGroup):  # x → A x + b: a turn about z, and one unit along z for every radian
    def algebra(self):
        return jnp.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]]), jnp.array([[0.0, 0, 1]])


class Alongside(nx.InvariantFeatures):  # position and velocity in axes that turn with the height z
    num_features: int = 5  # by hand, since invariants of a screw are no polynomials

    def __call__(self, q, v):
        cosine, sine = jnp.cos(q[0, 2]), jnp.sin(q[0, 2])
        turn = jnp.array([[cosine, sine], [-sine, cosine]])
        return jnp.concatenate([turn @ q[0, :2], turn @ v[0, :2], v[0, 2:]])


def wire(q, v):
    x, y, *_ = Alongside()(q, v)
    return jnp.sum(v**2) / 2 - 2 * ((x - 1) ** 2 + y**2)


keys = jax.random.split(jax.random.key(options.seed), 3)
q, v = 0.7 * jax.random.normal(keys[0], (2, 4096, 1, 3)) + jnp.array([1.0, 0, 0])
a = jax.vmap(lambda q, v: nx.acceleration(wire, q, v))(q, v)
model = nx.NeuralLagrangian(Alongside(), width=64, key=keys[1])
model, history = nx.fit(model, (q, v, a), steps=options.steps, key=keys[2])

ts = jnp.linspace(0.0, 20.0, 401)
start = jnp.array([[1.5, 0, 0]]), jnp.array([[0.0, 0.8, 0.5]])
orbit, truth = (nx.rollout(law, *start, ts=ts) for law in (model, wire))
print(f"distance to the truth: {jnp.abs(orbit.q - truth.q).max():.1e}")
groups = {"turn": nx.AxialRotations(), "shift": nx.Translations(3, axes=(2,)), "screw": Screw()}
print(f"{'charge of':10} {'drift, model':>14} {'drift, truth':>14}")
for name, group in groups.items():
    own, true = (nx.drift(group.noether_charge(law), orbit).max() for law in (model, wire))
    print(f"{name:10} {own:14.1e} {true:14.1e}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
nx.plot.plot_orbits({"model": orbit}, reference=truth.q[::4], ax=left)
charges = {k: jax.vmap(g.noether_charge(wire))(orbit.q, orbit.v)[:, 0] for k, g in groups.items()}
nx.plot.plot_series(ts, charges, ylabel="true charge along the model's motion", log=False, ax=right)
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "own_group.png", dpi=150)
