"""The paper's experiments and those beyond it, for several random seeds; then a page of results.

Each part is run as a user would, several at a time:
`python experiments/NAME.py --seed S --out OUT/NAME/seedS`. A part is finished when its `results.json`
exists, which is written last and whole: interrupted runs go on where they stopped. The page,
`OUT/index.md`, has the median over seeds and the range, with the paper's figure beside, all read from
those files, and the figures of the first seed.

    python experiments/reproduce_paper.py  # everything, three seeds
    python experiments/reproduce_paper.py --quick  # every line, learning nothing
    python experiments/reproduce_paper.py --only kepler --seeds 0
    python experiments/reproduce_paper.py --publish docs/results  # the page for the documentation
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from _common import write_results, write_whole

HERE = Path(__file__).parent
EXPERIMENTS = {
    "kepler": "Kepler's problem",
    "schwarzschild": "A particle about a black hole",
    "two_particles": "Two particles in R⁴",
    "noise_and_data": "Noise and data",
    "invariant_layers": "The invariant layers",
}
OPTIONS = {"kepler": ["--baselines"]}  # what the script leaves out by default, to be quick
ONCE = {"invariant_layers"}  # nothing in it is random
COLOURS = 64  # of published figures, which are to be small
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
    "seconds": "of training, beside as many other parts as `jobs` says",
    "unseen_error": "largest distance to the true motion over size, the median over trajectories that "
    "were not in the data; `unseen_worst` is the largest of them, `unseen_horizon` the part of the "
    "time until it passes 1 %. `moved_…`: the same trajectories moved by the group",
    "error": "relative error of the acceleration at unseen states; `moved_error` where the group "
    "moves them",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the paper's experiments and tabulate them.")
    parser.add_argument("--quick", action="store_true", help="short runs, for tests")
    parser.add_argument("--seeds", type=int, nargs="+", help="random seeds (default 0 1 2)")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, help="some of the experiments")
    parser.add_argument("--steps", type=int, help="optimiser steps per model (each one's own)")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1),
                        help="parts to run at a time (one a core, at most 4)")  # fmt: skip
    parser.add_argument("--publish", type=Path, help="folder to copy page and figures to")
    parser.add_argument("--out", type=Path, help="output folder (default results/paper)")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or ([0] if arguments.quick else [0, 1, 2])
    arguments.only = arguments.only or list(EXPERIMENTS)
    if arguments.jobs < 1:
        parser.error(f"--jobs must be positive, but it is {arguments.jobs}")
    if arguments.out is None:  # short runs must not count as finished parts of the real thing
        arguments.out = Path("results/quick" if arguments.quick else "results/paper")
    return arguments


def run(name: str, seed: int, folder: Path, options: Sequence[str]) -> bool:
    """Runs one part, its output in `log.txt`; whether it succeeded."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--seed", str(seed)]
    command += OPTIONS.get(name, []) if "--quick" not in options else []
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
    """One Markdown table: quantities down, models across, the paper's figure below ours; or the other
    way round if there are more models than quantities."""
    arms = seeds[0][title]
    quantities = dict.fromkeys(
        name
        for numbers in arms.values()
        for name, x in numbers.items()
        if not isinstance(x, list | str)
    )

    def cell(arm: str, name: str) -> str:
        if name not in arms[arm]:
            return "–"
        return summary([seed[title][arm].get(name) for seed in seeds])

    if len(arms) > len(quantities):
        lines = _header(name.replace("_", " ") for name in quantities)
        return lines + [_row(arm, (cell(arm, name) for name in quantities)) for arm in arms]
    lines = _header(arms)
    for name in quantities:
        lines.append(_row(name.replace("_", " "), (cell(arm, name) for arm in arms)))
        theirs = [paper.get(arm, {}).get(name, "–") for arm in arms]
        if any(x != "–" for x in theirs):
            cells = ["diverges" if x is None else x if x == "–" else _number(x) for x in theirs]
            lines.append(_row("*… in the paper*", (f"*{x}*" for x in cells)))
    return lines


