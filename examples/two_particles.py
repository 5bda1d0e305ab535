"""Two interacting particles in R⁴, learned with none, either or both of their symmetries.

The paper's experiment (Müller 2023, section 3.1.3; Figures 9, 10, 11, 14), followed eight times as
long: up to its T = 8, and up to T = 64. Beside its four Lagrangians stand one that is invariant under
reflections as well, O(4) for SO(4), a network straight to the acceleration, and the true law under the
same integrator. (With translations as well, O(4) and SO(4) are the same: three vectors remain, the
distance and two velocities, and a determinant in R⁴ takes four.)

Total momentum M is zero: its change is divided by the momentum of the first particle (Eq. 36).
All models see the same data, the same number of steps and the same optimiser. That is Muon: Adam, which
does well with both symmetries, leaves the other models far from converged.
Run as `python examples/two_particles.py`; see `--help` for options.
"""

import _experiment as ex
import jax
import jax.numpy as jnp
from _common import parse_arguments, section, write_results

import noetherax as nx

SYSTEM = nx.systems.TwoParticles()
ROTATIONS, TRANSLATIONS = nx.Rotations(4), nx.Translations(4)
ARMS = {
    "none": nx.Trivial(4),
    "rotations": ROTATIONS,
    "translations": TRANSLATIONS,
    "both": TRANSLATIONS * ROTATIONS,
    "O(4)": nx.Orthogonal(4),  # without the determinant that rotations leave
}
MODELS = [*ARMS, ex.NEURAL_ODE]
QUICK = ("none", "both", ex.NEURAL_ODE)  # compiling a model takes seconds, whatever the steps
PAPER_TIME, FINAL_TIME, SAVE_EVERY = 8.0, 64.0, 0.1


def first_momentum(law, q, v):
    """‖∂L/∂v₁‖, what the change of the total momentum is divided by."""
    return jnp.linalg.norm(nx.momentum(law, q, v)[0])


CHARGES = {"L": ex.Charge(ROTATIONS), "M": ex.Charge(TRANSLATIONS, first_momentum)}

# The paper's published runs, from its stored trajectories and losses: maxima over time up to T = 8,
# the distance at T. It has the models' momenta M as absolute numbers, which no other model shares.
PAPER = {
    "none": dict(
        model_drift_L=0.99, true_drift_L=0.45, true_drift_M=0.13, distance=1.6, twin=0.15,
        loss=8.8e-5, true_loss=2.05e-4,
    ),
    "rotations": dict(
        model_drift_L=1.8e-6, true_drift_L=0.018, true_drift_M=0.087, distance=1.9, twin=0.026,
        loss=6.9e-5, true_loss=2.05e-4,
    ),
    "translations": dict(
        true_drift_L=0.28, true_drift_M=0.11, distance=1.3, twin=0.031, loss=1.2e-4,
        true_loss=2.05e-4,
    ),
    "both": dict(
        model_drift_L=7.0e-7, true_drift_L=0.0086, true_drift_M=0.019, distance=2.0, twin=0.022,
        loss=6.6e-5, true_loss=2.05e-4,
    ),
}  # fmt: skip
DRIFTS = ("model_drift_L", "model_drift_M", "true_drift_L", "true_drift_M", "distance", "horizon")
OTHERS = ("twin", "twin_ratio", "jacobian_error", "loss", "true_loss", "seconds")


