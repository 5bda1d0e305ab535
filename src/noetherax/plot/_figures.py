"""Figures of records: they draw what they are given and compute nothing.

Every series is a line of its own style and grey value, so that figures read in print.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .._checks import check_count
from .._trajectory import Trajectory
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

    !!! example

        ```python
        import numpy as np
        from noetherax.plot import plot_series

        t = np.linspace(0.0, 10.0, 101)
        growing = 1e-6 * np.exp(t)
        seeds = 1e-6 * np.array([[1.0], [2.0], [3.0]]) * (1 + t)  # an ensemble of three
        ax = plot_series(t, {"plain": growing, "symmetric": seeds}, ylabel="drift")
        assert ax.get_yscale() == "log" and len(ax.lines) == 4
        ```

    **Arguments:**

    - `ts`: times, shape `(times,)`.
    - `series`: label to values `(times,)`, or `(..., times)` for the members of an ensemble, which
        are one line each. Values that are not finite end a line.
    - `ylabel`, `xlabel`: names of the axes, with units.
    - `log`: whether the vertical axis is logarithmic; zeros are then left out.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `ValueError` if a series has not one value for each time.
    """
    times = _lines("ts", ts)
    if len(times) != 1:
        raise ValueError(f"ts must have shape (times,), but it has shape {np.shape(ts)}.")
    drawn = {label: _lines(f"series[{label!r}]", values) for label, values in named(series)}
    for label, lines in drawn.items():
        if lines.shape[1] != times.size:
            raise ValueError(
                f"series[{label!r}] must have a value for each of the {times.size} times on its last "
                f"axis, but it has shape {np.shape(series[label])}."
            )
        lines[~np.isfinite(lines) | ((lines <= 0) & log)] = np.nan
    ax = axes_for(ax)
    for index, (label, lines) in enumerate(drawn.items()):
        for line, name in zip(lines, once(label), strict=False):
            ax.plot(times[0], line, linewidth=1.2, **name, **STYLES[index % len(STYLES)])
    return labelled(ax, xlabel, ylabel, log=log)


