"""Kepler's problem learned from noisy positions alone: no velocities, no accelerations.

Short windows of orbits of the paper's family, observed at equal intervals h with the paper's noise.
Four ways to learn the law from the same windows, all with the same symmetry (rotations):

(a) finite differences for velocity and acceleration, then the acceleration loss;
(b) the residual of the discrete Euler–Lagrange equations on every triple of positions;
(c) the polynomial nearest to each window (`nx.smooth`), then the acceleration loss;
(d) the trajectory loss: multiple shooting through a solver, the state of a window fitted to it. It
    starts from (c), since an untrained network has no trajectories to fit, and takes half the steps.

Noise σ of positions enters (a) and (b) as √6 σ/h²: 24 at h = 0.01, where accelerations are about 1.
Differences are wrong by the fourth derivative as well, which grows with h²; (c) by what the polynomial
leaves of a whole window, and (d) by nothing.
Run as `python experiments/positions_only.py`; see `--help` for options.
"""

import functools
import math

import _experiment as ex
import _models as models
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _common import parse_arguments, print_table, section, write_results

import noetherax as nx

KEPLER = nx.systems.Kepler()
FAMILY = nx.systems.Orbits(nx.systems.Kepler(), math.inf)
ROTATIONS = nx.Rotations(3)
CHARGE = ROTATIONS.noether_charge(KEPLER.lagrangian)
ACCELERATION = nx.AccelerationLoss()
NOISE = 1e-3  # the paper's
# Observations per window: long ones at short intervals, as far as a polynomial still follows them.
TIMES = {0.01: 33, 0.05: 13, 0.1: 9}
WINDOWS = 32  # per step
WIDTH = 64
DEGREE = 6  # of its polynomials
METHODS = {
    "differences": "finite differences",
    "discrete": "discrete Euler–Lagrange",
    "smoothed": "smoothed",
    "trajectory": "trajectory loss",
}
RATES = {name: 1e-2 for name in METHODS} | {"trajectory": 5e-3}  # of learning


def from_differences(lagrangian, windows, *, interval: float):
    """The acceleration loss on central differences of positions."""
    q = windows.q
    v = (q[:, 2:] - q[:, :-2]) / (2 * interval)
    a = (q[:, 2:] - 2 * q[:, 1:-1] + q[:, :-2]) / interval**2
    flat = tuple(x.reshape(-1, *x.shape[2:]) for x in (q[:, 1:-1], v, a))
    return ACCELERATION(lagrangian, flat)


def from_smoothed(lagrangian, windows, *, interval: float):
    """The acceleration loss on the polynomials in the middle of the windows."""
    smoothed = nx.smooth(windows, interval=interval, degree=DEGREE, places=(0.0,))
    return ACCELERATION(lagrangian, smoothed)


def losses(interval: float) -> dict:
    return {
        "differences": functools.partial(from_differences, interval=interval),
        "discrete": nx.DiscreteLoss(interval),
        "smoothed": functools.partial(from_smoothed, interval=interval),
        "trajectory": nx.TrajectoryLoss(interval, noise=NOISE),
    }


def standardised(key):
    """An untrained model; its features are scaled by velocities from differences at h = 0.1."""
    q = FAMILY.windows(0.1, times=3, batch_size=4096, noise=NOISE)(jax.random.key(0)).q
    model = nx.NeuralLagrangian(ROTATIONS.invariant_features(points=1), width=WIDTH, key=key)
    return nx.standardise(model, q[:, 1], (q[:, 2] - q[:, 0]) / 0.2)


def initial_states(key):
    """The paper's orbit at perihelion, and its perturbed twin."""
    q, v = KEPLER.initial_state()
    nudge = ex.TWIN * jax.random.normal(key, (2, 1, 3))
    return jnp.stack([q, q + nudge[0]]), jnp.stack([v, v + nudge[1]])


drift = eqx.filter_jit(nx.drift)
acceleration_loss = eqx.filter_jit(ACCELERATION)


def judge(model, start, truth, ts: ex.Times, states):
    """Numbers of a model, and its path from the start."""
    paths = ex.follow(model, start[0], start[1], ts)
    orbit, times = ex.pick(paths, 0), ts.value
    distance = ex.distance(orbit.q, truth[0])
    twin = ex.worst(ex.distance(orbit.q, paths.q[1])) / ex.worst(ex.distance(*truth))
    return {
        "acceleration_error": float(jnp.sqrt(acceleration_loss(model, states))),
        "distance_one_period": ex.worst(distance[times <= KEPLER.period]),
        "distance": ex.worst(distance),
        "horizon": ex.horizon(times, distance, ex.size_of(truth[0])),
        "model_drift": ex.worst(drift(ROTATIONS.noether_charge(model), orbit)),
        "true_drift": ex.worst(drift(CHARGE, orbit)),
        "twin_ratio": twin,
    }, np.asarray(orbit.q)