def draw(folder, problem: ex.Problem, records: dict[str, ex.Record]) -> None:
    """The paper's Figures 9, 10, 11 and 14."""
    import matplotlib.pyplot as plt

    times, truth = problem.ts.value, problem.truth[0]
    titles = {arm: f"symmetry: {arm}" if arm in ARMS else arm for arm in MODELS if arm in records}
    short = times <= PAPER_TIME + 1e-9

    figure, axes = plt.subplots(2, 3, figsize=(12, 8), layout="constrained")
    for ax, arm in zip(axes.flat, titles, strict=False):
        record = records[arm]
        paths = {"model": jax.tree.map(lambda x: x[short] if jnp.ndim(x) == 3 else x, record.orbit)}
        nx.plot.plot_orbits(paths, reference=truth[0][short][::2], limit=2.5, ax=ax)
        for point, filled in enumerate(("k", "none")):
            begin, end = truth[0][0, point], truth[0][short][-1, point]
            ax.plot(*begin[:2], "k*", markersize=10, markerfacecolor=filled)
            ax.plot(*end[:2], "ko", markersize=7, markerfacecolor=filled)
        ax.set(title=titles[arm], xlabel="x₁ (length)", ylabel="x₂ (length)")
        ax.set(xlim=(-1.8, 1.8), ylim=(-1.7, 1.1))
    ex.save_figure(figure, folder, "figure09_trajectories")

    figure, axes = plt.subplots(2, 3, figsize=(13, 8), sharey=True, layout="constrained")
    for ax, arm in zip(axes.flat, titles, strict=False):
        series = records[arm].series
        # The true ones first: a network without charges then has the same styles for them.
        drifts = {name: x for name, x in sorted(series.items(), reverse=True) if "drift" in name}
        nx.plot.plot_series(
            times, drifts, xlabel="time (1)", ylabel="drift of momenta L, M (1)", ax=ax
        )
        ax.axvline(PAPER_TIME, color="0.5", linewidth=0.8)
        ax.set(title=titles[arm], ylim=(1e-8, 30))
        ax.legend(fontsize="small", loc="lower right", ncols=2)
    ex.save_figure(figure, folder, "figure10_momenta")

    groups = (("none", "rotations", "translations", "both"), ("rotations", "O(4)", ex.NEURAL_ODE))
    groups = [[arm for arm in group if arm in records] for group in groups]
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for column, arms in enumerate(groups):
        twins = {"true system": ex.distance(*truth)}
        twins |= {arm: records[arm].series["twin"] for arm in arms}
        wrong = {arm: records[arm].series["distance"] for arm in (ex.TRUE_LAW, *arms)}
        panels = {"between perturbed twins": twins, "to the truth": wrong}
        for ax, (title, series) in zip(axes[:, column], panels.items(), strict=True):
            nx.plot.plot_series(times, series, xlabel="time (1)", ylabel="distance (length)", ax=ax)
            ax.axvline(PAPER_TIME, color="0.5", linewidth=0.8)
            ax.set_title(title)
    axes[0, 1].set_ylim(axes[0, 0].set_ylim(1e-3, 30))
    axes[1, 1].set_ylim(axes[1, 0].set_ylim(1e-7, 30))
    ex.save_figure(figure, folder, "figure11_twins")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for ax, arms in zip(axes, groups, strict=True):
        ex.losses(records, arms, ax)
        ax.set_ylabel("training loss (length²)")
    ex.save_figure(figure, folder, "figure14_loss")


def main() -> None:
    options = parse_arguments(
        "Learn two particles with and without their symmetries.",
        steps=16_000,
        quick_steps=50,
        out="results/two_particles",
    )
    ts = ex.Times(10.0 if options.quick else FINAL_TIME, SAVE_EVERY)
    problem_key, key = jax.random.split(jax.random.key(options.seed))
    records = {}
    with section("the true motion"):
        sampler = SYSTEM.sampler(samples=200 if options.quick else 10_000)
        problem = ex.pose(SYSTEM, CHARGES, ts, sampler, problem_key)
        records[ex.TRUE_LAW] = ex.judge(SYSTEM.lagrangian, problem)
    for arm in QUICK if options.quick else MODELS:
        with section(f"symmetry: {arm}" if arm in ARMS else arm):
            model, history = ex.train(arm, ARMS, problem, sampler, options.steps, key)
            records[arm] = ex.judge(model, problem, history)

    tables = {}
    for last in (PAPER_TIME, ts.last):
        print(f"\ntrained on one noisy trajectory; maxima over time up to T = {last:g}")
        numbers = {arm: ex.tabulate(record, problem, last) for arm, record in records.items()}
        paper = PAPER if last == PAPER_TIME else {}
        ex.compare(DRIFTS, numbers, paper)
        print()
        ex.compare(OTHERS, numbers, paper)
        tables[f"T = {last:g}"] = numbers
    draw(options.out, problem, records)
    settings = {"steps": options.steps, "seed": options.seed, "final_time": ts.last}
    write_results(options.out, {"settings": settings, "paper": {"T = 8": PAPER}, **tables})


if __name__ == "__main__":
    main()
