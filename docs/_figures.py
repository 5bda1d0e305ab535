"""Figures of what the benchmarks measured, from `docs/results/benchmarks/*.json`.

python docs/_figures.py  # after a benchmark was run anew
"""

import io
import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

sys.path.insert(0, str(Path(__file__).parent))
from _gallery import compressed
from _measured import _read

matplotlib.use("Agg")
OTHERS = re.compile(
    "without|start|free|Adan|AdEMA|SOAP|growing|AOL"
)  # in the table alone
FOLDER = Path(__file__).parent / "assets"


def steps():
    """A training step of every model, by closed form and by automatic differentiation."""
    models = _read("speed")["models"]
    places = np.arange(len(models))[::-1]
    figure, ax = plt.subplots(figsize=(9, 0.5 * len(models) + 1), layout="constrained")
    kinds = ("closed form", "autodiff", "matrix products")
    for offset, kind in zip((0.27, 0.0, -0.27), kinds, strict=True):
        times = [row[kind] for row in models.values()]
        ax.barh(places + offset, times, 0.25, label=kind)
    ax.set_yticks(places, list(models))
    ax.set(xlabel="gradient of the loss over 128 samples (ms)")
    ax.legend()
    return figure


def training():
    """Distance to the truth after a few thousand steps, median and worst seed."""
    rows = {
        name: row for name, row in _read("training").items() if not OTHERS.search(name)
    }
    places = np.arange(len(rows))[::-1]
    size = (9, 0.3 * len(rows) + 1)
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    for place, row in zip(places, rows.values(), strict=True):
        median, worst = row["distance"], row["worst distance"]
        if median is not None and worst is not None:
            ax.plot([median, worst], [place, place], color="0.7", zorder=1)
        if median is not None:
            ax.scatter(median, place, color="tab:blue", s=18, zorder=2)
        if worst is not None:
            ax.scatter(worst, place, color="tab:red", s=18, marker="|", zorder=2)
    ax.set_yticks(places, list(rows), fontsize=8)
    ax.set(xlabel="distance to the truth: median (dot), worst seed (bar)", xscale="log")
    ax.grid(axis="x", alpha=0.3)
    return figure


def main() -> None:
    for make in (steps, training):
        data = io.BytesIO()
        make().savefig(data, dpi=150)
        path = FOLDER / f"speed_{make.__name__}.png"
        path.write_bytes(compressed(data.getvalue()))
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
