"""A particle about a black hole, learned from noisy observations with and without its symmetry.

The paper's experiment (Müller 2023, section 3.1.2; Figures 6, 7, 8, 13): a bound orbit in the
Schwarzschild metric as a motion in (x₁, x₂, x₃, τ), where τ is the time of a distant observer. No
model is told τ itself, or it would have to extrapolate. Beside the unconstrained Lagrangian and that
of rotations stand networks straight to the acceleration, and the true law under the same integrator.

Accelerations are about 0.01 and their noise is 0.001, so the number of observations limits what can be
known. It also matters how they are used. The paper shuffles its 32 million observations and takes each
on its own. The "smoothed" models take as many, but in windows of 61 in the order of time, and learn
from the polynomials nearest to them (`nx.smooth`). Noise is then a fifth of what it was, and a law that
learns from noisy states is less biased by them.

(i)  Samples of one orbit, as in the paper. (ii) Samples of a family of orbits in one plane, judged on
orbits that are not among them and on the same ones turned to other planes and begun later.

Distances are those of all four coordinates. All models are of one size, start from a regular mass
matrix where there is one, and take the same number of steps, twice as many on the family. The
optimiser was chosen by trials with two other seeds: Adam on the network of invariants, of which three
of four left the finite numbers by Muon, and Muon elsewhere, by which models of single observations
followed the truth for longer.
Run as `python experiments/schwarzschild.py`; see `--help` for options.
"""

import functools
from typing import Any

import _experiment as ex
import _models as models
import _unseen as un
import equinox as eqx
import jax
from _common import parse_arguments, section, write_results
from _models import INVARIANT_ODE, NEURAL_ODE, TRUE_LAW

import noetherax as nx

SYSTEM = nx.systems.Schwarzschild()
ROTATIONS, LATER = nx.Rotations(4, axes=(0, 1, 2)), nx.Translations(4, axes=(3,))
MODELS = {
    "none": models.neural_lagrangian(LATER),  # 7 features
    "rotations": models.neural_lagrangian(ROTATIONS * LATER),  # 4 features
    NEURAL_ODE: models.neural_ode(LATER),
    INVARIANT_ODE: models.invariant_ode(ROTATIONS * LATER),
}
SMOOTHED = {f"{name}, smoothed": build for name, build in MODELS.items()}
# Compiling a model takes seconds, whatever the steps.
QUICK = ("none", "rotations", INVARIANT_ODE, "rotations, smoothed")
FAMILY = ("rotations",), ("none", "rotations")  # trained on the family: in quick runs, and else
CHARGES = {"L": ex.Charge(ROTATIONS)}
FINAL_TIME, QUICK_TIME, SAVE_EVERY = 1000.0, 20.0, 0.5
BATCH, FAMILY_BATCH = 512, 256
WINDOWS: Any = dict(interval=0.1, times=61, batch_size=52)  # 3,172 observations a step
DEGREE = 8  # errs by 2e-6 in the acceleration at the nearest point, a hundredth of the noise left
WIDTH = 64
muon, adam = functools.partial(models.muon, 1e-2), functools.partial(models.adam, 3e-3)
UNSEEN, UNSEEN_TIME = 4, 100.0  # orbits of the family that are not in the data; some five periods

# The paper's published runs, from its stored trajectories and figures (maxima over time).
PAPER = {
    "none": dict(true_drift_L=0.1, twin=1.0, true_twin=4.7, loss=1.02e-6, true_loss=1.004e-6),
    "rotations": dict(
        model_drift_L=1e-5, true_drift_L=1e-3, twin=0.1, true_twin=4.7, loss=1.01e-6,
        true_loss=1.004e-6,
    ),
}  # fmt: skip
COLUMNS = ("model_drift_L", "true_drift_L", "distance", "horizon", "twin", "twin_ratio")
COLUMNS += ("jacobian_error", "loss", "true_loss", "seconds")


def smoothed(windows, key):
    """Observations from windows in the order of time."""
    return nx.smooth(windows(key), interval=WINDOWS["interval"], degree=DEGREE)


loss = eqx.filter_jit(nx.AccelerationLoss())


def in_space(trajectory: nx.Trajectory) -> nx.Trajectory:
    """Without τ, which runs out of every picture."""
    return eqx.tree_at(lambda path: path.q, trajectory, trajectory.q[..., :3])


