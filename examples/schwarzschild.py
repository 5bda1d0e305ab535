"""A particle about a black hole, learned from noisy observations with and without its symmetry.

The paper's experiment (Müller 2023, section 3.1.2; Figures 6, 7, 8, 13): a bound orbit in the
Schwarzschild metric as a motion in (x₁, x₂, x₃, τ), where τ is the time of a distant observer. No
model is told τ itself, or it would have to extrapolate. Beside the unconstrained Lagrangian and that
of rotations stand a network straight to the acceleration, and the true law under the same integrator.

Accelerations are about 0.01 and their noise is 0.001, so the number of observations limits what can be
known. In trials with another seed 20,000 steps of 512 observations left a true drift of 4.5e-4, and
40,000 steps of 256 at a higher rate one of 8.0e-4.

(i)  Samples of one orbit, as in the paper. (ii) Samples of a family of orbits in one plane, judged on
orbits that are not among them and on the same ones turned to other planes and begun later.

Distances are those of all four coordinates. All models see the same data, the same number of steps
and the same optimiser.
Run as `python examples/schwarzschild.py`; see `--help` for options.
"""

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
QUICK = ("none", "rotations", INVARIANT_ODE)  # compiling a model takes seconds, whatever the steps
FAMILY = ("rotations",), ("none", "rotations")  # trained on the family: in quick runs, and else
CHARGES = {"L": ex.Charge(ROTATIONS)}
FINAL_TIME, QUICK_TIME, SAVE_EVERY = 1000.0, 20.0, 0.5
BATCH = 512
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


def in_space(trajectory: nx.Trajectory) -> nx.Trajectory:
    """Without τ, which runs out of every picture."""
    return eqx.tree_at(lambda path: path.q, trajectory, trajectory.q[..., :3])


def draw(folder, problem: ex.Problem, records: dict[str, ex.Record]) -> None:
    """The paper's Figures 6, 7, 8 and 13."""
    import matplotlib.pyplot as plt

    times, truth = problem.ts.value, problem.truth[0]
    names = [name for name in MODELS if name in records]
    room: Any = dict(zoom=0.8)  # for the label of the third axis
    figure = plt.figure(figsize=(4.5 * len(names), 5), layout="constrained")
    for index, name in enumerate(names):
        ax = figure.add_subplot(1, len(names), index + 1, projection="3d")
        paths = {"model": in_space(records[name].orbit), "twin": in_space(records[name].twin)}
        dots = truth[0][::12, :, :3]  # few, that the lines are seen between them
        nx.plot.plot_orbits(paths, reference=dots, axes=(0, 1, 2), limit=5.0, ax=ax)
        ax.set(title=ex.titled(name), zlim=(-1, 1), zticks=(-1, 0, 1))
        ax.set(xlabel="x₁ (length)", ylabel="x₂ (length)", zlabel="x₃ (length)")
        ax.set_box_aspect((1, 1, 0.6), **room)
    ex.save_figure(figure, folder, "figure06_trajectories")

    figure, axes = plt.subplots(1, len(names), sharey=True, layout="constrained",
                                figsize=(4.5 * len(names), 4))  # fmt: skip
    for ax, name in zip(axes, names, strict=True):
        series = records[name].series
        drifts = {"true": series["true drift L"]}
        if "model drift L" in series:
            drifts |= {"of the model": series["model drift L"]}
        label = "drift of angular momentum (1)" if ax is axes[0] else ""
        nx.plot.plot_series(times, drifts, xlabel="time (length)", ylabel=label, ax=ax)
        ax.set(title=ex.titled(name), ylim=(1e-8, 10))
        ax.set_xlim(0, times[-1])
    ex.save_figure(figure, folder, "figure07_angular_momentum")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    apart = {"true system": ex.distance(*truth)}
    apart |= {ex.titled(name): records[name].series["twin"] for name in names}
    nx.plot.plot_series(
        times, apart, xlabel="time (length)", ylabel="distance (length)", ax=axes[0]
    )
    axes[0].set(title="between perturbed twins", ylim=(1e-4, 30))
    wrong = {name: records[name].series["distance"] for name in (TRUE_LAW, *names)}
    nx.plot.plot_series(times, wrong, xlabel="time (length)", ylabel="", ax=axes[1])
    axes[1].set(title="to the truth; “true law” by the same integrator", ylim=(1e-7, 30))
    ex.save_figure(figure, folder, "figure08_twins")

    figure, ax = plt.subplots(layout="constrained")
    ex.losses(records, names, ax)
    ax.set_ylabel("training loss (1/length²)")
    ex.save_figure(figure, folder, "figure13_loss")


def main() -> None:
    options = parse_arguments(
        "Learn a particle about a black hole with and without its symmetry.",
        steps=20_000,
        quick_steps=100,
        out="results/schwarzschild",
    )
    quick = options.quick
    ts = ex.Times(QUICK_TIME if quick else FINAL_TIME, SAVE_EVERY)
    keys = jax.random.split(jax.random.key(options.seed), 6)
    records, errors = {}, {}
    with section("the true motion"):
        batch = 16 if quick else BATCH
        sampler = SYSTEM.sampler(batch, samples=200 if quick else 10_000)
        problem = ex.pose(SYSTEM, CHARGES, ts, sampler, keys[0])
        records[TRUE_LAW] = ex.judge(SYSTEM.lagrangian, problem)
        family = nx.systems.Family(SYSTEM, 2 if quick else 32, key=keys[1])
        family_sampler = family.sampler(batch, samples=100 if quick else 1000)
        family_samples = ex.observe(family_sampler, keys[2])
        never_seen = nx.systems.Family(SYSTEM, 1 if quick else UNSEEN, key=keys[3])
        last = QUICK_TIME if quick else UNSEEN_TIME
        q, v = never_seen.initial_states()
        unseen = un.pose(SYSTEM, SYSTEM.group, q, v, last, SAVE_EVERY, keys[4])
        errors[TRUE_LAW] = un.judge(SYSTEM.lagrangian, unseen)
    settings: Any = dict(steps=options.steps, key=keys[5])
    settings["optimizer"] = models.adam(3e-3, options.steps)
    for name in QUICK if quick else MODELS:
        with section(ex.titled(name)):
            model, history = models.train(MODELS[name], problem.samples, sampler, **settings)
            records[name] = ex.judge(model, problem, history)
    for name in FAMILY[not quick]:
        with section(f"family: {ex.titled(name)}"):
            model, _ = models.train(MODELS[name], family_samples, family_sampler, **settings)
            errors[name] = un.judge(model, unseen)

    print(f"\n(i) trained on one noisy orbit; maxima over time up to {ts.last:g}")
    tables = {
        "orbit": {name: ex.tabulate(record, problem, ts.last) for name, record in records.items()},
        "family": {name: record.numbers for name, record in errors.items()},
    }
    ex.compare(COLUMNS, tables["orbit"], PAPER)
    print(f"\n(ii) trained on a family of orbits; errors up to {last:g}, relative to size")
    ex.compare(un.COLUMNS, tables["family"])
    draw(options.out, problem, records)
    ex.save_figure(un.draw(errors, unseen), options.out, "family_unseen")
    record = {"steps": options.steps, "seed": options.seed, "final_time": ts.last}
    write_results(options.out, {"settings": record, "paper": {"orbit": PAPER}, **tables})


if __name__ == "__main__":
    main()
