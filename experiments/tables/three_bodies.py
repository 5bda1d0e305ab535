"""Three bodies under gravity, of Hamiltonian networks (Greydanus, Dzamba & Yosinski 2019).

In the plane, with masses and the constant of gravity one: an equilateral triangle of radius U(0.9, 1.2)
turned by any angle, and the velocities of its circular motion, each component times 1 + 0.2 U(−1, 1).
5,000 trials of 20 states over 5 units of time, with exact derivatives and without noise; a fifth of
the states is for the test. Measures: mean square error of d(q, v)/dt on test states, over components,
and of the energy, along rollouts over 5 units of time from such states.

Bodies pass close by each other, and a few such states have most of the error. So half of the states for
the last digits are the closest passages among those to learn from; medians stand beside the means, and
the errors of the slope by the distance of closest approach. Motions that collide within rounding are
left out, and counted.

Declared are the isometries of the plane and given masses. In one arm bodies act on each other in pairs;
in the other the potential may depend on all three in any invariant way.
"""

import time

import jax
import numpy as np
from _gravity import Times, closest, judge, motions, slopes, split
from _row import Measure, Row

import noetherax as nx

TRIALS, TIMES = 5_000, Times(20, 5.0)
ROLLOUTS = 500
SAMPLES = 4_096
APPROACH = 0.1, 0.3
"""Distances that the errors are parted by."""

PARTS = (
    f"slope, bodies nearer than {APPROACH[0]:g}",
    "slope, between",
    f"slope, farther than {APPROACH[1]:g}",
)

FLOOR = 1.0
"""Acceleration below which all states count alike in training."""

ARMS = "pairs", "potential of all three"


def starts(rng, trials: int):
    """Positions and velocities of the trials."""
    angle = rng.uniform(0, 2 * np.pi, (trials, 1)) + np.arange(3) * 2 * np.pi / 3
    radius = rng.uniform(0.9, 1.2, (trials, 1, 1))
    q = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    v = q[..., ::-1] * np.array([-1, 1]) / radius**1.5 / 3**0.25
    return q, v * (1 + 0.2 * rng.uniform(-1, 1, v.shape))


def build(arm: str, key):
    group = nx.Euclidean(2)
    if arm == ARMS[0]:
        return nx.PairwiseLagrangian(group, 32, key=key)
    return nx.NeuralSeparableLagrangian(group.configuration_features(3), 64, key=key)


def main() -> None:
    measures = {
        "slope": Measure("square error of d(q, v)/dt", {"Hamiltonian network": 4.9e-1}, 4.9e-2),
        "energy": Measure("square error of the energy", {"Hamiltonian network": 4.2e-2}, 4.2e-3),
        "slope_median": Measure("the same of the slope, median"),
        "energy_median": Measure("the same of the energy, median"),
    }
    measures |= {part: Measure(f"square error of the {part}") for part in PARTS}
    row = Row(__doc__, "three_bodies", measures)
    trials, rollouts, steps, iterations = TRIALS, ROLLOUTS, 4_000, 40
    if row.quick:
        trials, rollouts, steps, iterations = 10, 3, 3, 2
    loss = nx.RelativeAccelerationLoss(FLOOR)
    for seed in row.seeds:
        rng = np.random.default_rng(seed)
        states = motions(*starts(rng, trials), TIMES)
        left_out = trials * TIMES.number - len(states.q)
        train, test = split(rng, states)
        distance = closest(test.q)
        nearest = np.argsort(closest(train.q))[: SAMPLES // 2]
        rows = np.union1d(nearest, np.arange(min(SAMPLES // 2, len(train.q))))
        for arm in row.chosen(ARMS):
            begun = time.perf_counter()
            keys = jax.random.split(jax.random.key(seed))
            options = {"loss": loss, "progress": False}
            model, _ = nx.fit(build(arm, keys[0]), train, steps=steps, key=keys[1], **options)
            chosen = nx.Observations(*(x[rows] for x in train))
            model, history = nx.polish(model, chosen, iterations=iterations, tolerance=0, **options)
            seconds = time.perf_counter() - begun
            slope = slopes(model, test)
            part = np.digitize(distance, APPROACH)
            parts = {
                name: float(np.mean(slope[part == i]))
                for i, name in enumerate(PARTS)
                if np.any(part == i)
            }
            figures = judge(model, test, rollouts, TIMES) | parts
            loss_found = float(history.loss[-1])
            row.add(seed, arm, **figures, loss=loss_found, left_out=left_out, seconds=seconds)
    row.show()


if __name__ == "__main__":
    main()
