"""Trajectories that no model was trained on, and their images under the group, which are true motions
as well: what a model knows of the law beside the data, and what a symmetry is for.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import _experiment as ex
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

COLUMNS = ("unseen_error", "unseen_horizon", "moved_error", "moved_worst", "moved_horizon")


class Unseen(NamedTuple):
    """Initial states `(trajectories, points, space)`, first as drawn, then moved by the group."""

    start: tuple[jax.Array, jax.Array]
    truth: np.ndarray  # their true paths, in float64
    ts: ex.Times
    last: np.ndarray  # how far each is followed

    @property
    def drawn(self) -> int:
        return len(self.last) // 2


def pose(system, group: nx.SymmetryGroup, q, v, last, every: float, key) -> Unseen:
    """The trajectories from states `q`, `v`, each to its time `last`, and moved copies of them."""
    coefficients = jax.random.uniform(key, (len(q), group.dimension), minval=-2.0, maxval=2.0)
    moved = jax.vmap(group.act)(coefficients, q, v)
    start = jnp.concatenate([q, moved[0]]), jnp.concatenate([v, moved[1]])
    last = np.tile(np.broadcast_to(np.asarray(last, float), (len(q),)), 2)
    ts = ex.Times(every * int(np.ceil(last.max() / every)), every)
    return Unseen(start, ex.exact(system, start, ts)[0], ts, last)


class Errors(NamedTuple):
    """Distance to the truth over the size of the trajectory, and two summaries of it."""

    series: np.ndarray  # (trajectories, times); not a number after the last time of each
    numbers: dict[str, float]


def judge(law, unseen: Unseen) -> Errors:
    """How far a model strays from trajectories it has not seen, as drawn and as moved."""
    paths = ex.follow(law, *unseen.start, unseen.ts)
    times, series, lasting = unseen.ts.value, [], []
    for q, truth, last in zip(np.asarray(paths.q), unseen.truth, unseen.last, strict=True):
        until = times <= last + 1e-9
        size = ex.size_of(truth[until])
        error = ex.distance(q, truth) / size
        lasting.append(ex.horizon(times[until], error[until], 1.0) / last)
        series.append(np.where(until, error, np.nan))
    worst = np.array([ex.worst(x[~np.isnan(x)]) for x in series])
    numbers: dict[str, Any] = {}
    for name, part in (("unseen", slice(unseen.drawn)), ("moved", slice(unseen.drawn, None))):
        numbers[f"{name}_error"] = float(np.median(worst[part]))
        numbers[f"{name}_worst"] = float(np.max(worst[part]))
        numbers[f"{name}_horizon"] = float(np.median(np.array(lasting)[part]))
    return Errors(np.array(series), numbers)


def draw(errors: Mapping[str, Errors], unseen: Unseen):
    """Errors over time, a line for every model: the median over trajectories, at equal parts of the
    time that each is followed."""
    import matplotlib.pyplot as plt

    parts = np.linspace(0, 1, 201)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for panel, (ax, title) in enumerate(zip(axes, ("as drawn", "moved by the group"), strict=True)):
        series = {}
        for model, record in errors.items():
            rows = zip(record.series, unseen.last, strict=True)
            stretched = [np.interp(parts * last, unseen.ts.value, row) for row, last in rows]
            chosen = stretched[panel * unseen.drawn : (panel + 1) * unseen.drawn]
            series[model] = np.median(chosen, axis=0)
        label = "distance to truth / size (1)" if panel == 0 else ""
        nx.plot.plot_series(parts, series, xlabel="part of the time (1)", ylabel=label, ax=ax)
        ax.axhline(ex.HORIZON, color="0.5", linewidth=0.8)
        ax.set(title=f"unseen trajectories, {title}", ylim=(1e-6, 30))
    return figure
