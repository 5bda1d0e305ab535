"""The springy double pendulum of EMLP (Finzi, Welling & Wilson 2021) and of "Scalars are universal"
(Villar et al. 2021).

    L = ½ v² − ½ (‖x₁‖ − 1)² − (‖x₁ − x₂‖ − 1)² − z₁ − z₂,

two points of mass one in space, with rotations about z declared. 500 systems are followed over 30
units of time; of each, five states 0.2 apart from a random place are what is learned from. 500 others
are predicted from their start over the next 150 states: geometric mean of ‖a − b‖/(‖a‖ + ‖b‖), (q, v)
of model and truth, of at least 1e-7.

Five exact states determine the acceleration in their middle (`TrajectoryLoss.states`), and from those
a new model is fitted and polished. Arms: a potential beside given masses (the kinetic energy is
assumed), a general Lagrangian, one without the symmetry, and a plain neural ODE.
Run as `python experiments/tables/springy_double_pendulum.py`; see `--help` for options.
"""

import functools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _row import Measure, Row, geometric_mean

import noetherax as nx

INTERVAL, CHUNK, LEAST = 0.2, 5, 1e-7
AXIAL = nx.Rotations(3, axes=(0, 1))  # about z
WIDTH = 32
STEPS, ITERATIONS = 2_000, 60  # of fit and of polish
ARMS = {
    "separable": "rotations about z, kinetic energy given",
    "general": "rotations about z",
    "unconstrained": "Lagrangian without symmetry",
    "plain": "neural ODE",
}


def law(q, v):
    upper = jnp.linalg.norm(q[0]) - 1
    lower = jnp.linalg.norm(q[0] - q[1]) - 1
    return jnp.sum(v**2) / 2 - upper**2 / 2 - lower**2 - jnp.sum(q[:, 2])


@eqx.filter_jit
def follow(model, q, v, saves: str, step: str):  # strings are static
    """(q, v) of trajectories from a stack of states, in steps of RK4."""
    ts = np.arange(int(saves) + 1) * INTERVAL

    def one(q, v):
        options: dict[str, Any] = dict(dt=float(step), solver=nx.RK4(), throw=False)
        path = nx.rollout(model, q, v, ts=ts, **options)
        return path.q, path.v

    return jax.vmap(one)(q, v)


def observe(seed: int, systems: int, saves: int):
    """Chunks to learn from, and the true motions of the systems to be predicted."""
    random = np.random.default_rng(seed)
    rest = np.array([[0, 0, -1.5], [0, 0, -3.0]])
    q = rest + 0.2 * random.normal(size=(2 * systems, 2, 3))
    v = 0.4 * random.normal(size=q.shape)
    q, v = (np.asarray(x) for x in follow(law, q, v, str(saves), "0.01"))
    places = random.integers(0, saves + 2 - CHUNK, systems)[:, None] + np.arange(CHUNK)
    index = np.arange(systems)[:, None]
    return nx.Windows(q[index, places], v[index, places]), (q[systems:], v[systems:])


def build(arm: str, chunks: nx.Windows, key):
    options: dict[str, Any] = dict(width=WIDTH, key=key)
    if arm == "separable":
        features = AXIAL.configuration_features(points=2)
        return nx.NeuralSeparableLagrangian(features, dtype=jnp.float64, **options)
    if arm == "plain":
        q, v = (jnp.asarray(x).reshape(-1, 2, 3) for x in (chunks.q, chunks.v))
        return nx.NeuralODE(q, v, **options)
    group = AXIAL if arm == "general" else nx.Trivial(3)
    features = group.invariant_features(points=2)
    return nx.NeuralLagrangian(features, dtype=jnp.float64, **options)


def errors(model, truth) -> np.ndarray:
    """‖a − b‖/(‖a‖ + ‖b‖) of every system and time after the start; one where a rollout diverged."""
    q, v = truth
    found = follow(model, q[:, 0], v[:, 0], str(q.shape[1] - 1), "0.02")
    ours, true = (
        np.concatenate([np.asarray(x).reshape(*x.shape[:2], -1)[:, 1:] for x in pair], axis=-1)
        for pair in (found, truth)
    )
    size = functools.partial(np.linalg.norm, axis=-1)
    with np.errstate(all="ignore"):
        error = size(ours - true) / (size(ours) + size(true))
    return np.maximum(np.where(np.isfinite(error), error, 1.0), LEAST)


def main() -> None:
    published = {"EMLP": 0.012, "scalars": 0.005, "scalars, tuned": 0.0015}
    measures = {"error": Measure("geometric mean of relative errors", published, 3e-4)}
    row = Row(__doc__, "springy_double_pendulum", measures)
    systems, saves, steps, iterations = (
        (8, 10, 3, 2) if row.quick else (500, 150, STEPS, ITERATIONS)
    )
    for seed in row.seeds:
        chunks, truth = observe(seed, systems, saves)
        row.add(seed, "true law in steps of 0.02", error=geometric_mean(errors(law, truth)))
        states = nx.TrajectoryLoss(INTERVAL).states(chunks)
        model_key, batch_key = jax.random.split(jax.random.key(seed))
        for arm, meaning in ((arm, ARMS[arm]) for arm in row.chosen(list(ARMS))):
            begun = time.perf_counter()
            model = build(arm, chunks, model_key)
            options: dict[str, Any] = dict(batch_size=64, key=batch_key, progress=False)
            model, fitted = nx.fit(model, states, steps=steps, **options)
            model, polished = nx.polish(model, states, iterations=iterations, progress=False)
            error = errors(model, truth)
            row.add(
                seed,
                meaning,
                error=geometric_mean(error),
                after_one_unit=geometric_mean(error[:, :5]),
                wrong_at_end=float(np.mean(error[:, -1] > 0.1)),
                skipped=fitted.skipped,
                loss=float(polished.loss[-1]),
                seconds=time.perf_counter() - begun,
            )
    row.show()


if __name__ == "__main__":
    main()
