"""Kepler's problem learned from noisy positions alone: no velocities, no accelerations.

Short windows of orbits of the paper's family, observed at equal intervals h with the paper's noise.
Three ways to learn the law from the same windows, all with the same symmetry (rotations):

(a) finite differences for velocity and acceleration, then the acceleration loss;
(b) the residual of the discrete Euler–Lagrange equations on every triple of positions;
(c) the trajectory loss: multiple shooting through a solver, the state of a window fitted to it.

Noise σ of positions enters (a) and (b) as √6 σ/h²: 24 at h = 0.01, where accelerations are about 1.
Run as `python examples/positions_only.py`; see `--help` for options.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _common import parse_arguments, print_table, section, write_results

import noetherax as nx

KEPLER = nx.systems.Kepler()
FAMILY = nx.systems.KeplerFamily()
ROTATIONS = nx.Rotations(3)
CHARGE = ROTATIONS.noether_charge(KEPLER.lagrangian)
NOISE = 1e-3  # the paper's
# Observations per window: long ones at short intervals, as far as a polynomial still follows them.
TIMES = {0.01: 33, 0.05: 13, 0.1: 9}
WINDOWS = 32  # per step
WIDTH = 64
TWIN = 1e-3  # how far away a perturbed twin starts, in every component
DT = 0.01
METHODS = {
    "differences": "finite differences",
    "discrete": "discrete Euler–Lagrange",
    "trajectory": "trajectory loss",
}


def from_differences(lagrangian, windows, *, interval: float):
    """The acceleration loss on central differences of positions."""
    q = windows.q
    v = (q[:, 2:] - q[:, :-2]) / (2 * interval)
    a = (q[:, 2:] - 2 * q[:, 1:-1] + q[:, :-2]) / interval**2
    flat = tuple(x.reshape(-1, *x.shape[2:]) for x in (q[:, 1:-1], v, a))
    return nx.acceleration_loss(lagrangian, flat)


def losses(interval: float) -> dict:
    return {
        "differences": functools.partial(from_differences, interval=interval),
        "discrete": functools.partial(nx.discrete_euler_lagrange_loss, interval=interval),
        "trajectory": functools.partial(nx.trajectory_loss, interval=interval, noise=NOISE),
    }


def standardised(key):
    """An untrained model; its features are scaled by velocities from differences at h = 0.1."""
    q = FAMILY.windows(0.1, times=3, batch_size=4096, noise=NOISE)(jax.random.key(0)).q
    model = nx.NeuralLagrangian(ROTATIONS.invariant_features(points=1), width=WIDTH, key=key)
    return nx.standardise(model, q[:, 1], (q[:, 2] - q[:, 0]) / 0.2)


def initial_states(key):
    """The paper's orbit at perihelion, and its perturbed twin."""
    q, v = KEPLER.initial_state()
    nudge = TWIN * jax.random.normal(key, (2, 1, 3))
    return jnp.stack([q, q + nudge[0]]), jnp.stack([v, v + nudge[1]])


def exact(q0, v0, ts):
    """True motions, in float64 and at a quarter of the step."""
    with jax.enable_x64(True):
        q0, v0 = jnp.asarray(q0, jnp.float64), jnp.asarray(v0, jnp.float64)
        times = np.asarray(ts, float)

        def one(q, v):
            return nx.rollout(KEPLER.lagrangian, q, v, ts=times, dt=DT / 4, solver=nx.RK4()).q

        return np.asarray(jax.vmap(one)(q0, v0))


@eqx.filter_jit
def follow(lagrangian, q0, v0, ts, states):
    """Rollouts, drifts of the model's charge and the true one, and the error of the acceleration."""

    def one(q, v):
        return nx.rollout(lagrangian, q, v, ts=ts, solver=nx.RK4(), throw=False)

    paths = eqx.filter_vmap(one)(q0, v0)
    orbit = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, paths)
    drifts = [nx.drift(charge, orbit) for charge in (ROTATIONS.noether_charge(lagrangian), CHARGE)]
    return paths.q, *drifts, jnp.sqrt(nx.acceleration_loss(lagrangian, states))


def worst(series) -> float:
    return float(np.max(np.where(np.isfinite(series), series, np.inf)))


def apart(a, b) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.linalg.norm((np.asarray(a, float) - np.asarray(b, float))[:, 0], axis=-1)


