"""What the rows of the field's tables share: options, double precision, and the JSON they write.

A row names its measures, each with what others have published and with our aim. For every seed it adds
the figures of one or more arms. `NAME.json` is written anew after each of them, so that a run that is
stopped leaves what it found.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from _common import as_json, print_table, section, write_whole

__all__ = ["Measure", "Row", "geometric_mean", "section"]

PACKAGES = "noetherax", "jax", "equinox", "diffrax", "optax", "numpy"


class Measure(NamedTuple):
    """A number to be made small: what it is, what others have published, and our aim."""

    meaning: str
    published: Mapping[str, float] = {}
    aim: float | None = None


class Row:
    """A row with the command line of all, and more options of its own: type, default and help of each.
    The field's data are exact, and so is the arithmetic: float64."""

    def __init__(
        self,
        description: str | None,
        name: str,
        measures: Mapping[str, Measure],
        more: Mapping[str, tuple] = {},
    ):
        jax.config.update("jax_enable_x64", True)
        self.began, self.name, self.measures = time.perf_counter(), name, dict(measures)
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--quick", action="store_true", help="a short run, for tests")
        parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
        parser.add_argument("--arms", type=int, help="how many of the arms, in their order")
        parser.add_argument("--out", type=Path, default=Path("results/tables"), help="of the JSON")
        for flag, (kind, default, meaning) in more.items():
            parser.add_argument(flag, type=kind, default=default, help=meaning)
        self.options = parser.parse_args()
        self.quick = self.options.quick
        self.seeds = self.options.seeds[:1] if self.quick else self.options.seeds
        self.figures: list[dict[str, Any]] = []
        self.options.out.mkdir(parents=True, exist_ok=True)

    def chosen(self, arms: Sequence[str]) -> Sequence[str]:
        """The arms to run; the first of them in a short run."""
        return arms[: 1 if self.quick else self.options.arms]

    def add(self, seed: int, arm: str, **numbers: Any) -> None:
        """Adds the figures of one arm with one seed, and writes all there are."""
        self.figures.append({"seed": seed, "arm": arm, **numbers})
        record = {
            "row": self.name,
            "quick": self.quick,
            "seeds": self.seeds,
            "seconds": round(time.perf_counter() - self.began, 1),
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
            "machine": f"Python {platform.python_version()}, {os.cpu_count()} cores",
            "measures": {name: measure._asdict() for name, measure in self.measures.items()},
            "figures": self.figures,
        }
        text = json.dumps(as_json(record), indent=1, allow_nan=False)
        write_whole(self.options.out / f"{self.name}.json", text + "\n")
        print(f"  {arm}, seed {seed}: " + ", ".join(_shown(numbers)), flush=True)

    def show(self) -> None:
        """Prints the measures of every arm, worst seed last, beside what others have published."""
        rows = []
        for name, (meaning, published, aim) in self.measures.items():
            rows += [[meaning, f"{who} (published)", number] for who, number in published.items()]
            rows += [[meaning, "our aim", aim]] if aim is not None else []
            for arm in dict.fromkeys(row["arm"] for row in self.figures):
                found = [row[name] for row in self.figures if row["arm"] == arm and name in row]
                rows += [[meaning, arm, max(found, key=_size)]] if found else []
        print()
        print_table(["measure", "", "worst seed"], rows)
        print(f"\nresults: {self.options.out / f'{self.name}.json'}")


def _size(number: float) -> float:
    return number if math.isfinite(number) else math.inf


def _shown(numbers: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {x:.3g}" if isinstance(x, float) else f"{name} {x}"
        for name, x in numbers.items()
    ]


def geometric_mean(x) -> float:
    """Of positive numbers, those that are not finite taken as one."""
    x = np.asarray(x, float)
    return float(np.exp(np.mean(np.log(np.where(np.isfinite(x), x, 1.0)))))