def _header(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [_row("", names), f"| --- |{' ---: |' * len(names)}"]


def _row(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def page(out: Path, seconds: Mapping[str, float]) -> str:
    """The results page, from whatever parts are finished, with the wall times that are known."""
    lines = [
        "# Results",
        "",
        "Written by `experiments/reproduce_paper.py` from the `results.json` of every run.",
        "Cells: median over the seeds (least – greatest); times are in the paper's units.",
        "",
    ]
    for name, title in EXPERIMENTS.items():
        finished = collect(out, name)
        if finished:
            lines += part(out, name, title, finished, seconds)
    lines += ["## What the rows mean", ""]
    lines += [f"- `{name}`: {note}." for name, note in NOTES.items()]
    return "\n".join(lines) + "\n"


def part(out: Path, name: str, title: str, finished: Mapping[int, dict], seconds) -> list[str]:
    """The section of one experiment: settings, tables, figures of the first seed."""
    seeds = list(finished.values())
    settings = [
        f"{k.replace('_', ' ')} {v}" for k, v in seeds[0]["settings"].items() if k != "seed"
    ]
    head = f"`experiments/{name}.py`, seeds {', '.join(map(str, finished))}"
    lines = [f"## {title}", "", "; ".join([head, *settings]) + "."]
    walls = [seconds[key] for key in (f"{name}/seed{x}" for x in finished) if key in seconds]
    if walls:
        lines += [f"Wall time of a seed, everything included: {summary(walls)} s."]
    paper = seeds[0].get("paper", {})
    for group in tables(seeds[0]):
        lines += ["", f"### {title}: {group}", "", *table(seeds, group, paper.get(group, {}))]
    first = out / name / f"seed{next(iter(finished))}"
    lines += [""]
    for figure in sorted(first.glob("*.png")):
        place = figure.relative_to(out).as_posix()
        lines += [f"![{figure.stem.replace('_', ' ')}]({place})", ""]
    return lines


def publish(out: Path, folder: Path) -> None:
    """Copies the page, what it was made from, and its figures in few colours."""
    from PIL import Image

    text = (out / "index.md").read_text()
    for figure in re.findall(r"\]\(([^)]+\.png)\)", text):
        (folder / figure).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(out / figure) as image:
            image.convert("RGB").quantize(COLOURS).save(folder / figure, optimize=True)
    for file in out.glob("**/results.json"):
        (folder / file.relative_to(out)).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / file.relative_to(out), file.read_text())
    write_whole(folder / "index.md", text)


def main() -> None:
    arguments = parse()
    out = arguments.out
    options = ["--quick"] if arguments.quick else []
    options += [] if arguments.steps is None else ["--steps", str(arguments.steps)]
    # The longest last in the list, first to start: no part is left to run alone for long.
    parts = [
        (name, seed)
        for index, seed in enumerate(arguments.seeds)
        for name in reversed(arguments.only)
        if index == 0 or name not in ONCE
    ]
    failed, times = [], {}

    def work(name: str, seed: int) -> str:
        folder = out / name / f"seed{seed}"
        if (folder / "results.json").exists():
            return "finished before"
        start = time.perf_counter()
        succeeded = run(name, seed, folder, options)
        seconds = time.perf_counter() - start
        times[f"{name}/seed{seed}"] = seconds
        if succeeded:
            return f"{seconds:.0f} s"
        failed.append(f"{name}, seed {seed}")
        return f"FAILED, see {folder / 'log.txt'}"

    with ThreadPoolExecutor(arguments.jobs) as pool:
        running = {pool.submit(work, *each): each for each in parts}
        for index, done in enumerate(as_completed(running), 1):
            name, seed = running[done]
            print(f"[{index}/{len(parts)}] {name}, seed {seed}: {done.result()}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    before = out / "results.json"
    known = json.loads(before.read_text())["seconds"] if before.exists() else {}
    settings = {"machine": platform.platform(), "cores": os.cpu_count(), "jobs": arguments.jobs}
    write_results(out, {"settings": settings, "seconds": known | times})
    write_whole(out / "index.md", page(out, known | times))
    if arguments.publish:
        publish(out, arguments.publish)
    if failed:
        sys.exit(f"These parts failed: {'; '.join(failed)}. Run again to repeat only them.")


if __name__ == "__main__":
    main()
