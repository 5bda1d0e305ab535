"""Tables of the field's tasks and of real machines, from `docs/results/tables/*.json`, written by
`experiments/tables/`."""

import json
import math
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results" / "tables"


def field_table(name: str) -> str:
    """What one row found: every measure of every arm, one column a seed, with what others have
    published and the time it took."""
    record = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    seeds = record["seeds"]
    arms = list(dict.fromkeys(row["arm"] for row in record["figures"]))
    found = {(row["arm"], row["seed"]): row for row in record["figures"]}
    lines = [
        f"| measure | | {' | '.join(f'seed {seed}' for seed in seeds)} |",
        f"| --- | --- |{' ---: |' * len(seeds)}",
    ]
    for key, measure in record["measures"].items():
        meaning = measure["meaning"]
        others = [(f"{who}, published", x) for who, x in measure["published"].items()]
        others += [("our aim", measure["aim"])] if measure["aim"] is not None else []
        for who, number in others:
            lines.append(
                f"| {meaning} | *{who}* | *{_number(number)}* |{' |' * (len(seeds) - 1)}"
            )
        for arm in arms:
            rows = [found.get((arm, seed), {}) for seed in seeds]
            if any(key in row for row in rows):
                cells = " | ".join(_number(row.get(key, "")) for row in rows)
                lines.append(f"| {meaning} | {arm} | {cells} |")
    for arm in arms:
        rows = [found.get((arm, seed), {}) for seed in seeds]
        if any("seconds" in row for row in rows):
            cells = " | ".join(
                f"{row['seconds']:.0f}" if "seconds" in row else "" for row in rows
            )
            lines.append(f"| seconds | {arm} | {cells} |")
    return "\n".join(lines)


def _number(value: Any) -> str:
    if value is None:
        return "diverges"
    if isinstance(value, str):
        return value
    return f"{value:.2g}" if math.isfinite(value) else "diverges"
