"""Tables of what benchmarks and experiments measured, from the JSON in `docs/results`."""

import json
import math
import statistics
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FOLDER = RESULTS / "benchmarks"


def exact_where_table() -> str:
    """Drifts of learned networks over a long time, by system and solver."""
    results = _read("exact_where")
    time = f"{results['final_time']:g}"
    lines = [
        f"| learned network, to t = {time} | solver | drift of L | drift of the energy | time / RK4 |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for system in ("Kepler", "two particles"):
        for solver, row in results[system].items():
            if "ratio" in row:
                cells = (
                    f"{row['charge']:.1e} | {row['energy']:.1e} | {row['ratio']:.2f}"
                )
                lines.append(f"| {system} | {solver} | {cells} |")
    return "\n".join(lines)


def exact_where(*path: str) -> str:
    """One number of that file."""
    return f"{_value('exact_where', path):.1e}"


def solvers_table() -> str:
    """What equal accuracy and an equal drift cost, as ratios to RK4 at the paper's step."""
    results = _read("solvers")
    lines = [
        "| solver | setting | error | drift of L | time |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in results["rows"]:
        cells = f"{row['setting']:g} | {row['error']:.1e} | {row['drift']:.1e} | {row['time']:.2f}"
        lines.append(f"| {row['method']} | {cells} |")
    return "\n".join(lines)


def speed_table() -> str:
    """A training step and a rollout step of every model, and the ratios to peer and bound."""
    results = _read("speed")
    columns = ["fit step", "closed form", "autodiff", "matrix products", "rollout step"]
    columns += [
        "autodiff / closed form",
        "closed form / matrix products",
        "compilation, s",
    ]
    return _table("float32, milliseconds", columns, results["models"])


def one_core_table() -> str:
    """The same on one core."""
    columns = ["fit step", "closed form", "autodiff", "matrix products"]
    columns += ["autodiff / closed form", "closed form / matrix products"]
    return _table("on one core, milliseconds", columns, _read("speed")["one core"])


def scaling_tables() -> str:
    """The same as one thing grows."""
    columns = ["closed form", "autodiff / closed form", "closed form / matrix products"]
    columns += ["memory, MiB"]
    tables = _read("speed")["scaling"].items()
    return "\n\n".join(_table(title, columns, rows) for title, rows in tables)


def accelerator_table() -> str:
    """Rounding and time of a step on an accelerator."""
    results = _read("accelerator")
    columns = ["features, float32", "L, float32", "acceleration, float32"]
    columns += ["acceleration, tensorfloat32", "acceleration, float64"]
    lines = [
        f"| {results['device']} | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for name, row in results["rounding"].items():
        lines.append(f"| {name} | {' | '.join(f'{row[x]:.1e}' for x in columns)} |")
    columns = ["fit step", "closed form", "autodiff", "matrix products", "rollout step"]
    columns += ["autodiff / closed form"]
    steps = _table("float32, milliseconds", columns, results["steps"])
    return "\n".join(lines) + "\n\n" + steps


def ensembles(members: str) -> str:
    """Milliseconds of a training step of an ensemble on an accelerator."""
    return f"{_read('accelerator')['ensembles'][members]:.2g}"


def routes_table() -> str:
    """The time without a special route over that with it."""
    lines = ["| route, model: in its place | ratio |", "| --- | ---: |"]
    rows = _read("speed")["routes"].items()
    return "\n".join(
        [*lines, *(f"| {name} | {row['ratio']:.2f} |" for name, row in rows)]
    )


def training_table() -> str:
    """What some thousand steps reach, by system and optimiser, over several seeds."""
    columns = [
        "diverged",
        "loss / true loss",
        "distance",
        "worst distance",
        "true drift",
    ]
    columns += ["worst true drift", "seconds", "first seconds"]
    return _table("system, optimiser", columns, _read("training"))


def regular_start_table() -> str:
    """Seeds lost from random weights and from a regular start, by width and optimiser."""
    columns = ["lost, random", "lost, regular", "loss, random", "loss, regular"]
    return _table("width, optimiser", columns, _read("regular_start")["rows"])


def linear_part_table() -> str:
    """Errors of a network without and with a linear part, by system."""
    columns = [
        "network, median",
        "network, worst",
        "with a linear part, median",
        "with a linear part, worst",
    ]
    return _table("system", columns, _read("linear_part")["rows"])


def first_layer_table() -> str:
    """Errors from first layers as drawn and as chosen, by system."""
    columns = ["as drawn, median", "as drawn, worst"]
    columns += ["as chosen, median", "as chosen, worst"]
    return _table("system", columns, _read("first_layers")["rows"])


def speed(*path: str) -> str:
    """One number or word of the benchmark of speed."""
    value = _value("speed", path)
    return value if isinstance(value, str) else f"{value:.2f}"


def compiling(*path: str) -> str:
    """One number of seconds of the benchmark of first calls."""
    return f"{_value('compiling', ('seconds', *path)):.1f}"


def start(*path: str) -> str:
    """One number of the benchmark of starts."""
    return f"{_value('regular_start', path):,}"


def single_trajectory_table() -> str:
    """What models that saw one trajectory know of the law, beside one that saw a family: medians."""
    rows = [
        ("Kepler, one ellipse", "kepler", "ellipse", "none"),
        ("Kepler, one ellipse", "kepler", "ellipse", "rotations"),
        ("Kepler, a family", "kepler", "family", "rotations"),
        ("black hole, one orbit", "schwarzschild", "orbit", "rotations"),
        ("two particles, T = 8", "two_particles", "T = 8", "none"),
        ("two particles, T = 8", "two_particles", "T = 8", "both"),
    ]
    lines = [
        "| trained on | declared | loss / that of the true law | distance to the true motion "
        "| twin / true twin | error of ∂a/∂(q, v) |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for title, experiment, data, arm in rows:
        seeds = [
            json.loads(path.read_text("utf-8"))[data][arm]
            for path in sorted((RESULTS / experiment).glob("seed*/results.json"))
        ]
        cells = [
            [_ratio(seed["loss"], seed["true_loss"]) for seed in seeds],
            *(
                [seed[key] for seed in seeds]
                for key in ("distance", "twin_ratio", "jacobian_error")
            ),
        ]
        lines.append(
            f"| {title} | {arm} | {' | '.join(_median(cell) for cell in cells)} |"
        )
    return "\n".join(lines)


def _ratio(value: float | None, other: float) -> float | None:
    return None if value is None else value / other


def _median(values: list[float | None]) -> str:
    found = statistics.median(math.inf if value is None else value for value in values)
    return f"{found:.2g}" if math.isfinite(found) else "diverges"


def _table(title: str, columns: list[str], rows: dict) -> str:
    lines = [
        f"| {title} | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for name, row in rows.items():
        cells = (
            "–" if row[column] is None else f"{row[column]:.2g}" for column in columns
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(name: str, path: tuple[str, ...]):
    value = _read(name)
    for key in path:
        value = value[key]
    return value


def _read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())
