"""Two bodies under gravity, of Hamiltonian networks (Greydanus, Dzamba & Yosinski 2019).

In the plane, with masses and the constant of gravity one: x₁ = −x₂ with both coordinates U(0.5, 1.5),
and the velocities of the circular orbit times 1 + 0.05 N. 1,000 trials of 50 states over 20 units of
time, with exact derivatives and without noise; a fifth of the states is for the test. Measures: mean
square error of d(q, v)/dt on test states, over components, and of the energy, along rollouts over 20
units of time from such states.

Declared are the isometries of the plane and equal, given masses (`PairwiseLagrangian`); an arm with a
general Lagrangian of the same invariants learns the kinetic energy as well.
"""

import time

import jax
import numpy as np
from _gravity import Times, judge, motions, split
from _row import Measure, Row

import noetherax as nx

TIMES = Times(50, 20.0)
FULL = 1_000, 200, 1_000, 160
"""Trials and rollouts; steps of the fit and of polish."""

SAMPLES = 4_096
ARMS = "pairs, masses given", "general Lagrangian"


def starts(rng, trials: int):
    """Positions and velocities of the trials."""
    place = rng.uniform(0.5, 1.5, (trials, 2))
    distance = np.linalg.norm(place, axis=1, keepdims=True)
    speed = 1 + 0.05 * rng.normal(size=(trials, 1))
    velocity = place[:, ::-1] * np.array([-1, 1]) / (2 * distance**1.5) * speed
    return tuple(np.stack([x, -x], axis=1) for x in (place, velocity))


def build(arm: str, key):
    group = nx.Euclidean(2)
    if arm == ARMS[0]:
        return nx.PairwiseLagrangian(group, 32, key=key)
    return nx.NeuralLagrangian(group.invariant_features(2), 32, key=key)


def main() -> None:
    measures = {
        "slope": Measure("square error of d(q, v)/dt", {"Hamiltonian network": 2.82e-6}, 2.8e-8),
        "energy": Measure("square error of the energy", {"Hamiltonian network": 3.88e-5}, 3.9e-7),
        "energy_median": Measure("its median over rollouts"),
        "diverged": Measure(f"rollouts of {FULL[1]} that diverge"),
    }
    row = Row(__doc__, "two_bodies", measures)
    trials, rollouts, steps, iterations = (20, 3, 3, 2) if row.quick else FULL
    for seed in row.seeds:
        rng = np.random.default_rng(seed)
        q, v = starts(rng, trials)
        train, test = split(rng, motions(q, v, TIMES))
        for arm in row.chosen(ARMS):
            begun = time.perf_counter()
            keys = jax.random.split(jax.random.key(seed))
            options = {"loss": nx.AccelerationLoss(), "progress": False}
            model, _ = nx.fit(build(arm, keys[0]), train, steps=steps, key=keys[1], **options)
            chosen = nx.Observations(*(x[:SAMPLES] for x in train))
            model, history = nx.polish(model, chosen, iterations=iterations, tolerance=0, **options)
            seconds = time.perf_counter() - begun
            figures = judge(model, test, rollouts, TIMES)
            row.add(seed, arm, **figures, loss=float(history.loss[-1]), seconds=seconds)
    row.show()


if __name__ == "__main__":
    main()
