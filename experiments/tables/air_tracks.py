"""Carts on springs on an air track, filmed: the second half of a recording, predicted from the first.

Take `--one air_track_1.csv` with columns t and x, and `--two air_track_2.csv` with t, x1 and x2: real
recordings of one and of two carts, thirty positions a second, in whole units of length. Without a file
a row makes a recording like it. No model is shown velocities, which the files have as well, or the
second half.

Every model starts from the smoothed first half, goes on by least squares of the trajectory, and is
followed from the state whose motion is nearest to the first half. Measures: the root mean square error
of the positions of the second half, in the unit of the data and relative to half the range of their
motion. The number of units of our network, 4 or 8, was chosen within the first half: by the last third
of it, predicted from the other two, with other seeds.

Declared is that carts have constant masses and are acted on by springs, of any law, between walls and
carts, and by friction; the neural ODE and the linear models are told nothing of it.
"""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _motions import follow, nearest_start
from _row import Measure, Row

import noetherax as nx

FREE = 1e-30  # so little friction is none
SUBSTEPS, UNIT = 2, 0.5  # unit of the losses, about the noise of whole numbers
ARMS = (
    "Lagrangian and friction",
    "Lagrangian without friction",
    "linear, least squares of accelerations",
    "linear, least squares of the trajectory",
    "second-order neural ODE, 4 units",
    "second-order neural ODE, 16 units",
)
WIDTHS = 4, 16  # of the neural ODEs; the first is that of ours


class Stretches(nx.ConfigurationFeatures):
    """Of the springs: from a wall to every cart, and between neighbours."""

    num_features: int

    def __call__(self, q):
        return jnp.append(q[:, 0], jnp.diff(q[:, 0]))


class Linear(nx.AccelerationLaw):
    """a = A q + B v + c."""

    stiffness: jax.Array
    damping: jax.Array
    offset: jax.Array

    def __call__(self, q, v):
        return self.stiffness @ q + self.damping @ v + self.offset


def linear_of(states) -> Linear:
    """By least squares of accelerations."""
    q, v, a = (np.asarray(x)[:, :, 0] for x in states)
    n = q.shape[1]
    inputs = np.hstack([q, v, np.ones((len(q), 1))])
    found = jnp.asarray(np.linalg.lstsq(inputs, a, rcond=None)[0].T)
    return Linear(found[:, :n], found[:, n : 2 * n], found[:, 2 * n :])


def made(path: Path, carts: int, seed: int, times: int) -> Path:
    """A recording of one or two modes, damped, in whole units of length."""
    t, random = np.arange(times)[:, None] / 30, np.random.default_rng(seed)
    modes = [np.cos(2.3 * t) * [1, 1], np.cos(3.4 * t) * [1, -1]]
    x = 50 * np.exp(-0.01 * t) * (sum(modes) if carts == 2 else 2 * np.cos(2.3 * t))
    x = np.round(x + 0.3 * random.normal(size=x.shape))
    names = ["x"] if carts == 1 else ["x1", "x2"]
    header = ",".join(["t", *names])
    np.savetxt(path, np.hstack([t, x]), delimiter=",", header=header, comments="")
    return path


def trained(arm: str, seen: nx.Tracks, smooth: nx.Tracks, seed: int, steps: int, last: int):
    """A model by accelerations of the smoothed first half, then by its trajectory."""
    states, keys = smooth.observations(), jax.random.split(jax.random.key(seed))
    points = states[0].shape[1]
    quiet: dict[str, Any] = {"progress": False}
    if arm.startswith("linear"):
        model: Any = linear_of(states)
        if "accelerations" in arm:
            return model
    elif "ODE" in arm:
        width = WIDTHS[ARMS[-2:].index(arm)]
        model = nx.NeuralODE(*states, width=width, depth=1, key=keys[0])
        model, _ = nx.fit(model, states, steps=steps, key=keys[1], **quiet)
    else:
        masses: dict[str, Any] = {"masses": (1.0,) * points, "train_masses": points > 1}
        springs = nx.NeuralSeparableLagrangian(
            Stretches(2 * points - 1), width=WIDTHS[0], depth=1, key=keys[0], **masses
        )
        rates = nx.Trivial(1).configuration_features(points)
        friction = nx.LinearFriction(rates, 0.5 if arm == ARMS[0] else FREE)
        model = nx.Forced(springs, friction)
        # Other first layers were not yet tried when the figures of the page were made.
        model, _ = nx.prepare(model, states, first_layer=False)
        model, _ = nx.fit(model, states, steps=steps, key=keys[1], **quiet)
    loss = nx.TrajectoryLoss(seen.interval, noise=UNIT, substeps=SUBSTEPS)
    whole = seen.windows(len(seen[0].t))
    model, _ = nx.polish(model, whole, loss=loss, iterations=last, tolerance=0, **quiet)
    return model


