"""A double pendulum, of Lagrangian networks (Cranmer et al. 2020): how well its energy is kept.

Rods and masses of one, g = 9.8, two angles; learned from exact accelerations of random states: angles
U(−π, π), angular velocities U(−10, 10). From 40 random starts, angles as before and angular velocities
U(−1, 1), the model is followed over 100 steps of 0.1. The measure is the discrepancy of the *true*
energy from that of the start, in the mean over all, in per cent of the greatest potential energy
(which is 3 g for both rods upright, as from the hinge).

Declared is that angles have a period. In one arm the kinetic energy is ½ v·M(q) v with a learned
matrix, in the other the Lagrangian is any function of the sines and cosines and the angular velocities.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _gravity import Times, follow
from _row import Measure, Row

import noetherax as nx

STATES, STARTS, TIMES = 20_000, 40, Times(101, 10.0)
FASTEST, FASTEST_START, GRAVITY = 10.0, 1.0, 9.8
SAMPLES = 8_192
ARMS = "kinetic energy of a matrix", "any Lagrangian"


def drawn(rng, count: int, fastest: float):
    """Angles and angular velocities."""
    q = rng.uniform(-np.pi, np.pi, (count, 2, 1))
    return q, rng.uniform(-fastest, fastest, q.shape)


def build(arm: str, key):
    circle = nx.Periodic(1)
    options: dict[str, Any] = {"width": 32, "key": key}
    if arm == ARMS[0]:
        return nx.NeuralMechanicalLagrangian(circle.configuration_features(2), **options)
    return nx.NeuralLagrangian(circle.invariant_features(2), **options)


def main() -> None:
    published = {"Lagrangian network": 0.4, "baseline": 8.0}
    measures = {"energy": Measure("discrepancy of the energy, per cent", published, 0.004)}
    row = Row(__doc__, "double_pendulum", measures)
    states, steps, iterations = STATES, 5_000, 60
    if row.quick:
        states, steps, iterations = 200, 3, 2
    law = nx.systems.DoublePendulum(gravity=GRAVITY).lagrangian
    energy = jax.vmap(jax.vmap(functools.partial(nx.energy, law)))

    def discrepancy(model, q, v):
        """In per cent, of every start and time."""
        found = energy(*follow(model, q, v, TIMES))
        return 100 * np.abs(np.asarray(found - found[:, :1])) / (3 * GRAVITY)

    for seed in row.seeds:
        rng = np.random.default_rng(seed)
        q, v = (jnp.asarray(x) for x in drawn(rng, states, FASTEST))
        data = nx.Observations(q, v, jax.vmap(functools.partial(nx.acceleration, law))(q, v))
        begin = drawn(rng, STARTS, FASTEST_START)
        row.add(seed, "true law", energy=float(np.mean(discrepancy(law, *begin))))
        for arm in row.chosen(ARMS):
            begun = time.perf_counter()
            keys = jax.random.split(jax.random.key(seed))
            options: dict[str, Any] = {"progress": False}
            model, _ = nx.fit(build(arm, keys[0]), data, steps=steps, key=keys[1], **options)
            chosen = nx.Observations(*(x[:SAMPLES] for x in data))
            model, history = nx.polish(model, chosen, iterations=iterations, **options)
            seconds = time.perf_counter() - begun
            wrong = discrepancy(model, *begin)
            row.add(
                seed,
                arm,
                energy=float(np.mean(wrong)),
                energy_median=float(np.median(wrong)),
                energy_worst=float(np.max(wrong)),
                loss=float(history.loss[-1]),
                seconds=seconds,
            )
    row.show()


if __name__ == "__main__":
    main()
