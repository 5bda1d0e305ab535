"""What the rows of the tables share: their options, and the JSON that they write."""

import argparse
import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()


def parsed(description: str | None, name: str, more: Mapping[str, tuple] = {}) -> Any:
    """The options of a row, and more of its own: type, default and help of each."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run, for tests")
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--out", type=Path, default=Path("results/tables"), help="of the JSON")
    for flag, (kind, default, meaning) in more.items():
        parser.add_argument(flag, type=kind, default=default, help=meaning)
    options = parser.parse_args()
    options.name = name
    if options.quick:
        options.seeds = options.seeds[:1]
    return options


def write_row(options: Any, figures: list) -> None:
    """The figures so far, with seeds, seconds and versions, in `NAME.json`."""
    packages = ("noetherax", "jax", "equinox", "diffrax", "optax", "numpy")
    record = {
        "row": options.name,
        "quick": options.quick,
        "seeds": options.seeds,
        "seconds": round(time.perf_counter() - STARTED, 1),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "figures": figures,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{figures[-1]}\nresults: {path}", flush=True)
