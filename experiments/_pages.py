"""The pages of results: a summary, and a page for every experiment, in Markdown.

All numbers come from the `results.json` of the finished parts. A cell is the median over the seeds,
with the range; what is not finite is null in the files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

EXPERIMENTS = {
    "kepler": "Kepler's problem",
    "schwarzschild": "A particle around a black hole",
    "two_particles": "Two particles in R⁴",
    "noise_and_data": "Noise and data",
    "invariant_layers": "The invariant layers",
}
ABOUT = {
    "kepler": "A particle in the field of a fixed centre, learned from noisy observations of one "
    "ellipse, as in the paper, and of a family of ellipses.",
    "schwarzschild": "A particle in orbit around a black hole, with time as a fourth coordinate. "
    "*Smoothed* means trained on smoothed short windows of time-ordered observations.",
    "two_particles": "Two particles in four dimensions, bound by a double well. The declared "
    "symmetries are rotations, translations, both, or neither.",
    "noise_and_data": "The error of the acceleration at unseen states, against the noise and the "
    "number of observations.",
    "invariant_layers": "How many invariant features two particles in R⁴ have under each declared "
    "symmetry.",
}
NOTES = {  # what a reader of a row must know; the rest is in the scripts
    "model_drift": "largest change of the model's own charge, relative to its start",
    "true_drift": "largest change of the true charge along the model's motion",
    "distance": "largest distance to the true motion; in the paper's two-particle rows, that at T",
    "twin": "largest distance to a trajectory that starts N(0, 1e-3) away",
    "true_twin": "the same for the true system",
    "twin_ratio": "twin of the model divided by that of the true system: one is best, not zero",
    "horizon": "time until the distance passes 1 % of the orbit's size",
    "jacobian_error": "relative error of ∂a/∂(q, v) along the true motion",
    "loss": "on fresh noisy observations",
    "true_loss": "that of the true law: a lower loss is over-fitting",
    "unseen_error": "distance to the true motion relative to its size, median over trajectories not in "
    "the data",
    "unseen_worst": "the largest of them",
    "unseen_horizon": "fraction of the time until it passes 1 %",
    "moved_error": "as unseen error, but with trajectories moved by the group",
    "moved_worst": "the largest of them",
    "moved_horizon": "fraction of the time until it passes 1 %",
    "error": "relative error of the acceleration at unseen states",
    "seconds": "of training, with other parts running at the same time",
    "skipped": "non-finite updates, left out",
    "features": "inputs of the network",
    "noise": "standard deviation",
    "samples": "number of observations",
}
SUMMARY = ("distance", "true_drift", "twin_ratio", "unseen_error", "moved_error")
FIGURES = {  # the words below a figure, which are also read out in its place
    "family_twins": "Twins of a model trained on a family of orbits separate as the true ones do",
    "family_unseen": "Error over time for orbits that were not in the data",
    "figure03_trajectories": "Trajectories of the models and the true one (the paper's Fig. 3)",
    "figure04_angular_momentum": "Change of the angular momentum over time (Fig. 4)",
    "figure05_twins": "Distance of perturbed twins over time (Fig. 5)",
    "figure12_loss": "Loss over the steps of training (Fig. 12)",
    "figure06_trajectories": "Trajectories of the models and the true one (Fig. 6)",
    "figure07_angular_momentum": "Change of the angular momentum over time (Fig. 7)",
    "figure08_twins": "Distance of perturbed twins over time (Fig. 8)",
    "figure13_loss": "Loss over the steps of training (Fig. 13)",
    "figure09_trajectories": "Trajectories of both particles and the true ones (Fig. 9)",
    "figure10_momenta": "Change of momentum and angular momentum over time (Fig. 10)",
    "figure11_twins": "Distance of perturbed twins over time (Fig. 11)",
    "figure14_loss": "Loss over the steps of training (Fig. 14)",
    "noise_and_data": "Error of the acceleration against noise and number of observations",
    "figure01_model": "From a state through the invariant features to the Lagrangian (Fig. 1)",
    "figure02_layers": "The invariant layers of two particles for each symmetry (Fig. 2)",
}


def collect(out: Path, name: str) -> dict[int, dict]:
    """All finished parts of an experiment: seed to the content of its file."""
    files = sorted((out / name).glob("seed*/results.json"))
    return {
        int(file.parent.name.removeprefix("seed")): json.loads(file.read_text()) for file in files
    }


def pages(out: Path, seconds: Mapping[str, float]) -> dict[str, str]:
    """Every page by its name, from whatever parts are finished."""
    finished = {name: collect(out, name) for name in EXPERIMENTS}
    finished = {name: parts for name, parts in finished.items() if parts}
    made = {f"{name}.md": _page(out, name, parts, seconds) for name, parts in finished.items()}
    return made | {"index.md": _index(finished)}


def _index(finished: Mapping[str, Mapping[int, dict]]) -> str:
    lines = [
        "# Results",
        "",
        "The paper's experiments and those beyond it, each with several random seeds. On every page a",
        "summary comes first, then the figures, then all numbers together with the paper's.",
        "",
    ]
    for name, parts in finished.items():
        seeds = list(parts.values())
        lines += [f"## [{EXPERIMENTS[name]}]({name}.md)", "", ABOUT[name], ""]
        for group in list(_tables(seeds[0]))[:1]:
            if set(SUMMARY) & set(_quantities(seeds[0][group])) and not _is_long(seeds[0][group]):
                lines += [f"*{group.capitalize()}*, medians:", "", *_summary(seeds, group), ""]
    lines += [
        "## Beside the paper",
        "",
        "- [Real machines](machines.md): forces, friction and drives, with recordings of carts on an",
        "  air track.",
        "- [The field's tasks](tables.md), beside what others have published.",
        "",
        "## How they were made",
        "",
        "`python experiments/reproduce_paper.py` runs everything, resumes where it was stopped, and",
        "writes these pages with `--publish docs/results`. [The paper and the truth](../paper.md) says",
        "where the numbers disagree with the paper, and why.",
    ]
    return "\n".join(lines) + "\n"


def _page(out: Path, name: str, finished: Mapping[int, dict], seconds) -> str:
    seeds = list(finished.values())
    settings = [
        f"{k.replace('_', ' ')} {v}" for k, v in seeds[0]["settings"].items() if k != "seed"
    ]
    head = f"`experiments/{name}.py`, seeds {', '.join(map(str, finished))}"
    lines = [f"# {EXPERIMENTS[name]}", "", ABOUT[name], "", "; ".join([head, *settings]) + "."]
    walls = [seconds[key] for key in (f"{name}/seed{x}" for x in finished) if key in seconds]
    if walls:
        lines += [f"Wall time of a seed, everything included: {summary(walls)} s."]
    paper = seeds[0].get("paper", {})
    groups = list(_tables(seeds[0]))
    short = [x for x in groups if set(SUMMARY) & set(_quantities(seeds[0][x]))]
    short = [x for x in short if not _is_long(seeds[0][x])]
    if short:
        names = dict.fromkeys(y for x in short for y in _quantities(seeds[0][x]))
        words = [f"*{x.replace('_', ' ')}*: {NOTES[x]}" for x in SUMMARY if x in names]
        lines += ["", "## In short", "", f"Medians over the seeds. {'; '.join(words)}."]
    for group in short:
        lines += ["", f"*{group.capitalize()}*", "", *_summary(seeds, group)]
    first = out / name / f"seed{next(iter(finished))}"
    figures = sorted(first.glob("*.png"))
    lines += ["", "## Figures", ""] if figures else []
    for figure in figures:
        place = figure.relative_to(out).as_posix()
        words = FIGURES.get(figure.stem, figure.stem.replace("_", " "))
        lines += ["<figure markdown>", f"[![{words}]({place}){{ loading=lazy }}]({place})"]
        lines += [f"<figcaption>{words}.</figcaption>", "</figure>", ""]
    lines += [
        "",
        "## All numbers",
        "",
        "Median over the seeds (least – greatest); times are in the",
    ]
    lines += ["paper's units. A drift of a charge is relative to the charge at the start."]
    for group in groups:
        lines += ["", f"### {group.capitalize()}", ""]
        lines += table(seeds, group, paper.get(group, {}))
    return "\n".join(lines) + "\n"


def _tables(results: Mapping[str, Any]) -> dict[str, dict[str, dict]]:
    """Every member of a results file but the settings and the paper's own figures."""
    return {k: v for k, v in results.items() if k not in ("settings", "paper")}


