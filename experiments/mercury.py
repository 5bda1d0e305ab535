"""Mercury: a law learned from eighty years of the real sky, and the decades that follow.

JPL's ephemeris DE421 gives Mercury's motion about the Sun to some kilometres. Models see position,
velocity and acceleration for 1900–1980. Three know nothing: the same number of steps of the same
optimiser in float32 on networks of the same width and depth, and then the same number of
Gauss–Newton steps in float64 (`nx.polish`), since without noise the last digits are worth it.

1. *declared rotations*: a neural Lagrangian of the invariants q·q, q·v, v·v,
2. *unconstrained*: a neural Lagrangian of the six coordinates (q, v),
3. *neural ODE*: a network from (q, v) straight to the acceleration.

The fourth knows Newton, and has to find only what Newton's two bodies leave out:

4. *two-body + rotations*: the two-body Lagrangian with the Sun's own GM plus 1e-6 of a neural one of
   the same invariants. Gauss–Newton steps from random weights are enough, and it stops them when they
   stop to help: what is left then is Venus' place, and longer training is over-fitting to that.

Each then predicts ten years from 1980-01-01, 42 revolutions that it has never seen; likewise every
decade up to 2050. An orbit is determined as astronomers do it, by least squares from the ten years
before: the state of one day holds what Venus did in the last weeks, which no law of (q, v) can know
and which costs more than all else ("from one day"). Beside the models stands the two-body problem:
its error is what the other planets (chiefly Venus) and relativity do to Mercury.

What they do on average, a law of (q, v) can know: the perihelion advances by about 575 arcseconds a
century. It is the slope of the longitude of perihelion, by the Laplace–Runge–Lenz vector: of models
over all predicted decades, of the ephemeris over 1900–2050.

    python experiments/mercury.py            # some ten minutes on two cores
    python experiments/mercury.py --quick    # every line of it in two minutes, learning next to nothing

Needs `pip install 'noetherax[plot,data]'`; nothing is downloaded when it runs.
"""

import importlib.resources
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
from _common import parse_arguments, print_table, section, write_results
from numpy.polynomial import chebyshev

import noetherax as nx

# In units of the semi-major axis and the radian of mean motion GM is 1, and so, nearly, are q, v and
# a. Inputs are standardised anyway: it is the neural ODE's output and the loss's size that profit.
AU = 149_597_870.6996  # km, as in DE421
GAUSS = 0.01720209895  # √GM of the Sun in AU^1.5 per day, which defines that AU
AXIS = 0.38709893  # AU
UNIT_DAYS = AXIS**1.5 / GAUSS  # 14.0 days
YEAR = 365.25
ARCSEC = np.degrees(1) * 3600
GOAL = 1e-3 * AXIS

SAMPLE_DAYS, SAVE_DAYS = 0.5, 2.0
WIDTH, DEPTH, BATCH = 32, 2, 64
POLISH = 60, 7_500  # Gauss–Newton steps; on how many states, one in four days
QUICK_POLISH = 1, 256
LENGTHS = 10, 10, 2040, 9000  # years predicted; that determine an orbit; last decade; most steps
CORRECTION_WIDTH, NETWORKS = 16, 3  # of the correction to the two-body law; how many to train
EPHEMERIS, TWO_BODY = "ephemeris itself", "two-body (GM known)"
CORRECTED = "two-body + rotations"
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
        motion = derivatives(barycentre, days) + derivatives(planet, days) - derivatives(sun, days)
    return motion / (AU * AXIS) * UNIT_DAYS ** np.arange(3)[:, None, None]


def derivatives(segment, days: np.ndarray) -> np.ndarray:
    """Position, velocity and acceleration, km and days: a Chebyshev series differentiated twice."""
    start, length, coefficients = segment.load_array()  # one series for every `length` days
    position = (days - start) / length
    index = np.clip(position.astype(int), 0, coefficients.shape[1] - 1)
    x = 2 * (position - index) - 1
    series = np.moveaxis(coefficients[:, index], -1, 0)  # (terms, 3, days)
    orders = [series, chebyshev.chebder(series, scl=2 / length)]
    orders.append(chebyshev.chebder(series, 2, scl=2 / length))
    return np.stack([chebyshev.chebval(x, c, tensor=False).T for c in orders])


