"""Duffing's oscillator: trained on two sizes of its drive, predicted at a third.

x'' = −x − x³ − 0.2 v + A cos 1.4 t from x = 0.5 at rest, 800 positions, 0.05 apart, with noise of
standard deviation 1e-3; A is 0.2 and 0.6 in what is learned from, and 0.4 in what is predicted, from
the true start. Measures: the largest error of the motion, relative to its largest position, and the
error of the friction constant.

The drive is an input that all models are given, and that it acts as a force. Ours assumes a mass and
linear friction, and learns a potential, with a normal prior of unit size on the weights where it is
polished by trajectories; the second-order neural ODE learns the acceleration without
drive; other arms know the law up to its constants, or altogether: then the start is off by the noise of
one observation, and the figure is the mean of 64 such. The bound is that of Cramér and Rao for the
constants and both starts together: the mean of the largest error that the best unbiased estimate makes.
"""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _motions import WithPrior, follow, permitted
from _row import Measure, Row

import noetherax as nx

RATE, FRICTION, NOISE = 1.4, 0.2, 1e-3
INTERVAL, TIMES, WINDOW, TWINS = 0.05, 800, 100, 64
TRAINED, UNSEEN = (0.2, 0.6), 0.4
ARMS = (
    "as the example: polished by accelerations",
    "polished by trajectories",
    "second-order neural ODE",
    "law known but for its constants",
    "true law, another start",
    "bound, law known but for its constants",
)
T = INTERVAL * np.arange(TIMES)
START = np.full((1, 1), 0.5), np.zeros((1, 1))


class Spring(nx.SeparableLagrangian):
    """V = a x²/2 + b x⁴/4."""

    constants: jax.Array

    def inertia(self):
        return 1.0

    def potential(self, q):
        a, b = self.constants
        return jnp.sum(a * q**2 / 2 + b * q**4 / 4)


class Cosine(eqx.Module):
    """An input."""

    size: float

    def __call__(self, t):
        return self.size * jnp.cos(RATE * t)[None]


def push(q, v, t, u):
    return u[None]


def friction(constant=None) -> nx.LinearFriction:
    return nx.LinearFriction(nx.Trivial(1).configuration_features(1), constant)


def driven(model, size: float):
    return nx.Driven(model, Cosine(size))


def moved(model, size: float, start=START):
    """Positions under a drive."""
    return follow(driven(model, size), jnp.stack(start), INTERVAL, TIMES - 1, 2)[:, 0]


def truth():
    return nx.Forced(Spring(jnp.ones(2)), friction(FRICTION), push)


def recorded(seed: int, times: int) -> nx.Tracks:
    random = np.random.default_rng(seed)
    shape = (TIMES, 1, 1)
    noisy = [np.asarray(moved(truth(), x)) + NOISE * random.normal(size=shape) for x in TRAINED]
    inputs = [(x * np.cos(RATE * T))[:times, None] for x in TRAINED]
    return nx.Tracks([T[:times]] * len(TRAINED), [x[:times] for x in noisy], inputs=inputs)


def trained(arm: str, tracks: nx.Tracks, seed: int, steps: int, last: int):
    smooth, keys = tracks.smooth(), jax.random.split(jax.random.key(seed))
    quiet: dict[str, Any] = {"progress": False}
    if arm == ARMS[2]:
        states = smooth.observations()
        law: Any = nx.NeuralODE(*states[:3], width=16, depth=1, key=keys[0])
        model: Any = nx.Forced(law, push)
    elif arm == ARMS[3]:
        model = nx.Forced(Spring(jnp.full(2, 0.8)), friction(), push)
    else:
        features = nx.Trivial(1).configuration_features(1)
        spring = nx.NeuralSeparableLagrangian(features, width=8, depth=1, key=keys[0])
        model = nx.Forced(spring, friction(), push)
    model, _ = nx.fit(model, smooth, steps=steps, key=keys[1], **quiet)
    if arm == ARMS[0]:
        return nx.polish(model, smooth, iterations=last, **quiet)[0]
    of_data = nx.TrajectoryLoss(INTERVAL, noise=1.0, inputs="cubic")
    windows = tracks.windows(WINDOW, stride=WINDOW, timed=True)
    freedom = len(windows.q) * (WINDOW - 2)
    loss = WithPrior(of_data, jnp.array(NOISE), jnp.array(1.0), freedom)
    return nx.polish(model, windows, loss=loss, iterations=last, **quiet)[0]


def bound() -> tuple[float, float]:
    """Of the constant of friction, and of the motion not seen."""
    two = 2 * len(TRAINED)

    def motions(x):
        model = nx.Forced(Spring(x[:2]), friction(1.0), lambda q, v: (1 - x[2]) * v, push)
        starts = x[3:].reshape(len(TRAINED), 2, 1, 1)
        seen = [moved(model, size, start) for size, start in zip(TRAINED, starts, strict=True)]
        return jnp.concatenate([*seen, moved(model, UNSEEN)])

    x = jnp.array([1.0, 1.0, FRICTION, *[0.5, 0.0] * len(TRAINED)])
    assert len(x) == 3 + two
    found = permitted(motions, x, len(TRAINED) * TIMES, NOISE)
    return float(found.deviations[2]), found.largest


def errors(model) -> dict[str, float]:
    found = {}
    for size in (UNSEEN, *TRAINED):
        true = moved(truth(), size)
        off = float(jnp.max(jnp.abs(moved(model, size) - true)) / jnp.max(jnp.abs(true)))
        found[f"drive_{10 * size:.0f}"] = 100 * off
    return found


def another_start(seed: int) -> dict[str, float]:
    """Of the true law."""
    true, random = moved(truth(), UNSEEN), np.random.default_rng(seed)
    off = [
        jnp.max(jnp.abs(moved(truth(), UNSEEN, (START[0] + a, START[1] + b)) - true))
        for a, b in NOISE * random.normal(size=(TWINS, 2))
    ]
    return {"drive_4": float(100 * np.mean(off) / jnp.max(jnp.abs(true)))}


def main() -> None:
    measures = {
        f"drive_{10 * size:.0f}": Measure(f"drive {size}, {seen}: error of the motion, %")
        for size, seen in {UNSEEN: "not seen", **dict.fromkeys(TRAINED, "trained on")}.items()
    }
    measures["friction"] = Measure("error of the friction constant, %")
    row = Row(__doc__, "duffing", measures)
    steps, last = (3, 2) if row.quick else (2_000, 60)
    size = float(jnp.max(jnp.abs(moved(truth(), UNSEEN))))
    for seed in row.seeds:
        tracks = recorded(seed, 200 if row.quick else TIMES)
        for arm in row.chosen(ARMS):
            begun = time.perf_counter()
            if arm == ARMS[4]:
                found = another_start(seed)
            elif arm == ARMS[5]:
                constant, off = bound()
                found = {"drive_4": 100 * off / size}
                found["friction"] = 100 * np.sqrt(2 / np.pi) * constant / FRICTION
            else:
                model = trained(arm, tracks, seed, steps, last)
                found = errors(model)
                if arm != ARMS[2]:
                    constant = float(model.forces[0].constants[0])
                    found["friction"] = 100 * abs(constant / FRICTION - 1)
            row.add(seed, arm, **found, seconds=time.perf_counter() - begun)
    row.show()


if __name__ == "__main__":
    main()
