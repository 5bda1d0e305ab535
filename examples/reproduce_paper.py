"""The paper's experiments, one after another, for several random seeds; then a page of results.

Each part is an example run as a user would, `python examples/NAME.py --seed S --out OUT/NAME/seedS`.
A part is finished when its `results.json` exists, which is written last and whole: interrupted runs
go on where they stopped. The page, `OUT/results.md`, has the median over seeds and the range, with the
paper's figure beside, all read from those files.

    python examples/reproduce_paper.py                      # everything, three seeds
    python examples/reproduce_paper.py --quick              # every line of it, learning next to nothing
    python examples/reproduce_paper.py --only kepler --seeds 0
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _common import write_results, write_whole

HERE = Path(__file__).parent
EXPERIMENTS = {
    "kepler": "Kepler's problem",
    "schwarzschild": "A particle about a black hole",
    "two_particles": "Two particles in R⁴",
}
NOTES = {  # what a reader of a row must know; the rest is in the scripts
    "distance": "largest distance to the true motion; in the paper's two-particle rows, that at T",
    "horizon": "time until that distance passes 1 % of the orbit's size",
    "model_drift": "largest change of the model's own charge, relative to its start",
    "true_drift": "largest change of the true charge along the model's trajectory, likewise",
    "twin": "largest distance to a trajectory that starts N(0, 1e-3) away; `true_twin` is the true "
    "system's own and `twin_ratio` the first by the second: one is best, not zero",
    "jacobian_error": "relative error of ∂a/∂(q, v) along the true trajectory",
    "loss": "on fresh noisy observations; `true_loss` is that of the true law, and less is "
    "over-fitting",
    "seconds": "of training",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the paper's experiments and tabulate them.")
    parser.add_argument("--quick", action="store_true", help="short runs, for tests")
    parser.add_argument("--seeds", type=int, nargs="+", help="random seeds (default 0 1 2)")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, help="some of the experiments")
    parser.add_argument("--steps", type=int, help="optimiser steps per model (each one's own)")
    parser.add_argument("--out", type=Path, help="output folder (default results/paper)")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or ([0] if arguments.quick else [0, 1, 2])
    arguments.only = arguments.only or list(EXPERIMENTS)
    if arguments.out is None:  # short runs must not count as finished parts of the real thing
        arguments.out = Path("results/quick" if arguments.quick else "results/paper")
    return arguments


def run(name: str, seed: int, folder: Path, options: Sequence[str]) -> bool:
    """Runs one part, its output in `log.txt`; whether it succeeded."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--seed", str(seed)]
    with open(folder / "log.txt", "w") as log:
        done = subprocess.run(
            [*command, "--out", str(folder), *options], stdout=log, stderr=log, check=False
        )
    return done.returncode == 0 and (folder / "results.json").exists()


def collect(out: Path, name: str) -> dict[int, dict]:
    """All finished parts of an experiment: seed to the content of its file."""
    files = sorted((out / name).glob("seed*/results.json"))
    return {
        int(file.parent.name.removeprefix("seed")): json.loads(file.read_text()) for file in files
    }


def tables(results: Mapping[str, Any]) -> dict[str, dict[str, dict]]:
    """The tables of a results file: every member but the settings and the paper's own figures."""
    return {k: v for k, v in results.items() if k not in ("settings", "paper")}


def summary(values: Sequence[float | None]) -> str:
    """Median and range of the seeds. What is not finite is null in the files."""
    numbers = np.array([np.inf if x is None else x for x in values], float)
    text = _number(float(np.median(numbers)))
    if len(numbers) > 1:
        text += f" ({_number(float(numbers.min()))} – {_number(float(numbers.max()))})"
    return text


def _number(x: float) -> str:
    return f"{x:.3g}" if np.isfinite(x) else "diverges"


def table(seeds: Sequence[dict], title: str, paper: Mapping[str, Mapping]) -> list[str]:
    """One Markdown table: quantities down, models across, the paper's figure below ours."""
    arms = seeds[0][title]
    quantities = dict.fromkeys(
        name for numbers in arms.values() for name, x in numbers.items() if not isinstance(x, list)
    )
    lines = [f"| | {' | '.join(arms)} |", f"| --- |{' ---: |' * len(arms)}"]
    for name in quantities:
        cells = [
            summary([seed[title][arm].get(name) for seed in seeds]) if name in arms[arm] else "–"
            for arm in arms
        ]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
        theirs = [paper.get(arm, {}).get(name, "–") for arm in arms]
        if any(x != "–" for x in theirs):
            cells = ["diverges" if x is None else x if x == "–" else _number(x) for x in theirs]
            lines.append(f"| *… in the paper* | {' | '.join(f'*{x}*' for x in cells)} |")
    return lines


def page(out: Path, seconds: Mapping[str, float]) -> str:
    """The results page, from whatever parts are finished, with the wall times that are known."""
    lines = ["# Results", ""]
    lines += ["Written by `examples/reproduce_paper.py` from the `results.json` of every run. "]
    lines += [
        "Cells: median over the seeds (least – greatest); times are in the paper's units.",
        "",
    ]
    for name, title in EXPERIMENTS.items():
        finished = collect(out, name)
        if not finished:
            continue
        seeds = list(finished.values())
        settings = seeds[0]["settings"]
        lines += [f"## {title}", "", f"Seeds {', '.join(map(str, finished))}; "]
        lines += [
            ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items() if k != "seed")
        ]
        lines[-1] += f"; `examples/{name}.py`."
        walls = [seconds[key] for key in (f"{name}/seed{x}" for x in finished) if key in seconds]
        if walls:
            lines += [f"Wall time of a seed, everything included: {summary(walls)} s."]
        paper = seeds[0].get("paper", {})
        for index, group in enumerate(tables(seeds[0])):
            # The paper's figures belong to one table: the one named, or else the first.
            named = paper if index == 0 and not set(paper) & set(tables(seeds[0])) else {}
            lines += ["", f"### {title}: {group}", ""]
            lines += table(seeds, group, paper.get(group, named))
        lines += [""]
    lines += ["## What the rows mean", ""]
    lines += [f"- `{name}`: {note}." for name, note in NOTES.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = parse()
    out = arguments.out
    options = ["--quick"] if arguments.quick else []
    options += [] if arguments.steps is None else ["--steps", str(arguments.steps)]
    parts = [(name, seed) for seed in arguments.seeds for name in arguments.only]
    failed, times = [], {}
    for index, (name, seed) in enumerate(parts, 1):
        folder = out / name / f"seed{seed}"
        print(f"[{index}/{len(parts)}] {name}, seed {seed}: ", end="", flush=True)
        if (folder / "results.json").exists():
            print("finished before", flush=True)
            continue
        start = time.perf_counter()
        succeeded = run(name, seed, folder, options)
        seconds = time.perf_counter() - start
        times[f"{name}/seed{seed}"] = seconds
        print(f"{seconds:.0f} s" if succeeded else f"FAILED, see {folder / 'log.txt'}", flush=True)
        if not succeeded:
            failed.append(f"{name}, seed {seed}")
    out.mkdir(parents=True, exist_ok=True)
    before = out / "results.json"
    known = json.loads(before.read_text())["seconds"] if before.exists() else {}
    settings = {"machine": platform.platform(), "cores": os.cpu_count()}
    write_results(out, {"settings": settings, "seconds": known | times})
    write_whole(out / "results.md", page(out, known | times))
    if failed:
        sys.exit(f"These parts failed: {'; '.join(failed)}. Run again to repeat only them.")


if __name__ == "__main__":
    main()