def learn(name: str, observations, steps: int, polish: tuple[int, int], key):
    """One of the three models in float64, and the histories of its fit and of its polish."""
    model, history = fit(name, [jnp.asarray(x, jnp.float32) for x in observations], steps, key)
    with jax.enable_x64(True):
        iterations, samples = polish
        stride = -(-len(observations[0]) // samples)
        chosen = [jnp.asarray(x[::stride]) for x in observations]
        model, polished = nx.polish(in_double(model), chosen, iterations=iterations, tolerance=0)
    return model, history, polished


def in_double(model):
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(lambda x: x.astype(jnp.float64), parameters), rest)


def fit(name: str, observations, steps: int, key):
    """One of the three models, trained with the same steps, batch size and optimiser."""
    model_key, fit_key = jax.random.split(key)
    # Chosen by rollouts over decades *within* the training years, never by those predicted here.
    rate = optax.cosine_decay_schedule(1e-2, steps, alpha=1e-3)
    clip = optax.clip_by_global_norm(1.0)
    optimizer = optax.chain(clip, optax.adam(rate, b1=0.95, b2=0.99))
    options: Any = dict(steps=steps, batch_size=BATCH, optimizer=optimizer, key=fit_key)
    if name == ODE:
        model = nx.NeuralODE(*observations[:2], width=WIDTH, depth=DEPTH, key=model_key)
        return nx.fit(model, observations, **options)
    group = nx.Rotations(3) if name == ROTATIONS else nx.Trivial(3)
    features = group.invariant_features(points=1)
    model = nx.NeuralLagrangian(features, width=WIDTH, depth=DEPTH, key=model_key)
    model = nx.standardise(model, *observations[:2])  # and train from random weights
    return nx.fit(model, observations, **options)


