"""Errors of two models side by side, by system and over seeds, printed and kept as JSON."""

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import noetherax as nx


def error(model: nx.Lagrangian, states: tuple) -> float:
    """The mean of ‖a − â‖² over states, relative to that of ‖a‖²."""
    q, v, a = states
    found = nx.acceleration(model, np.asarray(q), np.asarray(v), throw=False)
    return float(np.mean((np.asarray(found) - a) ** 2) / np.mean(np.square(a)))


def compare(
    name: str,
    tasks: Mapping[str, Any],
    measure: Callable[[Any, int, int], tuple[float, float]],
    columns: tuple[str, str],
    steps: int,
    description: str,
) -> None:
    """Runs `measure(task, seed, steps)` for every task and seed, and writes `name`.json.

    - `columns`: what the two errors are of.
    - `steps`: of training, if no others are asked for.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, float]] = {}
    for label, task in tasks.items():
        measured = [measure(task, seed, options.steps) for seed in options.seeds]
        rows[label] = {}
        for column, errors in zip(columns, zip(*measured, strict=True), strict=True):
            rows[label][f"{column}, median"] = statistics.median(errors)
            rows[label][f"{column}, worst"] = max(errors)
        print(label, *(f"{key} {x:.1e}" for key, x in rows[label].items()), sep="; ", flush=True)
    settings = {"seeds": options.seeds, "steps": options.steps}
    path = options.out / f"{name}.json"
    path.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n")
