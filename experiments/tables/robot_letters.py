"""A robot arm that writes letters: its torques, of Deep Lagrangian Networks (Lutter, Ritter & Peters
2019).

Take `--data robot_characters.npz`, from https://github.com/milutter/deep_lagrangian_networks: 20
letters, simulated, with positions, velocities, accelerations and torques of both joints, and the
inertial part of the torque, which no model is shown. The letters e, q and v are the test. Measures:
mean square error of the torque, and of its inertial part. Without the file, a double pendulum moves in
its place and there is nothing to compare with.

Declared is that joints turn. The kinetic energy is ½ v·M(q) v with a learned matrix, so that inertial,
Coriolis and potential parts of the torque are told apart by its form alone.
"""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _row import Measure, Row

import noetherax as nx

UNSEEN = "e", "q", "v"
ITERATIONS, STEPS = 8, 1_000


def recorded(path: Path):
    """What is learned from, the test, and the inertial part of its torques."""
    data = np.load(path)
    test = np.isin(np.repeat(data["labels"], data["lengths"]), UNSEEN)
    columns = [data[name][:, :, None] for name in ("qp", "qv", "qa", "tau")]
    parts = [nx.ForceObservations(*(x[of] for x in columns)) for of in (~test, test)]
    return *parts, data["m"][test][:, :, None]


def moved(seed: int):
    """The same of a double pendulum."""
    law = nx.systems.DoublePendulum().lagrangian
    random = np.random.default_rng(seed)
    sets = []
    for count in (1_000, 200):
        motion = [random.uniform(-size, size, (count, 2, 1)) for size in (3, 4, 10)]
        sets.append((motion, nx.force_parts(law, *motion)))
    of_both = [nx.ForceObservations(*motion, tau=np.sum(parts, axis=0)) for motion, parts in sets]
    return *of_both, sets[1][1].inertial


def main() -> None:
    theirs = "Deep Lagrangian Network"
    measures = {
        "torque": Measure("square error of the torque", {theirs: 4.33e-4}, 4e-5),
        "inertial": Measure("square error of its inertial part", {theirs: 7.34e-4}, 1e-4),
    }
    row = Row(__doc__, "robot_letters", measures, {"--data": (Path, None, "the letters")})
    steps, iterations = (3, 2) if row.quick else (STEPS, ITERATIONS)
    given = row.options.data
    for seed in row.seeds:
        train, test, inertial = moved(seed) if given is None else recorded(given)
        begun = time.perf_counter()
        keys, loss = jax.random.split(jax.random.key(seed)), nx.ForceLoss()
        model: Any = nx.NeuralMechanicalLagrangian(
            nx.Periodic(1).configuration_features(2), width=16, depth=1, masses=0.1, key=keys[0]
        )
        options: dict[str, Any] = {"loss": loss, "progress": False}
        model, _ = nx.fit(model, train, steps=steps, key=keys[1], **options)
        model, _ = nx.polish(model, train, iterations=iterations, **options)
        parts = nx.force_parts(model, *test[:3])
        row.add(
            seed,
            "joints turn" if given else "joints turn (double pendulum)",
            torque=float(np.mean(np.square(sum(parts) - test.tau))),
            inertial=float(np.mean(np.square(parts.inertial - inertial))),
            seconds=time.perf_counter() - begun,
        )
    row.show()


if __name__ == "__main__":
    main()