def correct(observations, polish: tuple[int, int], key):
    """The two-body law and a neural correction to it in float64, and the history of its training.

    The size of L is a convention: with Mercury's mass a million, the network is a correction of 1e-6.
    """
    with jax.enable_x64(True):
        iterations, samples = polish
        stride = -(-len(observations[0]) // samples)
        chosen = [jnp.asarray(x[::stride]) for x in observations]
        features = nx.Rotations(3).invariant_features(points=1)
        network = nx.NeuralLagrangian(features, width=CORRECTION_WIDTH, key=key)
        model = nx.LagrangianSum(nx.systems.KeplerLagrangian(1e6, 1e6), network)
        model = nx.standardise(model, *chosen[:2])
        return nx.polish(model, chosen, iterations=iterations)


def follow(model, q0, v0, ts, max_steps: int, **options) -> tuple[jax.Array, jax.Array]:
    """One trajectory at Dopri8's 1e-9: what errs is the law learned.

    Off its data a model can make steps shrink for ever: after `max_steps` entries are not finite.
    """
    control = diffrax.PIDController(rtol=1e-9, atol=1e-9)
    options |= dict(stepsize_controller=control, max_steps=max_steps, throw=False)
    path = nx.rollout(model, q0[None], v0[None], ts=ts, solver=diffrax.Dopri8(), **options)
    return path.q[:, 0], path.v[:, 0]


def predict(model, q, v, days, max_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Trajectories (decades, days, 3) in float64 of which the days up to 0 determine the start."""
    with jax.enable_x64(True):
        truth, ts = (jnp.asarray(q), jnp.asarray(v)), jnp.asarray(days / UNIT_DAYS)
        paths = determine_and_follow(in_double(model), truth, ts, int(np.sum(days <= 0)), max_steps)
        return np.asarray(paths[0]), np.asarray(paths[1])


@eqx.filter_jit
def determine_and_follow(model, truth, ts, known: int, max_steps: int):
    """The start minimises the squares of the errors of position at the first `known` times, beginning
    at the true state; if one time only is known, it is the true state."""

    def determined(q, v):
        def misses(start, _):
            forward = diffrax.ForwardMode()
            q0, v0 = start
            path, _ = follow(model, q0, v0, ts[:known], max_steps, adjoint=forward)
            return path - q[:known]

        solver = optx.LevenbergMarquardt(rtol=1e-6, atol=1e-8)
        options: Any = dict(max_steps=30, throw=False)
        return optx.least_squares(misses, solver, (q[0], v[0]), **options).value

    def solve(q, v):
        q0, v0 = determined(q, v) if known > 1 else (q[0], v[0])
        return follow(model, q0, v0, ts, max_steps)

    return jax.vmap(solve)(*truth)


def judge(q, v, true_q, true_v, days) -> tuple[dict, dict]:
    """Numbers for the table, of the first decade unless they say otherwise, and curves over it."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = AXIS * norm(q - true_q)  # (decades, times)
        spin, true_spin = np.cross(q[0], v[0]), np.cross(true_q[0], true_v[0])
        drift = norm(spin - spin[0]) / norm(spin[0])
        turn, tilt = angle(spin, spin[:1]), angle(spin, true_spin)
    years, error = days / YEAR, errors[0]
    numbers = {
        "error_1_year": np.max(error[years <= 1]),
        "error": np.max(error),
        "error_median": np.median(np.max(errors, axis=1)),
        "drift": np.max(drift),
        "turn_arcsec": np.max(turn),
        "tilt_arcsec": np.max(tilt),
        "lost_after_years": first(years, ~(error < AXIS)),
        "diverged_after_years": first(years, ~np.isfinite(error)),
        "error_decades": np.max(errors, axis=1).tolist(),
        "advance_decades": [perihelion_advance(*decade, days) for decade in zip(q, v, strict=True)],
    }
    numbers["advance"] = float(np.mean(numbers["advance_decades"]))
    return numbers, {"q": AXIS * q[0], "error": error, "drift": drift, "turn": turn}


def perihelion_advance(q, v, days) -> float:
    """Slope of the longitude of perihelion in the plane of the first state, arcseconds a century."""
    with np.errstate(invalid="ignore", over="ignore"):
        spin = np.cross(q, v)
        # The Laplace–Runge–Lenz vector for GM = 1; that of the Sun and Mercury differs by 2e-7.
        lenz = np.cross(v, spin) - q / norm(q)[:, None]
    if not np.all(np.isfinite(lenz)):
        return float("nan")
    ahead = np.cross(spin[0], lenz[0])
    axes = lenz[0] / norm(lenz[0]), ahead / norm(ahead)
    longitude = np.unwrap(np.arctan2(lenz @ axes[1], lenz @ axes[0]))
    return float(ARCSEC * np.polyfit(days / (100 * YEAR), longitude, 1)[0])


def first(years, condition) -> float | None:
    return float(years[np.argmax(condition)]) if condition.any() else None


def angle(a, b) -> np.ndarray:
    """Angle in arcseconds between vectors; arccos of the product would lose half the digits."""
    return ARCSEC * np.arctan2(norm(np.cross(a, b)), np.sum(a * b, axis=-1))


def norm(x) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


def draw(path: Path, curves: dict, days) -> None:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
    orbit, *panels = panels.flat
    # The ellipse of the first year, in its own plane: major axis, then across.
    year = round(YEAR / SAVE_DAYS)
    plane = np.linalg.svd(curves[EPHEMERIS]["q"][:year], full_matrices=False)[2][:2]
    for style, (name, curve) in zip(nx.plot.STYLES, curves.items(), strict=False):
        flat = np.where(np.isfinite(curve["q"]), curve["q"], np.nan)[-year:] @ plane.T
        orbit.plot(*flat.T, label=name, **style)
    orbit.plot(0, 0, "k+")
    orbit.set(xlim=(-0.65, 0.65), ylim=(-0.5, 0.8), aspect="equal", title="orbit, the last year")
    orbit.set(xlabel="along the major axis (AU)", ylabel="across, in the plane of 1980 (AU)")
    orbit.legend(fontsize="small", loc="upper right")
    labels = {
        "error": ("error of position (AU); line: 0.1 % of the axis", (1e-7, 10)),
        "drift": ("relative change of q × v since the start", (1e-8, 10)),
        "turn": ("turn of the orbital plane since the start (arcsec)", (1e-3, 1e6)),
    }
    for axes, (key, (ylabel, limits)) in zip(panels, labels.items(), strict=True):
        series = {name: curve[key] for name, curve in curves.items()}
        nx.plot.plot_series(days / YEAR, series, ylabel=ylabel, ax=axes)
        axes.set(xlabel="years since 1980-01-01", ylim=limits)
        axes.get_legend().remove()  # the first panel has it
    panels[0].axhline(GOAL, color="0.5", linewidth=0.8)
    figure.savefig(path)


def report(rows: dict, years: int) -> None:
    head = ["worst error over", "1 year, AU", f"{years} years, AU", "median*, AU", "from one day"]
    head += ["drift of q × v", "turn, arcsec", "from true plane", "lost after", "diverged"]
    head += ["perihelion, arcsec a century"]
    columns = "error_1_year error error_median error_from_one_day drift turn_arcsec tilt_arcsec "
    columns += "lost_after_years diverged_after_years advance"
    print()
    print_table(head, [[name, *(row[x] for x in columns.split())] for name, row in rows.items()])
    print("* over all decades from 1980 on. Lost: wrong by 0.387 AU.")
    corrected = rows[CORRECTED]["networks"]
    advances, errors = ([network[x] for network in corrected] for x in ("advance", "error"))
    print(
        f"The ephemeris' own perihelion: {rows[EPHEMERIS]['advance']:.1f} arcsec a century. Laws of"
    )
    print(f"{CORRECTED}: {', '.join(f'{x:.1f}' for x in advances)}. Their errors over {years}")
    print(f"years: {', '.join(f'{x:.2g}' for x in errors)} AU.")
    mine, *others = (rows[name]["error"] for name in (ROTATIONS, UNCONSTRAINED, ODE))
    best = not any(other <= mine for other in others)  # a diverged one is not even comparable
    goal, rank = "below" if mine < GOAL else "NOT below", "better" if best else "NOT better"
    print(f"Knowing its symmetry alone: {mine:.2g} AU, {goal} 0.1 % of the axis ({GOAL:.2g} AU),")
    print(f"{rank} than the two others that know nothing.")


def main() -> None:
    if not all(map(importlib.util.find_spec, ("jplephem", "matplotlib", "skyfield_data"))):
        sys.exit("This experiment needs more packages: pip install 'noetherax[plot,data]'")
    about = "Learn Mercury's law from DE421, with and without its symmetry."
    arguments = parse_arguments(about, steps=80_000, quick_steps=200, out="results/mercury")
    began = time.perf_counter()
    years, before, last, max_steps = (1, 1, 1990, 600) if arguments.quick else LENGTHS
    networks = 1 if arguments.quick else NETWORKS
    polish = QUICK_POLISH if arguments.quick else POLISH

    epochs = np.array([julian_day(f"{year}-01-01") for year in range(1980, last + 1, 10)])
    days = SAVE_DAYS * np.arange(-(before * YEAR // SAVE_DAYS), years * YEAR // SAVE_DAYS)
    ahead = days >= 0
    truth = [heliocentric(epoch + days) for epoch in epochs]
    true_q, true_v = (np.stack([decade[k] for decade in truth]) for k in (0, 1))
    sampled = heliocentric(np.arange(julian_day("1900-01-01"), epochs[0], SAMPLE_DAYS))
    observations = [x[:, None] for x in sampled]
    century = np.arange(julian_day("1900-01-01"), julian_day("2050-01-01"), SAVE_DAYS)
    key = jax.random.key(arguments.seed)

    rows, curves = {}, {}

    def record(name, q, v):
        q, v = q[:, ahead], v[:, ahead]
        truth = true_q[:, ahead], true_v[:, ahead]
        rows[name], curves[name] = judge(q, v, *truth, days[ahead])
        return truth

    def record_model(name, model, **more):
        truth = record(name, *predict(model, true_q, true_v, days, max_steps))
        one_day, _ = predict(model, *truth, days[ahead], max_steps)
        rows[name]["error_from_one_day"] = AXIS * np.max(norm(one_day - truth[0])[0])
        rows[name] |= more

    record(EPHEMERIS, true_q, true_v)
    q, v, _ = heliocentric(century)
    rows[EPHEMERIS]["advance"] = perihelion_advance(q, v, century)
    rows[EPHEMERIS]["error_from_one_day"] = 0.0
    record_model(TWO_BODY, nx.systems.KeplerLagrangian(1.0, 1.0))
    corrected = []
    with section(f"{CORRECTED}: {networks} networks on {len(sampled[0])} states"):
        for network_key in jax.random.split(key, networks):
            model, history = correct(observations, polish, network_key)
            record_model(CORRECTED, model, loss=history.loss[-1], seconds=history.seconds)
            corrected.append(rows[CORRECTED])
    rows[CORRECTED] = corrected[0] | {"networks": corrected}
    for name in (ROTATIONS, UNCONSTRAINED, ODE):
        with section(f"{name}: {arguments.steps} steps on {len(sampled[0])} states"):
            model, history, polished = learn(name, observations, arguments.steps, polish, key)
            losses: Any = dict(loss=float(np.mean(history.loss[-500:])))
            losses |= dict(polished_from=polished.loss[0], polished_to=polished.loss[-1])
            seconds = history.seconds + polished.seconds
            record_model(name, model, **losses, seconds=seconds, skipped=history.skipped)

    report(rows, years)
    draw(arguments.out / "mercury.png", curves, days[ahead])
    settings = {"steps": arguments.steps, "seed": arguments.seed, "years": years}
    settings |= {"rollout": "Dopri8 at 1e-9, float64", "seconds": time.perf_counter() - began}
    write_results(arguments.out, {"settings": settings, "models": rows})


if __name__ == "__main__":
    main()