def _quantities(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = ((k, x) for numbers in arms.values() for k, x in numbers.items())
    return list(dict.fromkeys(k for k, x in names if not isinstance(x, list | str)))


def _is_long(arms: Mapping[str, Mapping[str, Any]]) -> bool:
    """More models than quantities: such a table has its models down."""
    return len(arms) > len(_quantities(arms))


def _summary(seeds: Sequence[dict], group: str) -> list[str]:
    """Models down, a few medians across."""
    arms = seeds[0][group]
    names = [x for x in _quantities(arms) if x.startswith(SUMMARY)]
    lines = _header(x.replace("_", " ") for x in names)
    for arm, numbers in arms.items():
        cells = (
            _number(_median([seed[group][arm].get(x) for seed in seeds])) if x in numbers else "–"
            for x in names
        )
        lines.append(_row(arm, cells))
    return lines


def table(seeds: Sequence[dict], title: str, paper: Mapping[str, Mapping]) -> list[str]:
    """One table: quantities down, models across, the paper's figure below ours; or the other way round
    if there are more models than quantities."""
    arms = seeds[0][title]
    quantities = _quantities(arms)

    def cell(arm: str, name: str) -> str:
        if name not in arms[arm]:
            return "–"
        return summary([seed[title][arm].get(name) for seed in seeds])

    if _is_long(arms):
        lines = _header(_explained(name) for name in quantities)
        return lines + [_row(arm, (cell(arm, name) for name in quantities)) for arm in arms]
    lines = _header(arms)
    for name in quantities:
        lines.append(_row(_explained(name), (cell(arm, name) for arm in arms)))
        theirs = [paper.get(arm, {}).get(name, "–") for arm in arms]
        if any(x != "–" for x in theirs):
            cells = ["diverges" if x is None else x if x == "–" else _number(x) for x in theirs]
            lines.append(_row("*… in the paper*", (f"*{x}*" for x in cells)))
    return lines


def _explained(name: str) -> str:
    """The name of a quantity, and below it what it is."""
    note = NOTES.get(name) or NOTES.get(name.rpartition("_")[0], "")
    return f"{name.replace('_', ' ')}<small>{note}</small>"


def summary(values: Sequence[float | None]) -> str:
    """Median and range of the seeds."""
    numbers = [np.inf if x is None else x for x in values]
    text = _number(_median(values))
    if len(numbers) > 1:
        text += f" ({_number(min(numbers))} – {_number(max(numbers))})"
    return text


def _median(values: Sequence[float | None]) -> float:
    return float(np.median([np.inf if x is None else x for x in values]))


def _number(x: float) -> str:
    return f"{x:.3g}" if np.isfinite(x) else "diverges"


def _header(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [_row("", names), f"| --- |{' ---: |' * len(names)}"]


def _row(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"
