"""Mercury: a law learned from eighty years of the real sky, and the decades that follow.

JPL's ephemeris DE421 knows Mercury's motion about the Sun to well under a kilometre. Three models
see position, velocity and acceleration for 1900–1980, twice a day, each with the same number of
steps of the same optimiser on networks of the same width and depth:

1. *declared rotations*: a neural Lagrangian of the invariants q·q, q·v, v·v,
2. *unconstrained*: a neural Lagrangian of the six coordinates (q, v),
3. *neural ODE*: a network from (q, v) straight to the acceleration.

Each then starts from the true state of 1980-01-01 and predicts ten years, 42 revolutions, that it
has never seen; likewise every decade up to 2050. Beside them stands the two-body problem with the
Sun's own GM: its error is what the other planets (chiefly Venus) and relativity do to Mercury.
They set a floor of the same order to *any* law of (q, v) alone, which cannot know where Venus is: a
position at one instant is also a position on an orbit that Venus has just disturbed.

    python examples/mercury.py            # two minutes on two cores
    python examples/mercury.py --quick    # every line of it in half a minute, learning next to nothing

Needs `pip install 'noetherax[plot,data]'`; nothing is downloaded when it runs.
"""

import argparse
import importlib.resources
import importlib.util
import io
import json
import os
import sys
import time
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import noetherax as nx
import numpy as np
import optax
from numpy.polynomial import chebyshev

# In units of the orbit itself, the semi-major axis and the radian of mean motion, positions,
# velocities and accelerations are all about 1 and GM of the Sun is 1. The networks standardise their
# inputs in any case; it is the output of the neural ODE and the size of the loss that profit (in AU
# the acceleration is 7, the loss 50 times larger, and a gradient clipped to 1 means something else).
AU = 149_597_870.6996  # km, as in DE421
GAUSS = 0.01720209895  # √GM of the Sun in AU^1.5 per day, which defines that AU
AXIS = 0.38709893  # AU
UNIT_DAYS = AXIS**1.5 / GAUSS  # 14.0 days
YEAR = 365.25
ARCSEC = np.degrees(1) * 3600

SAVE_DAYS = 2.0
SAMPLE_DAYS = 0.5
WIDTH, DEPTH, BATCH = 64, 2, 64
EPHEMERIS, TWO_BODY = "ephemeris itself", "two-body (GM known)"
ROTATIONS, UNCONSTRAINED, ODE = "declared rotations", "unconstrained", "neural ODE"


def julian_day(date: str) -> float:
    days = np.datetime64(date, "D") - np.datetime64("2000-01-01", "D")
    return 2451544.5 + float(days / np.timedelta64(1, "D"))


def heliocentric(days: np.ndarray) -> np.ndarray:
    """Mercury minus Sun at Julian days (TDB): q, v, a in the units above, shape (3, days, 3)."""
    from jplephem.spk import SPK

    file = importlib.resources.files("skyfield_data") / "data" / "de421.bsp"
    with importlib.resources.as_file(file) as path, SPK.open(path) as kernel:
        barycentre, planet, sun = kernel[0, 1], kernel[1, 199], kernel[0, 10]
        motion = sum(derivatives(part, days) for part in (barycentre, planet))
        motion = motion - derivatives(sun, days)
    powers = UNIT_DAYS ** np.arange(3)[:, None, None]
    return motion / (AU * AXIS) * powers


def derivatives(segment, days: np.ndarray) -> np.ndarray:
    """Position, velocity and acceleration, km and days: a Chebyshev series differentiated twice.

    Everything in float64: a Julian day in float32 is a quarter of a day wrong.
    """
    start, length, coefficients = segment.load_array()  # one series for every `length` days
    position = (days - start) / length
    index = np.clip(position.astype(int), 0, coefficients.shape[1] - 1)
    x = 2 * (position - index) - 1
    series = np.moveaxis(coefficients[:, index], -1, 0)  # (terms, 3, days)
    orders = [series, chebyshev.chebder(series), chebyshev.chebder(series, 2)]
    values = [chebyshev.chebval(x, c, tensor=False).T for c in orders]
    return np.stack([value * (2 / length) ** k for k, value in enumerate(values)])


class AccelerationNetwork(eqx.Module):
    """a = network(q, v). The type of its standardisation tells `nx.fit` not to train that."""

    features: nx.InvariantFeatures
    standardisation: nx.Standardisation
    network: eqx.nn.MLP

    def __init__(self, q, v, *, key):
        self.features = nx.Trivial(3).invariant_features(1)  # the state itself
        self.standardisation = nx.Standardisation.fit(self.features, q, v)
        self.network = eqx.nn.MLP(6, 3, WIDTH, DEPTH, jax.nn.softplus, key=key)

    def __call__(self, q, v):
        return self.network(self.standardisation(self.features(q, v)))[None]


def network_loss(model, batch):
    q, v, a = batch
    return jnp.mean(jnp.square(jax.vmap(model)(q, v) - a))