def balance_left(model, state, ts) -> float:
    """The energy's balance along the prediction, relative to the largest kinetic energy. Steps are
    those of the recording, and what is left is the error of a method of order six."""
    orbit = nx.rollout(model, *state, ts=ts, solver=nx.VariationalGauss6(), dt=ts[1] - ts[0])
    energy = nx.Energy(model)
    assert orbit.p is not None  # of a variational solver
    size = jnp.sum(orbit.p * orbit.v, axis=(1, 2)).max() / 2  # the largest kinetic energy
    return float(np.max(np.abs(nx.balance(energy, orbit))) / size)


def main() -> None:
    measures = {}
    for name, text in {"one": "one cart", "two": "two carts"}.items():
        measures |= {
            f"{name}_error": Measure(f"{text}: error of the second half, unit of the data"),
            f"{name}_relative": Measure(f"{text}: the same, relative to the amplitude"),
            f"{name}_seen": Measure(f"{text}: misfit of the first half, unit of the data"),
        }
    measures |= {
        "one_noise": Measure("one cart: noise of a position, estimated, unit of the data"),
        "two_noise": Measure("two carts: noise of a position, estimated, unit of the data"),
        "one_friction": Measure("one cart: friction constant by mass, 1/s"),
        "two_friction_1": Measure("two carts: friction constant of the first by its mass, 1/s"),
        "two_friction_2": Measure("two carts: friction constant of the second by its mass, 1/s"),
        "one_balance": Measure("one cart: energy balance of the prediction, relative"),
        "two_balance": Measure("two carts: energy balance of the prediction, relative"),
    }
    files = {"one": (Path, None, "of one cart"), "two": (Path, None, "of two carts")}
    row = Row(__doc__, "air_tracks", measures, {f"--{k}": x for k, x in files.items()})
    steps, last = (3, 2) if row.quick else (500, 60)
    for seed in row.seeds:
        halves = {}
        for carts, name in enumerate(list(files)[: 1 if row.quick else None], 1):
            path = getattr(row.options, name)
            path = path or made(
                row.options.out / f"carts_{carts}.csv", carts, seed, 120 if row.quick else 600
            )
            columns = ["x"] if carts == 1 else ["x1", "x2"]
            tracks = nx.Tracks.from_csv(path, time="t", position=[[x] for x in columns])
            seen, later = tracks.split(0.5)
            halves[name] = seen, later, seen.smooth()
        noise = {k: float(np.max(x[2].smoothing.noise.q)) for k, x in halves.items()}
        row.add(seed, "the recording", **{f"{k}_noise": x for k, x in noise.items()})
        for arm in row.chosen(ARMS):
            begun, found = time.perf_counter(), {}
            for name, (seen, later, smooth) in halves.items():
                model = trained(arm, seen, smooth, seed, steps, last)
                begin = nearest_start(model, seen, smooth, SUBSTEPS)
                count, size = len(seen[0].t), np.ptp(later[0].q, axis=0) / 2
                path = follow(model, begin, seen.interval, count + len(later[0].t) - 1, SUBSTEPS)
                off = np.asarray(path[:, 0]) - np.concatenate([seen[0].q, later[0].q])
                found[f"{name}_error"] = root_mean_square(off[count:])
                found[f"{name}_relative"] = root_mean_square(off[count:] / size)
                found[f"{name}_seen"] = root_mean_square(off[:count])
                if arm == ARMS[0]:
                    masses = np.ravel(model.lagrangian.inertia())
                    constants = np.asarray(model.forces[0].constants) / masses
                    parts = [""] if len(constants) == 1 else ["_1", "_2"]
                    found |= {
                        f"{name}_friction{k}": float(c)
                        for k, c in zip(parts, constants, strict=True)
                    }
                    ts = seen.interval * np.arange(len(later[0].t))
                    found[f"{name}_balance"] = balance_left(model, path[count], ts)
            row.add(seed, arm, **found, seconds=time.perf_counter() - begun)
    row.show()


def root_mean_square(x) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


if __name__ == "__main__":
    main()