def draw(folder, ts, truth, paths, distances):
    """Paths of the first period, a panel per interval, and distances below them."""
    import matplotlib.pyplot as plt

    columns = len(distances)
    figure, axes = plt.subplots(
        2, columns, figsize=(4.5 * columns, 8), squeeze=False, layout="constrained"
    )
    first = ts.value <= KEPLER.period
    for column, interval in enumerate(distances):
        upper, lower = axes[:, column]
        upper.plot(*truth[0][first, 0, :2].T, color="0.6", linewidth=4, label="truth")
        for method, q in paths[interval].items():
            upper.plot(*q[first, 0, :2].T, label=METHODS[method])
        upper.set(title=f"h = {interval}", xlim=(-6, 2), ylim=(-4, 4), aspect="equal")
        series = {METHODS[m]: d for m, d in distances[interval].items()}
        nx.plot.plot_series(ts.value, series, ylabel="distance to truth (length)", ax=lower)
        lower.set(ylim=(1e-5, 30))
    axes[0, 0].legend(loc="upper left", fontsize="small")
    ex.save_figure(figure, folder, "positions_only")


def main() -> None:
    options = parse_arguments(
        "Learn Kepler's problem from noisy positions alone.",
        steps=8_000,
        quick_steps=20,
        out="results/positions_only",
    )
    intervals = (0.1,) if options.quick else tuple(TIMES)
    ts = ex.Times(4.0 if options.quick else 3 * KEPLER.period, 0.1)
    model_key, batch_key, twin_key, state_key = jax.random.split(jax.random.key(options.seed), 4)
    start = initial_states(twin_key)
    truth, _ = ex.exact(KEPLER, start, ts)
    states = FAMILY.sampler(4096, noise=0.0)(state_key)
    print("symmetry: rotations; the same windows for every method")
    results: dict[str, dict] = {}
    paths: dict[float, dict] = {}
    for interval in intervals:
        windows = FAMILY.windows(interval, times=TIMES[interval], batch_size=WINDOWS, noise=NOISE)
        numbers, orbits = results[str(interval)], paths[interval] = {}, {}
        model = {}
        for method, loss in losses(interval).items():
            with section(f"h = {interval}: {METHODS[method]}"):
                refined = method == "trajectory"
                steps = max(1, options.steps // 2) if refined else options.steps
                model[method], history = nx.fit(
                    model["smoothed"] if refined else standardised(model_key),
                    windows,
                    steps=steps,
                    loss=loss,
                    optimizer=optax.chain(
                        optax.clip_by_global_norm(1.0), models.adam(RATES[method], steps)
                    ),
                    key=batch_key,
                    preparation=False,
                )
                numbers[method], orbits[method] = judge(model[method], start, truth, ts, states)
                error = numbers[method]["acceleration_error"]
                print(f"  error of the acceleration {error:.2g}")
            last = history.loss[-len(history.loss) // 10 :]
            numbers[method] |= {
                "loss": float(np.mean(last[np.isfinite(last)])),
                "skipped": history.skipped,
                "seconds": history.seconds,
                "compile_seconds": history.compile_seconds,
            }

    print(f"\nMaxima over {ts.last:.0f} units of time; a period is {KEPLER.period:.0f}")
    names = ("acceleration_error", "distance_one_period", "distance", "horizon")
    names += ("model_drift", "true_drift", "twin_ratio")
    rows = [
        [f"h = {interval}, {METHODS[method]}", *(numbers[name] for name in names)]
        for interval, record in results.items()
        for method, numbers in record.items()
    ]
    print_table(["from positions alone", *(name.replace("_", " ") for name in names)], rows)
    distances = {
        interval: {method: ex.distance(q, truth[0]) for method, q in record.items()}
        for interval, record in paths.items()
    }
    draw(options.out, ts, truth, paths, distances)
    settings = {"steps": options.steps, "seed": options.seed, "noise": NOISE, "width": WIDTH}
    settings |= {"times": TIMES, "windows_per_step": WINDOWS, "final_time": ts.last}
    write_results(options.out, {"settings": settings, **results})


if __name__ == "__main__":
    main()