def learn(name: str, observations, steps: int, key):
    """One of the three models, trained; all get the same steps, batches and optimiser."""
    model_key, fit_key = jax.random.split(key)
    # Adam with a short memory reached the lowest errors over decades *within* the training years.
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, steps, alpha=1e-3), b2=0.99)
    options = {"steps": steps, "batch_size": BATCH, "optimizer": optimizer, "key": fit_key}
    if name == ODE:
        q, v, _ = observations
        model = AccelerationNetwork(q, v, key=model_key)
        return nx.fit(model, observations, loss=network_loss, **options)
    group = nx.Rotations(3) if name == ROTATIONS else nx.Trivial(3)
    features = group.invariant_features(points=1)
    model = nx.NeuralLagrangian(features, width=WIDTH, depth=DEPTH, key=model_key)
    return nx.fit(model, observations, **options)


def predict(model, q0, v0, days, max_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Trajectories from many starts (starts, 3) in float64, so that what errs is the law learned.

    A model that leaves its data can make the solver's steps shrink for ever: hence `max_steps`, and
    entries that are not finite where it gave up.
    """
    options = {
        "solver": diffrax.Dopri8(),
        "stepsize_controller": diffrax.PIDController(rtol=1e-9, atol=1e-9),
        "max_steps": max_steps,
        "throw": False,
    }
    with jax.enable_x64(True):
        model = jax.tree.map(
            lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, model
        )
        ts = jnp.asarray(days / UNIT_DAYS)

        def solve(q0, v0):
            if not isinstance(model, AccelerationNetwork):
                trajectory = nx.rollout(model, q0, v0, ts=ts, **options)
                return trajectory.q, trajectory.v
            term = diffrax.ODETerm(lambda t, state, _: (state[1], model(*state)))
            save, y0 = diffrax.SaveAt(ts=ts), (q0, v0)
            return diffrax.diffeqsolve(
                term, t0=ts[0], t1=ts[-1], dt0=None, y0=y0, saveat=save, **options
            ).ys

        q, v = jax.jit(jax.vmap(solve))(jnp.asarray(q0[:, None]), jnp.asarray(v0[:, None]))
        return np.asarray(q[:, :, 0]), np.asarray(v[:, :, 0])


def judge(q, v, true_q, true_v, days) -> tuple[dict, dict]:
    """Numbers for the table (of the first decade unless they say otherwise), curves for the figure."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = AXIS * np.linalg.norm(q - true_q, axis=-1)  # (decades, times)
        spin, true_spin = np.cross(q[0], v[0]), np.cross(true_q[0], true_v[0])
        drift = np.linalg.norm(spin - spin[0], axis=-1) / np.linalg.norm(spin[0])
        turn, tilt = angle(spin, spin[:1]), angle(spin, true_spin)
    years, error = days / YEAR, errors[0]
    lost = ~(error < AXIS)
    numbers = {
        "error_1_year": worst(error[years <= 1]),
        "error": worst(error),
        "error_decades": [worst(decade) for decade in errors],
        "error_median": worst(np.median(np.max(errors, axis=1))),
        "drift": worst(drift),
        "turn_arcsec": worst(turn),
        "tilt_arcsec": worst(tilt),
        "lost_years": float(years[np.argmax(lost)]) if lost.any() else None,
        "diverged": not bool(np.isfinite(error).all()),
    }
    return numbers, {"q": AXIS * q[0], "error": error, "drift": drift, "turn": turn}


def angle(a, b) -> np.ndarray:
    """Angle in arcseconds between vectors; arccos of the product would lose half the digits."""
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    return ARCSEC * np.arctan2(sine, np.sum(a * b, axis=-1))


def worst(values) -> float | None:
    """The maximum, or `None` (JSON has no infinity) if the trajectory left the finite numbers."""
    value = float(np.max(values))
    return value if np.isfinite(value) else None


def write(path: Path, content: bytes) -> None:
    """All of the file or nothing, whenever the run is cut off."""
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def draw(path: Path, curves: dict, days, floor: float = 1e-8) -> None:
    from matplotlib.figure import Figure

    styles = {  # dash and grey level differ as well as colour
        EPHEMERIS: {"color": "0.75", "linewidth": 3.5},
        TWO_BODY: {"color": "black", "linestyle": ":"},
        ROTATIONS: {"color": "#0b4f8a", "linestyle": "-"},
        UNCONSTRAINED: {"color": "#c4571b", "linestyle": "--"},
        ODE: {"color": "#6f9e5e", "linestyle": "-."},
    }
    figure = Figure(figsize=(10, 8), layout="constrained")
    (orbit, error), (drift, turn) = figure.subplots(2, 2)
    # The orbital plane of 1980, and the last year of each prediction in it.
    q = curves[EPHEMERIS]["q"]
    first, second = np.linalg.svd(q[: int(YEAR / SAVE_DAYS)], full_matrices=False)[2][:2]
    last = days > days[-1] - YEAR
    for name, curve in curves.items():
        with np.errstate(invalid="ignore"):
            plane = curve["q"][last] @ np.stack([first, second], axis=1)
        orbit.plot(*np.where(np.isfinite(plane), plane, np.nan).T, label=name, **styles[name])
        for axes, key in ((error, "error"), (drift, "drift"), (turn, "turn")):
            if name != EPHEMERIS or key != "error":  # it has no error against itself
                values = np.where(np.isfinite(curve[key]), curve[key], np.nan)
                axes.semilogy(days[1:] / YEAR, np.maximum(values[1:], floor), **styles[name])
    orbit.plot(0, 0, "k+")
    orbit.set(xlim=(-0.6, 0.6), ylim=(-0.6, 0.6), aspect="equal", title="Orbit in the last year")
    orbit.set(xlabel="along the major axis of the orbit (AU)", ylabel="across (AU)")
    error.axhline(1e-3 * AXIS, color="0.5", linewidth=0.8)
    error.annotate("0.1 % of the semi-major axis", (0, 1e-3 * AXIS), va="bottom", color="0.3")
    error.set(title="Position", ylabel="error (AU)", ylim=(1e-7, 10))
    drift.set(title="Angular momentum q × v", ylabel="relative change since the start")
    drift.set(ylim=(floor, 10))
    turn.set(title="Orbital plane", ylabel="tilt since the start (arcsec)", ylim=(1e-3, 1e6))
    for axes in (error, drift, turn):
        axes.set_xlabel("years since 1980-01-01")
    figure.legend(*orbit.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150)
    write(path, buffer.getvalue())


def show(rows: dict) -> None:
    print(
        "\nWorst of each prediction (AU = error of position; a = 0.387 AU is the semi-major axis)"
    )
    heads = ("1 year, AU", "10 years, AU", "median*, AU", "drift q×v", "turn, ″", "tilt†, ″")
    keys = ("error_1_year", "error", "error_median", "drift", "turn_arcsec", "tilt_arcsec")
    print(f"{'':20}" + "".join(f"{head:>14}" for head in heads) + "  wrong by a")
    for name, row in rows.items():
        cells = ["diverged" if row[key] is None else f"{row[key]:.2g}" for key in keys]
        if name == EPHEMERIS:
            cells = [
                "" if key.startswith(("error", "tilt")) else c
                for key, c in zip(keys, cells, strict=True)
            ]
        lost = "never" if row["lost_years"] is None else f"after {row['lost_years']:.2g} years"
        print(f"{name:20}" + "".join(f"{cell:>14}" for cell in cells) + f"  {lost}")
    print("* over the decades from 1980 on, each from its own first state.  † to the true plane.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Learn Mercury's law from DE421.")
    parser.add_argument("--quick", action="store_true", help="few steps, one year: for tests")
    parser.add_argument("--steps", type=int, help="optimiser steps of each arm (80,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/mercury"))
    arguments = parser.parse_args()
    if not all(map(importlib.util.find_spec, ("jplephem", "matplotlib", "skyfield_data"))):
        sys.exit(
            "This example needs an ephemeris and Matplotlib: pip install 'noetherax[plot,data]'"
        )
    began = time.perf_counter()
    steps = arguments.steps or (200 if arguments.quick else 80_000)
    years, last, max_steps = (1, 1990, 500) if arguments.quick else (10, 2040, 6000)

    epochs = np.array([julian_day(f"{year}-01-01") for year in range(1980, last + 1, 10)])
    days = np.arange(0, years * YEAR, SAVE_DAYS)
    truth = [heliocentric(epoch + days) for epoch in epochs]
    true_q, true_v = (np.stack([decade[k] for decade in truth]) for k in (0, 1))
    sampled = heliocentric(np.arange(julian_day("1900-01-01"), epochs[0], SAMPLE_DAYS))
    observations = tuple(jnp.asarray(x[:, None], jnp.float32) for x in sampled)

    rows, curves = {}, {}

    def record(name, q, v, **more):
        numbers, curves[name] = judge(q, v, true_q, true_v, days)
        rows[name] = more | numbers

    start = true_q[:, 0], true_v[:, 0]
    record(EPHEMERIS, true_q, true_v)
    two_body = nx.systems.KeplerLagrangian(mass=1.0, strength=1.0)
    record(TWO_BODY, *predict(two_body, *start, days, max_steps))
    for name in (ROTATIONS, UNCONSTRAINED, ODE):
        print(f"{name}: {steps} steps on {len(sampled[0])} states", flush=True)
        key = jax.random.key(arguments.seed)
        model, history = learn(name, observations, steps, key)
        loss = float(np.mean(history.loss[-500:]))
        trajectory = predict(model, *start, days, max_steps)
        record(name, *trajectory, loss=loss, seconds=history.seconds, skipped=history.skipped)

    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {"steps": steps, "seed": arguments.seed, "quick": arguments.quick, "years": years}
    results = {"settings": settings, "arms": rows, "seconds": time.perf_counter() - began}
    write(arguments.out / "results.json", json.dumps(results, indent=2, allow_nan=False).encode())
    draw(arguments.out / "mercury.png", curves, days)
    show(rows)


if __name__ == "__main__":
    main()
