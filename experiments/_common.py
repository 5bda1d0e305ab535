"""What every experiment shares: command line, timing, table and `results.json`."""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax


def parse_arguments(
    description: str,
    *,
    steps: int,
    quick_steps: int,
    out: str,
    flags: Mapping[str, str] | None = None,
):
    """The options of every experiment, and `flags` of its own with their help."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run, for tests")
    parser.add_argument("--steps", type=int, help=f"optimiser steps per model (default {steps})")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default 0)")
    parser.add_argument("--out", type=Path, default=Path(out), help=f"output folder ({out})")
    for flag, meaning in (flags or {}).items():
        parser.add_argument(f"--{flag}", action="store_true", help=meaning)
    arguments = parser.parse_args()
    if arguments.steps is None:
        arguments.steps = quick_steps if arguments.quick else steps
    if arguments.steps < 1:
        parser.error(f"--steps must be positive, but it is {arguments.steps}")
    if arguments.quick:
        jax.config.update("jax_disable_most_optimizations", True)  # it compiles more than it runs
    arguments.out.mkdir(parents=True, exist_ok=True)
    return arguments


@contextmanager
def section(title: str):
    """Announces a part of the work and says how long it took."""
    print(f"\n{title}", flush=True)
    start = time.perf_counter()
    yield
    print(f"  {time.perf_counter() - start:.1f} s", flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """An aligned table; numbers to two digits, `None` as a dash."""
    cells = [[str(name) for name in header], *[[_cell(x) for x in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for index, row in enumerate(cells):
        first, *rest = (cell.ljust(w) if i == 0 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        print("  ".join([first, *rest]))
        if index == 0:
            print("  ".join("-" * width for width in widths))


def write_results(folder: Path, results: Mapping[str, Any]) -> None:
    """Writes `results.json` whole or not at all. Numbers that are not finite become null."""
    text = json.dumps(as_json(results), indent=2, allow_nan=False)
    write_whole(folder / "results.json", text + "\n")
    print(f"\nresults and figures: {folder}")


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all, however the program ends."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, 0o666 & ~mask)  # as any file; mkstemp makes private ones
    os.replace(temporary, path)


def as_json(value: Any) -> Any:
    """The same in what JSON can hold: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    return float(value) if float("-inf") < float(value) < float("inf") else None


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2g}" if value == value and abs(value) != float("inf") else "diverges"
    return str(value)
