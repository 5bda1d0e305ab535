"""A particle about a black hole, learned from noisy observations with and without its symmetry.

The paper's experiment (Müller 2023, section 3.1.2; Figures 6, 7, 8, 13): a bound orbit in the
Schwarzschild metric as a motion in (x₁, x₂, x₃, τ), where τ is the time of a distant observer. No
model is told τ itself, or it would have to extrapolate. Beside the unconstrained Lagrangian and that
of rotations stand a network straight to the acceleration, and the true law under the same integrator.

Accelerations are about 0.01 and their noise is 0.001, so the number of observations probably limits
what can be known: in single runs 20,000 steps left a true drift of 1.1e-3, and 40,000 one of 5.8e-4.

Distances are those of all four coordinates. All models see the same data, the same number of steps
and the same optimiser.
Run as `python examples/schwarzschild.py`; see `--help` for options.
"""

from typing import Any

import _experiment as ex
import equinox as eqx
import jax
from _common import parse_arguments, section, write_results

import noetherax as nx

SYSTEM = nx.systems.Schwarzschild()
ROTATIONS, LATER = nx.Rotations(4, axes=(0, 1, 2)), nx.Translations(4, axes=(3,))
ARMS = {"none": LATER, "rotations": ROTATIONS * LATER}  # 7 features, and 4
MODELS = [*ARMS, ex.NEURAL_ODE]
CHARGES = {"L": ex.Charge(ROTATIONS)}
FINAL_TIME, SAVE_EVERY = 1000.0, 0.5

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
    room: Any = dict(zoom=0.8)  # for the label of the third axis
    figure = plt.figure(figsize=(13, 5), layout="constrained")
    for index, arm in enumerate(MODELS):
        ax = figure.add_subplot(1, len(MODELS), index + 1, projection="3d")
        paths = {"model": in_space(records[arm].orbit), "twin": in_space(records[arm].twin)}
        dots = truth[0][::12, :, :3]  # few, that the lines are seen between them
        nx.plot.plot_orbits(paths, reference=dots, axes=(0, 1, 2), limit=5.0, ax=ax)
        ax.set(title=f"symmetry: {arm}" if arm in ARMS else arm, zlim=(-1, 1), zticks=(-1, 0, 1))
        ax.set(xlabel="x₁ (length)", ylabel="x₂ (length)", zlabel="x₃ (length)")
        ax.set_box_aspect((1, 1, 0.6), **room)
    ex.save_figure(figure, folder, "figure06_trajectories")

    figure, axes = plt.subplots(1, 3, figsize=(13, 4), sharey=True, layout="constrained")
    for ax, arm in zip(axes, MODELS, strict=True):
        series = records[arm].series
        drifts = {"true": series["true drift L"]}
        if arm in ARMS:
            drifts |= {"of the model": series["model drift L"]}
        label = "drift of angular momentum (1)" if ax is axes[0] else ""
        nx.plot.plot_series(times, drifts, xlabel="time (length)", ylabel=label, ax=ax)
        ax.set(title=f"symmetry: {arm}" if arm in ARMS else arm, ylim=(1e-8, 10))
        ax.set_xlim(0, times[-1])
    ex.save_figure(figure, folder, "figure07_angular_momentum")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    apart = {"true system": ex.distance(*truth)}
    apart |= {arm: records[arm].series["twin"] for arm in MODELS}
    nx.plot.plot_series(
        times, apart, xlabel="time (length)", ylabel="distance (length)", ax=axes[0]
    )
    axes[0].set(title="between perturbed twins", ylim=(1e-4, 30))
    wrong = {arm: records[arm].series["distance"] for arm in [ex.TRUE_LAW, *MODELS]}
    nx.plot.plot_series(times, wrong, xlabel="time (length)", ylabel="", ax=axes[1])
    axes[1].set(title="to the truth; “true law” by the same integrator", ylim=(1e-7, 30))
    ex.save_figure(figure, folder, "figure08_twins")

    figure, ax = plt.subplots(layout="constrained")
    ex.losses(records, MODELS, ax)
    ax.set_ylabel("training loss (1/length²)")
    ex.save_figure(figure, folder, "figure13_loss")


def main() -> None:
    options = parse_arguments(
        "Learn a particle about a black hole with and without its symmetry.",
        steps=40_000,
        quick_steps=100,
        out="results/schwarzschild",
    )
    ts = ex.Times(20.0 if options.quick else FINAL_TIME, SAVE_EVERY)
    problem_key, key = jax.random.split(jax.random.key(options.seed))
    records = {}
    with section("the true motion"):
        sampler = SYSTEM.sampler(samples=200 if options.quick else 10_000)
        problem = ex.pose(SYSTEM, CHARGES, ts, sampler, problem_key)
        records[ex.TRUE_LAW] = ex.judge(SYSTEM.lagrangian, problem)
    for arm in MODELS:
        with section(f"symmetry: {arm}" if arm in ARMS else arm):
            model, history = ex.train(arm, ARMS, problem, sampler, options.steps, key, ex.adam)
            records[arm] = ex.judge(model, problem, history)

    print(f"\ntrained on one noisy orbit; maxima over time up to {ts.last:g}")
    tables = {arm: ex.tabulate(record, problem, ts.last) for arm, record in records.items()}
    ex.compare(COLUMNS, tables, PAPER)
    draw(options.out, problem, records)
    settings = {"steps": options.steps, "seed": options.seed, "final_time": ts.last}
    write_results(options.out, {"settings": settings, "paper": PAPER, "orbit": tables})


if __name__ == "__main__":
    main()