def plot_loss(
    losses: Mapping[str, Any],
    *,
    bounds: Mapping[str, float] | None = None,
    window: int = 100,
    ax: Axes | None = None,
) -> Axes:
    """Loss histories, as medians over windows of steps, of those losses that are finite. Windows
    without any are gaps.

    !!! example

        ```python
        import numpy as np
        from noetherax.plot import plot_loss

        steps = np.arange(1000)
        noise = 1 + 0.1 * np.random.default_rng(0).normal(size=1000)
        losses = noise * (1e-4 + np.exp(-steps / 100))  # `history.loss` of a fit
        ax = plot_loss({"model": losses}, bounds={"true law": 1e-4}, window=50)
        drawn, bound = ax.lines
        assert len(drawn.get_xdata()) == 20  # a median over every 50 steps
        ```

    **Arguments:**

    - `losses`: label to losses of every step, shape `(steps,)`, or `(..., steps)` for the members of
        an ensemble, which are one line each; or to the [`noetherax.History`][] that holds them.
    - `bounds`: label to a level drawn across, such as the true law's own loss: a loss below that is
        over-fitting.
    - `window`: steps per median.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `ValueError` if a history is empty or `window` is no positive integer. A warning says where no
    loss is finite.
    """
    window = check_count("window", window)
    # A history holds its losses.
    arrays = {label: getattr(values, "loss", values) for label, values in named(losses)}
    drawn = {label: _lines(f"losses[{label!r}]", values) for label, values in arrays.items()}
    ax = axes_for(ax)
    for index, (label, lines) in enumerate(drawn.items()):
        for line, name in zip(lines, once(label), strict=False):
            steps, medians = median_line(line, window)
            warn_of_nothing(label, medians, "finite loss")
            ax.plot(steps, medians, **name, **STYLES[index % len(STYLES)])
    for label, level in (bounds or {}).items():
        ax.axhline(level, color="grey", linewidth=1, label=f"{label} ({level:.3g})")
    return labelled(ax, "step", "training loss", log=True)


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

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx
        from noetherax.plot import plot_orbits


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.5]])
        path = nx.rollout(spring, q0, v0, ts=jnp.linspace(0.0, 6.0, 61), solver=nx.RK4())
        exact = jnp.stack([jnp.cos(path.ts), jnp.sin(path.ts) / 2], axis=-1)[:, None]
        ax = plot_orbits({"RK4": path}, reference=exact[::4], unit="m")
        assert ax.get_xlabel() == "x (m)" and len(ax.lines) == 2
        ```

    **Arguments:**

    - `trajectories`: label to [`noetherax.Trajectory`][].
    - `reference`: the true path, drawn as dots.
    - `axes`: the two or three coordinates to draw, distinct, counted from 0.
    - `limit`: largest coordinate drawn; a diverging path ends there.
    - `unit`: unit of the coordinates, for the axis labels.
    - `ax`: Matplotlib axes to draw into (three-dimensional ones for three coordinates); new ones if
        not given.

    **Returns:**

    The axes.

    **Raises:**

    `ValueError` if `axes` are not two or three coordinates of every path, or a path has another shape
    than `(times, points, space)`.
    """
    if limit is not None and not 0 < limit < np.inf:
        raise ValueError(f"limit must be positive and finite, or None, but it is {limit!r}.")
    paths = {label: _path(label, x, axes) for label, x in named(trajectories)}
    exact = None if reference is None else _path("reference", reference, axes)
    ax = axes_for(ax, "3d" if len(axes) == 3 else None)
    if len(axes) == 3 and not hasattr(ax, "set_zlabel"):
        raise ValueError(
            "Three coordinates need three-dimensional Matplotlib axes, such as plt.figure()"
            ".add_subplot(projection='3d'), but ax has two dimensions."
        )
    for index, (label, path) in enumerate(paths.items()):
        path = _visible(path, limit)
        for point in range(path.shape[1]):
            name = {"label": label} if point == 0 else {}
            style = STYLES[index % len(STYLES)]
            ax.plot(*path[:, point, list(axes)].T, linewidth=0.9, **style, **name)
    if exact is not None:
        for point in range(exact.shape[1]):
            name = {"label": "exact"} if point == 0 else {}
            # Scatter styles differ from the lines', and are drawn above them.
            ax.plot(*exact[:, point, list(axes)].T, "o", color="0.45", markersize=2.5, **name)
    names = ["xyzw"[axis] if axis < 4 else f"q[{axis}]" for axis in axes]
    suffix = f" ({unit})" if unit else ""
    ax.set_xlabel(names[0] + suffix)
    ax.set_ylabel(names[1] + suffix)
    if len(axes) == 3:
        ax.set_zlabel(names[2] + suffix)
    if limit is not None:
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-limit, limit)
    if len(axes) == 2:
        ax.set_aspect("equal", adjustable="box")
    ax.legend(fontsize="small")
    return ax


def median_line(losses: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and medians over windows of them, at least ten where there are so many steps, of what is
    finite: one update that was left out must not hide the others of its window."""
    width = max(1, min(check_count("window", window), len(losses) // 10))
    count = len(losses) // width
    rows = [row[np.isfinite(row)] for row in losses[: count * width].reshape(count, width)]
    medians = np.array([np.median(row) if len(row) else np.nan for row in rows])
    return (np.arange(count) + 0.5) * width, medians


def _visible(path: np.ndarray, limit: float | None) -> np.ndarray:
    """The path, cut where it first leaves the picture or the finite numbers."""
    outside = ~np.isfinite(path)
    if limit is not None:
        outside |= np.abs(path) > 3 * limit
    gone = np.logical_or.accumulate(outside.any(axis=(1, 2)))
    return np.where(gone[:, None, None], np.nan, path)


def named(values: Any) -> Any:
    """Label and value of everything to be drawn."""
    if not isinstance(values, Mapping) or not values:
        raise TypeError(
            f"What is drawn must be a dict from labels to values, with one entry at least, such as "
            f"{{'model': values}}, but it is a {type(values).__name__}: {values!r:.100}."
        )
    return values.items()


def _lines(name: str, values: Any) -> np.ndarray:
    """One row for every line: numbers `(..., length)`, all leading axes in one."""
    array = np.array(values, float)
    if not array.ndim or not array.size:
        raise ValueError(
            f"{name} must have shape (length,), or (..., length) for several lines, and not be empty, "
            f"but it has shape {array.shape}."
        )
    return array.reshape(-1, array.shape[-1])


def once(label: str) -> Iterator[dict[str, Any]]:
    """The label for the first of several lines, and nothing for the others."""
    yield {"label": label}
    while True:
        yield {}


def warn_of_nothing(label: str, values: np.ndarray, what: str) -> None:
    """An empty figure says why it is empty."""
    if not np.any(np.isfinite(values)):
        warnings.warn(f"{label!r} has no {what}, so that its curve is empty.", stacklevel=3)


def axes_for(ax: Axes | None, projection: str | None = None) -> Axes:
    if ax is not None:
        return ax
    return plt.figure(layout="constrained").add_subplot(projection=cast(Any, projection))


def labelled(ax: Axes, xlabel: str, ylabel: str, *, log: bool = False) -> Axes:
    """What every figure of curves ends with."""
    if log:
        ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax


def _path(label: str, trajectory: Any, axes: tuple[int, ...]) -> np.ndarray:
    path = np.asarray(getattr(trajectory, "q", trajectory), float)
    if path.ndim != 3:
        raise ValueError(
            f"{label!r} must be one path of shape (times, points, space), but its shape is "
            f"{path.shape}. Draw the members of a batch one by one, each under its own label."
        )
    space = path.shape[2]
    whole = isinstance(axes, tuple | list) and all(
        isinstance(axis, int | np.integer) and not isinstance(axis, bool) for axis in axes
    )
    if not whole or len(axes) not in (2, 3) or len(set(axes)) != len(axes):
        raise ValueError(f"axes must be two or three distinct integers, but they are {axes!r}.")
    if not all(0 <= axis < space for axis in axes):
        raise ValueError(
            f"axes must be coordinates of {label!r}, from 0 to {space - 1} (its space has {space}), "
            f"but they are {axes!r}."
        )
    return path
