"""How sure is a prediction? BlackJAX draws the weights of the last layer from their posterior.

Far outside the data their spread is too small: the hidden layers, which stay, have never been there.
"""

import argparse
from pathlib import Path

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from blackjax.util import run_inference_algorithm

import noetherax as nx

jax.config.update("jax_enable_x64", True)
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="of training, and of the sampler")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("results/uncertainty"), help="folder")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
keys, noise = jax.random.split(jax.random.key(options.seed), 6), 0.02
q, v = jax.random.ball(keys[0], 4, shape=(100,)).reshape(100, 2, 1, 2).swapaxes(0, 1)
law = nx.systems.DoubleWellLagrangian(mass=1.0, mu=-1.0, kappa=1.0)  # q²/2 + q⁴/4: no barrier
a = nx.acceleration(law, q, v) + noise * jax.random.normal(keys[1], q.shape)
distance = nx.Rotations(2).configuration_features(points=1)
model = nx.NeuralSeparableLagrangian(distance, width=12, masses=1.0, key=keys[2])
model, _ = nx.fit(model, (q, v, a), steps=options.steps, key=keys[3])
w0 = model.network.layers[-1].weight


def drawn(w):
    return eqx.tree_at(lambda m: m.network.layers[-1].weight, model, w)


def density(w):
    error = jax.vmap(lambda q, v: nx.acceleration(drawn(w), q, v))(q, v) - a
    return -jnp.sum(error**2) / (2 * noise**2) - jnp.sum(w**2) / (2 * jnp.mean(w0**2))


warm_up = blackjax.window_adaptation(blackjax.nuts, density)
(state, best), _ = warm_up.run(keys[4], w0, num_steps=options.steps)  # pyright: ignore[reportCallIssue]
_, (draws, _) = run_inference_algorithm(keys[5], blackjax.nuts(density, **best), 500, state)
ts, figure = jnp.linspace(0.0, 3.0, 61), plt.figure(figsize=(12, 3.5), layout="constrained")
print(f"{'from':>6} {'error of the mean':>18} {'largest spread':>15} {'within 90 %':>12}")
for r, ax in zip((0.6, 1.2, 1.8), figure.subplots(1, 3), strict=True):
    start = jnp.array([[r, 0.0]]), jnp.array([[0.0, r / 2]])
    truth = nx.rollout(law, *start, ts=ts).q
    paths = jnp.stack([nx.rollout(drawn(w), *start, ts=ts).q for w in draws.position[::10]])
    low, high = jnp.quantile(paths, jnp.array([0.05, 0.95]), axis=0)
    inside = jnp.mean((low <= truth) & (truth <= high))
    error = jnp.max(jnp.abs(paths.mean(axis=0) - truth))
    print(f"{r:6} {error:18.2e} {paths.std(axis=0).max():15.2e} {inside:12.0%}")
    ax.fill_between(ts, low[:, 0, 0], high[:, 0, 0], color="tab:red", alpha=0.3)
    ax.plot(ts, truth[:, 0, 0], "k--", lw=1)
    ax.set(xlabel="time", title=f"x from {r}, seen up to 1; dashed: true")
figure.savefig(options.out / "uncertainty.png", dpi=150)
