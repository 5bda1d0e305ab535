"""How much a symmetry is worth: the error of the learned law against noise and number of observations.

The outlook of the paper asks for it. Each system is trained on a fixed set of noisy observations of a
family of trajectories, once for every symmetry, noise and size of the set. The error is that of the
acceleration at clean states of trajectories that are not in the set, relative, in root mean square:
where the data lie, and where the system's group moves them.
Run as `python experiments/noise_and_data.py`; see `--help` for options.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import _experiment as ex
import _models as models
import equinox as eqx
import jax
import jax.numpy as jnp
from _common import parse_arguments, print_table, section, write_results

import noetherax as nx

NOISES = (1e-4, 1e-3, 1e-2)
SAMPLES = (100, 1_000, 10_000, 100_000)
USUAL = {"noise": 1e-3, "samples": 10_000}  # of the two, the one that does not vary
QUICK = ((1e-3, 10_000), (1e-2, 10_000))
CLEAN = 4096  # states that the error is measured at
SKY, CLOCK = nx.Rotations(4, axes=(0, 1, 2)), nx.Translations(4, axes=(3,))


class Study(NamedTuple):
    """A system, its symmetry, the symmetries to declare, and how the models are trained."""

    group: nx.SymmetryGroup
    arms: Mapping[str, nx.SymmetryGroup]
    observe: Callable  # (samples, noise, seed of the trajectories) -> sampler
    optimizer: Callable = nx.default_optimizer
    loss: nx.Loss = nx.AccelerationLoss()


def of_family(system) -> Callable:
    """Observations of 32 trajectories of a system."""

    def observe(samples: int, noise: float, seed: int):
        family = nx.systems.Orbits(system, 32, key=jax.random.key(seed))
        return family.sampler(samples, noise=noise)

    return observe


def of_kepler(samples: int, noise: float, seed: int):
    """Observations of Kepler orbits, each on its own."""
    return nx.systems.Orbits(nx.systems.Kepler(), math.inf).sampler(samples, noise=noise)


STUDIES = {
    "Kepler": Study(
        nx.Rotations(3),
        {"none": nx.Trivial(3), "rotations": nx.Rotations(3)},
        of_kepler, functools.partial(models.adam, 1e-2), models.relative_loss,
    ),
    "Schwarzschild": Study(
        SKY * CLOCK,
        {"none": CLOCK, "rotations": SKY * CLOCK},
        of_family(nx.systems.Schwarzschild()), functools.partial(models.adam, 3e-3),
    ),
    "two particles": Study(
        nx.Translations(4) * nx.Rotations(4),
        {
            "none": nx.Trivial(4),
            "rotations": nx.Rotations(4),
            "translations": nx.Translations(4),
            "both": nx.Translations(4) * nx.Rotations(4),
        },
        of_family(nx.systems.TwoParticles()),
    ),
}  # fmt: skip


@eqx.filter_jit
def relative_error(law, q, v, a):
    """√(Σ‖a − a_true‖² / Σ‖a_true‖²)."""
    mass_matrix, force = nx.euler_lagrange_terms(law, q, v)
    ours = jnp.linalg.solve(mass_matrix, force[..., None]).reshape(a.shape)
    return jnp.sqrt(jnp.sum(jnp.square(ours - a)) / jnp.sum(jnp.square(a)))


def move(group, observations, key):
    """Observations moved by a random element of the group each. An acceleration turns as v does."""
    q, v, a = observations
    coefficients = jax.random.uniform(key, (len(q), group.dimension), minval=-2.0, maxval=2.0)
    act = jax.vmap(group.act)
    moved_q, moved_v = act(coefficients, q, v)
    return moved_q, moved_v, act(coefficients, q, a)[1]


def repeated(data, samples: int):
    """The same observations over and over. Batches are drawn with replacement, so that this changes
    nothing but the shape: one program trains on sets of every size."""
    return tuple(jnp.tile(x, (samples // len(x), 1, 1)) for x in data)


def settings(quick: bool) -> list[tuple[float, int]]:
    """Pairs of noise and number of samples."""
    noise, samples = USUAL["noise"], USUAL["samples"]
    pairs = [(x, samples) for x in NOISES] + [(noise, x) for x in SAMPLES]
    return list(QUICK) if quick else list(dict.fromkeys(pairs))


def draw(folder, tables) -> None:
    """Error against noise and against data, a line for every symmetry."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(tables), figsize=(4.5 * len(tables), 8), squeeze=False, layout="constrained"
    )
    for column, (system, rows) in enumerate(tables.items()):
        for ax, varied, fixed, unit in (
            (axes[0, column], "noise", "samples", "standard deviation of the noise (1)"),
            (axes[1, column], "samples", "noise", "number of observations (1)"),
        ):
            for index, arm in enumerate(STUDIES[system].arms):
                points = [
                    (row[varied], row["error"])
                    for row in rows.values()
                    if row["symmetry"] == arm and row[fixed] == USUAL[fixed]
                ]
                ax.loglog(*zip(*sorted(points), strict=True), marker="o", label=arm,
                          **nx.plot.STYLES[index])  # fmt: skip
            ax.set(xlabel=unit, ylabel="error of the acceleration (1)", title=system)
            ax.grid(alpha=0.3)
            ax.legend(fontsize="small")
    ex.save_figure(figure, folder, "noise_and_data")


def main() -> None:
    options = parse_arguments(
        "Error of the learned law against noise and number of observations.",
        steps=3_000,
        quick_steps=50,
        out="results/noise_and_data",
    )
    tables: dict[str, dict] = {}
    for system in list(STUDIES)[: 1 if options.quick else None]:
        study = STUDIES[system]
        keys = jax.random.split(jax.random.key(options.seed), 4)
        clean = study.observe(CLEAN, 0.0, 10_000 + options.seed)(keys[0])
        moved = move(study.group, clean, keys[1])
        pairs = settings(options.quick)
        most = max(samples for _, samples in pairs)
        with section(f"{system}: observations"):
            observations = {
                (noise, samples): repeated(
                    jax.jit(study.observe(samples, noise, options.seed))(keys[2]), most
                )
                for noise, samples in pairs
            }
        arms = list(study.arms)
        optimizer = study.optimizer(options.steps)  # one for all, so that programs are shared
        tables[system] = {}
        for arm in [arms[0], arms[-1]] if options.quick else arms:
            build = models.neural_lagrangian(study.arms[arm])
            for (noise, samples), data in observations.items():
                with section(f"{system}: symmetry {arm}, noise {noise:g}, {samples} samples"):
                    model, history = models.train(
                        build, data, data, options.steps, keys[3], optimizer, study.loss
                    )
                    row = {"symmetry": arm, "noise": noise, "samples": samples}
                    row["error"] = float(relative_error(model, *clean))
                    row["moved_error"] = float(relative_error(model, *moved))
                    row["seconds"] = history.seconds
                    tables[system][f"{arm}, {noise:g}, {samples}"] = row
    for system, rows in tables.items():
        print(f"\n{system}: relative error of the acceleration at unseen states, and moved ones")
        names = ("symmetry", "noise", "samples", "error", "moved_error")
        print_table([x.replace("_", " ") for x in names],
                    [[row[x] for x in names] for row in rows.values()])  # fmt: skip
    draw(options.out, tables)
    record = {"steps": options.steps, "seed": options.seed}
    write_results(options.out, {"settings": record, **tables})


if __name__ == "__main__":
    main()