def judge(model, start, truth, ts, states):
    paths, model_drift, true_drift, error = follow(model, start[0], start[1], ts, states)
    distance = apart(paths[0], truth[0])
    twin = worst(apart(paths[0], paths[1])) / worst(apart(truth[0], truth[1]))
    one_period = distance[np.asarray(ts) <= KEPLER.period]
    return {
        "acceleration_error": float(error),
        "distance_one_period": worst(one_period),
        "distance": worst(distance),
        "model_drift": worst(model_drift),
        "true_drift": worst(true_drift),
        "twin_ratio": twin,
    }, paths


def draw(folder, ts, truth, paths, distances):
    """Paths of the first period, a panel per interval, and distances below them."""
    import matplotlib.pyplot as plt

    columns = len(distances)
    figure, axes = plt.subplots(
        2, columns, figsize=(4.5 * columns, 8), squeeze=False, layout="constrained"
    )
    first = np.asarray(ts) <= KEPLER.period
    for column, interval in enumerate(distances):
        upper, lower = axes[:, column]
        upper.plot(*truth[0][first, 0, :2].T, color="0.6", linewidth=4, label="truth")
        for method, q in paths[interval].items():
            upper.plot(*np.asarray(q)[first, 0, :2].T, label=METHODS[method])
        upper.set(title=f"h = {interval}", xlim=(-6, 2), ylim=(-4, 4), aspect="equal")
        series = {METHODS[m]: d for m, d in distances[interval].items()}
        nx.plot.plot_series(np.asarray(ts), series, ylabel="distance to truth (length)", ax=lower)
        lower.set(ylim=(1e-5, 30))
    axes[0, 0].legend(loc="upper left", fontsize="small")
    figure.savefig(folder / "positions_only.png", dpi=150)
    plt.close(figure)


def main():
    options = parse_arguments(
        "Learn Kepler's problem from noisy positions alone.",
        steps=4_000,
        quick_steps=20,
        out="results/positions_only",
    )
    intervals = (0.1,) if options.quick else tuple(TIMES)
    ts = jnp.arange(0.0, 8.0 if options.quick else 3 * KEPLER.period, DT)
    model_key, batch_key, twin_key, state_key = jax.random.split(jax.random.key(options.seed), 4)
    start = initial_states(twin_key)
    truth = exact(*start, ts)
    states = FAMILY.sampler(4096, noise=0.0)(state_key)
    print("symmetry: rotations; the same windows for every method")
    results: dict[str, dict] = {}
    paths: dict[float, dict] = {}
    for interval in intervals:
        windows = FAMILY.windows(interval, times=TIMES[interval], batch_size=WINDOWS, noise=NOISE)
        results[str(interval)], paths[interval] = {}, {}
        for method, loss in losses(interval).items():
            with section(f"h = {interval}: {METHODS[method]}"):
                model, history = nx.fit(
                    standardised(model_key),
                    windows,
                    steps=options.steps,
                    loss=loss,
                    key=batch_key,
                    standardise=False,
                )
                numbers, (orbit, _) = judge(model, start, truth, ts, states)
                print(f"  error of the acceleration {numbers['acceleration_error']:.2g}")
            last = history.loss[-len(history.loss) // 10 :]
            numbers |= {"loss": float(np.mean(last[np.isfinite(last)])), "skipped": history.skipped}
            numbers |= {"seconds": history.seconds, "compile_seconds": history.compile_seconds}
            results[str(interval)][method] = numbers
            paths[interval][method] = orbit

    print(f"\nMaxima over {float(ts[-1]):.0f} units of time; a period is {KEPLER.period:.0f}")
    names = ("acceleration_error", "distance_one_period", "distance")
    names += ("model_drift", "true_drift", "twin_ratio")
    rows = [
        [f"h = {interval}, {METHODS[method]}", *(numbers[name] for name in names)]
        for interval, record in results.items()
        for method, numbers in record.items()
    ]
    print_table(["from positions alone", *(name.replace("_", " ") for name in names)], rows)
    distances = {
        interval: {method: apart(q, truth[0]) for method, q in record.items()}
        for interval, record in paths.items()
    }
    draw(options.out, ts, truth, paths, distances)
    settings = {"steps": options.steps, "seed": options.seed, "noise": NOISE, "width": WIDTH}
    settings |= {"times": TIMES, "windows_per_step": WINDOWS, "final_time": float(ts[-1])}
    write_results(options.out, {"settings": settings, **results})


if __name__ == "__main__":
    main()