def draw(folder, problem: ex.Problem, records: dict[str, ex.Record], smoothed_loss: float) -> None:
    """The paper's Figures 6, 7, 8 and 13, with the true law's loss on smoothed observations."""
    import matplotlib.pyplot as plt

    times, truth = problem.ts.value, problem.truth[0]
    names = [name for name in records if name != TRUE_LAW]
    rows, columns = -(-len(names) // 4), 4
    room: Any = dict(zoom=0.8)  # for the label of the third axis
    figure = plt.figure(figsize=(4.5 * columns, 5 * rows), layout="constrained")
    for index, name in enumerate(names):
        ax = figure.add_subplot(rows, columns, index + 1, projection="3d")
        paths = {"model": in_space(records[name].orbit), "twin": in_space(records[name].twin)}
        dots = truth[0][::12, :, :3]  # few, that the lines are seen between them
        nx.plot.plot_orbits(paths, reference=dots, axes=(0, 1, 2), limit=5.0, ax=ax)
        ax.set(title=ex.titled(name), zlim=(-1, 1), zticks=(-1, 0, 1))
        ax.set(xlabel="x₁ (length)", ylabel="x₂ (length)", zlabel="x₃ (length)")
        ax.set_box_aspect((1, 1, 0.6), **room)
    ex.save_figure(figure, folder, "figure06_trajectories")

    figure, axes = plt.subplots(rows, columns, sharey=True, layout="constrained",
                                figsize=(4.5 * columns, 4 * rows))  # fmt: skip
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    for ax, name in zip(axes.flat, names, strict=False):
        series = records[name].series
        drifts = {"true": series["true drift L"]}
        if "model drift L" in series:
            drifts |= {"of the model": series["model drift L"]}
        label = "drift of angular momentum (1)" if ax in axes[..., 0].flat else ""
        nx.plot.plot_series(times, drifts, xlabel="time (length)", ylabel=label, ax=ax)
        ax.set(title=ex.titled(name), ylim=(1e-8, 10))
        ax.set_xlim(0, times[-1])
    ex.save_figure(figure, folder, "figure07_angular_momentum")

    kinds = [[name for name in names if (name in SMOOTHED) == kind] for kind in (False, True)]
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for row, some in zip(axes, kinds, strict=True):
        apart = {"true system": ex.distance(*truth)}
        apart |= {ex.titled(name): records[name].series["twin"] for name in some}
        wrong = {name: records[name].series["distance"] for name in (TRUE_LAW, *some)}
        labels = dict(xlabel="time (length)", ylabel="distance (length)")
        nx.plot.plot_series(times, apart, ax=row[0], **labels)
        nx.plot.plot_series(times, wrong, ax=row[1], **labels)
        row[0].set(title="between perturbed twins", ylim=(1e-4, 30))
        row[1].set(title="to the truth; “true law” by the same integrator", ylim=(1e-7, 30))
    ex.save_figure(figure, folder, "figure08_twins")

    # Losses of the one kind do not compare with those of the other: their noise differs.
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for ax, some, bound in zip(axes, kinds, (None, smoothed_loss), strict=True):
        ex.losses(records, some, ax, bound)
        ax.set_ylabel("training loss (1/length²)")
    ex.save_figure(figure, folder, "figure13_loss")


def main() -> None:
    options = parse_arguments(
        "Learn a particle about a black hole with and without its symmetry.",
        steps=10_000,
        quick_steps=100,
        out="results/schwarzschild",
    )
    quick = options.quick
    ts = ex.Times(QUICK_TIME if quick else FINAL_TIME, SAVE_EVERY)
    keys = jax.random.split(jax.random.key(options.seed), 7)
    records, errors = {}, {}
    with section("the true motion"):
        batch = 16 if quick else BATCH
        sampler = SYSTEM.sampler(batch, samples=200 if quick else 10_000)
        in_order = SYSTEM.windows(
            velocities=True, accelerations=True, samples=200 if quick else 10_000, **WINDOWS
        )
        smoothed_sampler = functools.partial(smoothed, in_order)
        smoothed_samples = ex.observe(smoothed_sampler, keys[6])
        problem = ex.pose(SYSTEM, CHARGES, ts, sampler, keys[0])
        records[TRUE_LAW] = ex.judge(SYSTEM.lagrangian, problem)
        family = nx.systems.Orbits(SYSTEM, 2 if quick else 32, key=keys[1])
        family_sampler = family.sampler(
            16 if quick else FAMILY_BATCH, samples=100 if quick else 1000
        )
        family_samples = ex.observe(family_sampler, keys[2])
        never_seen = nx.systems.Orbits(SYSTEM, 1 if quick else UNSEEN, key=keys[3])
        last = QUICK_TIME if quick else UNSEEN_TIME
        q, v = never_seen.initial_states()
        unseen = un.pose(SYSTEM, SYSTEM.group, q, v, last, SAVE_EVERY, keys[4])
        errors[TRUE_LAW] = un.judge(SYSTEM.lagrangian, unseen)
    settings: Any = dict(key=keys[5], width=WIDTH, regular=True)
    for name in QUICK if quick else (*MODELS, *SMOOTHED):
        with section(ex.titled(name)):
            data = problem.samples, sampler
            if name in SMOOTHED:
                data = smoothed_samples, smoothed_sampler
            build = (MODELS | SMOOTHED)[name]
            optimizer = (adam if build is MODELS[INVARIANT_ODE] else muon)(options.steps)
            model, history = models.train(
                build, *data, steps=options.steps, optimizer=optimizer, **settings
            )
            records[name] = ex.judge(model, problem, history)
    for name in FAMILY[not quick]:
        with section(f"family: {ex.titled(name)}"):
            model, _ = models.train(
                MODELS[name],
                family_samples,
                family_sampler,
                steps=2 * options.steps,  # on half the observations: more of them did not help
                optimizer=muon(2 * options.steps),
                **settings,
            )
            errors[name] = un.judge(model, unseen)

    print(f"\n(i) trained on one noisy orbit; maxima over time up to {ts.last:g}")
    tables = {
        "orbit": {name: ex.tabulate(record, problem, ts.last) for name, record in records.items()},
        "family": {name: record.numbers for name, record in errors.items()},
    }
    ex.compare(COLUMNS, tables["orbit"], PAPER)
    print(f"\n(ii) trained on a family of orbits; errors up to {last:g}, relative to size")
    ex.compare(un.COLUMNS, tables["family"])
    draw(options.out, problem, records, float(loss(SYSTEM.lagrangian, smoothed_samples)))
    ex.save_figure(un.draw(errors, unseen), options.out, "family_unseen")
    record = {"steps": options.steps, "seed": options.seed, "final_time": ts.last}
    write_results(options.out, {"settings": record, "paper": {"orbit": PAPER}, **tables})


if __name__ == "__main__":
    main()
