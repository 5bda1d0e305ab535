"""What the rows of the field's tables share: the folder above, double precision, and their results."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from _common import parse_arguments, print_table, section, write_results

__all__ = ["Row", "geometric_mean", "parse_arguments", "section", "start"]


def start(description: str, name: str, *, steps: int, quick_steps: int):
    """The options of a row. The field's data are exact, and so is the arithmetic here."""
    jax.config.update("jax_enable_x64", True)
    out = f"results/tables/{name}"
    return parse_arguments(description, steps=steps, quick_steps=quick_steps, out=out)


class Row:
    """The arms of a row, with what others have published beside them."""

    def __init__(self, options, settings: Mapping[str, Any], published: Mapping[str, float]):
        self.options, self.began = options, time.perf_counter()
        chosen = {"seed": options.seed, "steps": options.steps}
        self.results: dict[str, Any] = {"settings": chosen | dict(settings)}
        self.results |= {"published": dict(published), "arms": {}}

    def add(self, arm: str, numbers: Mapping[str, Any]) -> None:
        self.results["arms"][arm] = dict(numbers)

    def write(self, measure: str) -> None:
        """Prints the row and writes `results.json`."""
        names = list(dict.fromkeys(x for arm in self.results["arms"].values() for x in arm))
        arms = [[arm, *map(row.get, names)] for arm, row in self.results["arms"].items()]
        rest = [None] * (len(names) - 1)
        others = [
            [f"{name} (published)", x, *rest] for name, x in self.results["published"].items()
        ]
        print_table([measure, *(x.replace("_", " ") for x in names)], [*arms, *others])
        self.results["seconds"] = time.perf_counter() - self.began
        write_results(self.options.out, self.results)


def geometric_mean(x) -> float:
    """Of positive numbers, those that are not finite taken as one."""
    x = np.asarray(x, float)
    return float(np.exp(np.mean(np.log(np.where(np.isfinite(x), x, 1.0)))))
