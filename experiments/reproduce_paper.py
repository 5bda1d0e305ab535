"""The paper's experiments and those beyond it, for several random seeds; then the pages of results.

Each part is run as a user would, several at a time:
`python experiments/NAME.py --seed S --out OUT/NAME/seedS`. A part is finished when its `results.json`
exists, which is written last and whole: interrupted runs go on where they stopped. The pages,
`OUT/index.md` and one for each experiment, have the median over seeds and the range, with the paper's
figure beside, all read from those files, and the figures of the first seed.

    python experiments/reproduce_paper.py  # everything, three seeds
    python experiments/reproduce_paper.py --quick  # every line, learning nothing
    python experiments/reproduce_paper.py --only kepler --seeds 0
    python experiments/reproduce_paper.py --publish docs/results  # the pages for the documentation
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from _common import write_results, write_whole
from _pages import EXPERIMENTS, pages

HERE = Path(__file__).parent
OPTIONS = {"kepler": ["--baselines"]}  # what the script leaves out by default, to be quick
ONCE = {"invariant_layers"}  # nothing in it is random
FIGURE = re.compile(r"\]\(([^)]+\.png)\)")
COLOURS = 64  # of published figures, which are to be small


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the paper's experiments and tabulate them.")
    parser.add_argument("--quick", action="store_true", help="short runs, for tests")
    parser.add_argument("--seeds", type=int, nargs="+", help="random seeds (default 0 1 2)")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, help="some of the experiments")
    parser.add_argument("--steps", type=int, help="optimiser steps per model (each one's own)")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1),
                        help="parts to run at a time (one a core, at most 4)")  # fmt: skip
    parser.add_argument("--publish", type=Path, help="folder to copy pages and figures to")
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


def publish(out: Path, folder: Path, made: Mapping[str, str]) -> None:
    """Copies the pages, what they were made from, and their figures in few colours."""
    from PIL import Image

    for figure in sorted({x for text in made.values() for x in FIGURE.findall(text)}):
        (folder / figure).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(out / figure) as image:
            image.convert("RGB").quantize(COLOURS).save(folder / figure, optimize=True)
    for file in out.glob("**/results.json"):
        (folder / file.relative_to(out)).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / file.relative_to(out), file.read_text())
    for name, text in made.items():
        write_whole(folder / name, text)


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
    made = pages(out, known | times)
    for name, text in made.items():
        write_whole(out / name, text)
    if arguments.publish:
        publish(out, arguments.publish, made)
    if failed:
        sys.exit(f"These parts failed: {'; '.join(failed)}. Run again to repeat only them.")


if __name__ == "__main__":
    main()
