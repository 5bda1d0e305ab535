"""How far predictions stay near the truth: the errors of several motions as one curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ._figures import STYLES, axes_for, labelled, named, warn_of_nothing

FINE = 1e-4
"""Of the longest motion: times that are nearer to each other than that are one in a figure."""


def plot_horizon(
    evaluations: Mapping[str, Any], *, tolerance: float | None = None, ax: Axes | None = None
) -> Axes:
    """How far predictions stay near the truth: the median error of all motions over time, and the range
    between the best and the worst of them.

    Every motion counts at its own times, and between them by straight lines. One that the model lost
    is infinitely wrong from there: the range ends with the first that was lost, and the median with
    half of them. A recording that ended takes no part beyond its end, so that what is drawn later is
    of the longer ones alone.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx
        from noetherax.plot import plot_horizon

        t = np.linspace(0.0, 3.0, 31)
        tracks = nx.Tracks(t, np.cos(t)[:, None, None], -np.sin(t)[:, None, None])


        def judged(stiffness):
            def spring(q, v):
                return jnp.sum(v**2) / 2 - stiffness * jnp.sum(q**2) / 2

            return nx.evaluate(spring, tracks, solver=nx.RK4())


        ax = plot_horizon({"20 % off": judged(1.2)}, tolerance=0.1)
        assert ax.get_yscale() == "log" and len(ax.lines) == 2
        ```

    **Arguments:**

    - `evaluations`: label to what [`noetherax.evaluate`][] returns.
    - `tolerance`: an error, drawn across, beyond which a prediction is of no use.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `TypeError` if one of them is no evaluation. A warning says where there is no median to draw.
    """
    drawn = {label: _errors(label, x) for label, x in named(evaluations)}
    ax = axes_for(ax)
    for index, (label, (ts, errors)) in enumerate(drawn.items()):
        style = STYLES[index % len(STYLES)]
        low, middle, high = (
            np.where(np.isfinite(x) & (x > 0), x, np.nan) for x in _least_median_worst(errors)
        )
        lost = np.sum(np.any(np.isinf(errors), axis=1))
        warn_of_nothing(
            label,
            middle,
            f"finite median error above zero at any time ({lost} of {len(errors)} motions were lost)",
        )
        ax.plot(ts, middle, label=label, **style)
        ax.fill_between(ts, low, high, color=style["color"], alpha=0.15, linewidth=0)
    if tolerance is not None:
        ax.axhline(tolerance, color="grey", linewidth=1, label=f"tolerance {tolerance:.3g}")
    return labelled(ax, "time since the start", "error", log=True)


def _errors(label: str, evaluation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Times of all motions in one, and the errors at them, `(motions, times)`: infinite where a motion
    was lost, NaN beyond its end."""
    if not hasattr(evaluation, "errors") or not hasattr(evaluation, "ts"):
        raise TypeError(
            f"{label!r} must be what noetherax.evaluate returns, but it is a "
            f"{type(evaluation).__name__}."
        )
    errors = np.atleast_2d(np.asarray(evaluation.errors, float))
    ts = np.broadcast_to(np.asarray(evaluation.ts, float), errors.shape)
    known = ~np.isnan(errors)
    lost = np.logical_or.accumulate(np.isinf(errors), axis=1)
    errors = np.where(known & lost, np.inf, errors)
    if np.all(ts == ts[0]):
        some = np.any(known, axis=0)
        return ts[0, some], errors[:, some]
    every = np.sort(ts[known])
    fine = FINE * every[-1] if len(every) else 0.0
    if fine > 0:
        every = every[np.unique(np.round(every / fine), return_index=True)[1]]
    rows = zip(ts, errors, known, strict=True)
    return every, np.array([_at(every, t[own], error[own], fine) for t, error, own in rows])


def _at(every: np.ndarray, t: np.ndarray, errors: np.ndarray, fine: float) -> np.ndarray:
    """The errors of one motion at the times of all. When it was lost after its last finite error is
    not known, so it is lost from there on."""
    found, finite = np.full(every.shape, np.nan), np.isfinite(errors)
    if len(t):
        inside = (every >= t[0] - fine) & (every <= t[-1] + fine)
        followed = inside & (every <= np.max(t[finite], initial=-np.inf) + fine)
        found[inside] = np.inf
        if np.any(followed):
            found[followed] = np.interp(every[followed], t[finite], errors[finite])
    return found


def _least_median_worst(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each time over the motions that are there; the median of an even number is the mean of the
    two in the middle, as that of a `Measure` is."""
    ordered = np.sort(errors, axis=0)  # those that are not there, NaN, come last
    count = np.sum(~np.isnan(errors), axis=0)
    ranks = [np.zeros_like(count), (count - 1) // 2, count // 2, count - 1]
    least, below, above, worst = np.take_along_axis(ordered, np.array(ranks), axis=0)
    return least, np.where(below == above, below, (below + above) / 2), worst
