"""Figures of records: they draw what they are given and compute nothing.

Every series is a line of its own style and grey value, so that figures read in print.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .._rollout import Trajectory
from .._types import FloatArray

STYLES: tuple[dict[str, Any], ...] = (
    {"color": "black", "linestyle": "-"},
    {"color": "tab:red", "linestyle": "--"},
    {"color": "tab:blue", "linestyle": "-."},
    {"color": "tab:green", "linestyle": ":"},
    {"color": "tab:purple", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": "tab:brown", "linestyle": (0, (1, 3))},
)
"""Colour and dash of the first, second, … series of a figure."""


def plot_series(
    ts: Float[FloatArray, " times"],
    series: Mapping[str, Any],
    *,
    ylabel: str,
    xlabel: str = "time",
    log: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Quantities over time, such as drifts and distances, on a logarithmic axis by default.

    **Arguments:**

    - `ts`: times, shape `(times,)`.
    - `series`: label to values `(times,)`. Values that are not finite end a line.
    - `ylabel`, `xlabel`: names of the axes, with units.
    - `log`: whether the vertical axis is logarithmic; zeros are then left out.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.
    """
    ax = plt.figure(layout="constrained").add_subplot() if ax is None else ax
    for index, (label, values) in enumerate(series.items()):
        values = np.array(values, float)
        values[~np.isfinite(values) | ((values <= 0) & log)] = np.nan
        ax.plot(ts, values, label=label, linewidth=1.2, **STYLES[index % len(STYLES)])
    if log:
        ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax


def plot_loss(
    losses: Mapping[str, Any],
    *,
    bounds: Mapping[str, float] | None = None,
    window: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Loss histories, as medians over windows of steps.

    **Arguments:**

    - `losses`: label to losses of every step.
    - `bounds`: label to a level drawn across, such as the true law's own loss: a loss below that is
        over-fitting.
    - `window`: steps per median.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.
    """
    ax = plt.figure(layout="constrained").add_subplot() if ax is None else ax
    for index, (label, values) in enumerate(losses.items()):
        values = np.asarray(values, float)
        width = max(1, min(window, len(values) // 10))
        whole = values[: len(values) // width * width].reshape(-1, width)
        steps = (np.arange(len(whole)) + 0.5) * width
        ax.plot(steps, np.median(whole, axis=1), label=label, **STYLES[index % len(STYLES)])
    for label, level in (bounds or {}).items():
        ax.axhline(level, color="grey", linewidth=1, label=f"{label} ({level:.3g})")
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("training loss")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax


def plot_orbits(
    trajectories: Mapping[str, Trajectory],
    *,
    reference: Float[FloatArray, "times points space"] | None = None,
    axes: tuple[int, ...] = (0, 1),
    limit: float | None = None,
    unit: str = "",
    ax: Any = None,
) -> Any:
    """Paths of all points, projected onto two coordinates or drawn in three.

    **Arguments:**

    - `trajectories`: label to [`noetherax.Trajectory`][].
    - `reference`: the true path, drawn as dots.
    - `axes`: the two or three coordinates to draw.
    - `limit`: largest coordinate drawn; a diverging path ends there.
    - `unit`: unit of the coordinates, for the axis labels.
    - `ax`: Matplotlib axes to draw into (three-dimensional ones for three coordinates); new ones if
        not given.

    **Returns:**

    The axes.
    """
    if ax is None:
        projection = "3d" if len(axes) == 3 else None
        ax = plt.figure(layout="constrained").add_subplot(projection=projection)
    for index, (label, trajectory) in enumerate(trajectories.items()):
        path = _visible(np.asarray(trajectory.q), limit)
        for point in range(path.shape[1]):
            name = {"label": label} if point == 0 else {}
            style = STYLES[index % len(STYLES)]
            ax.plot(*path[:, point, list(axes)].T, linewidth=0.9, **style, **name)
    if reference is not None:
        path = np.asarray(reference)
        for point in range(path.shape[1]):
            name = {"label": "exact"} if point == 0 else {}
            # Scatter styles differ from the lines', and are drawn above them.
            ax.plot(*path[:, point, list(axes)].T, "o", color="0.45", markersize=2.5, **name)
    names = "xyzw"
    suffix = f" ({unit})" if unit else ""
    ax.set_xlabel(names[axes[0]] + suffix)
    ax.set_ylabel(names[axes[1]] + suffix)
    if len(axes) == 3:
        ax.set_zlabel(names[axes[2]] + suffix)
    if limit is not None:
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-limit, limit)
    if len(axes) == 2:
        ax.set_aspect("equal", adjustable="box")
    ax.legend(fontsize="small")
    return ax


def _visible(path: np.ndarray, limit: float | None) -> np.ndarray:
    """The path, cut where it first leaves the picture or the finite numbers."""
    outside = ~np.isfinite(path)
    if limit is not None:
        outside |= np.abs(path) > 3 * limit
    gone = np.logical_or.accumulate(outside.any(axis=(1, 2)))
    return np.where(gone[:, None, None], np.nan, path)
