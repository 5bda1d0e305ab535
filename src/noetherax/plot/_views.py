"""Figures of what the library returns: states, histories, and potentials."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from ._figures import STYLES, axes_for, labelled, median_line, named, once, warn_of_nothing

LEVELS = 24
"""Colours of a potential: enough to see its shape, few enough to tell them apart."""


def plot_phase(
    trajectories: Mapping[str, Any],
    *,
    reference: Any = None,
    point: int = 0,
    axis: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Phase portrait: the velocity of one coordinate over the coordinate.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx
        from noetherax.plot import plot_phase


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.5]])
        path = nx.rollout(spring, q0, v0, ts=jnp.linspace(0.0, 6.0, 61), solver=nx.RK4())
        ax = plot_phase({"model": path}, axis=1)
        assert ax.get_xlabel() == "q[1]" and ax.get_ylabel() == "v[1]"
        ```

    **Arguments:**

    - `trajectories`: label to [`noetherax.Trajectory`][] or any object with `q` and `v` of shape
        `(times, points, space)`, such as a recording of `Tracks`.
    - `reference`: the true motion, likewise, drawn as dots.
    - `point`, `axis`: which coordinate, counted from 0.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `TypeError` if there are no velocities, `ValueError` if the coordinate is not there.
    """
    curves = {label: _phase(label, x, point, axis) for label, x in named(trajectories)}
    exact = None if reference is None else _phase("reference", reference, point, axis)
    ax = axes_for(ax)
    for index, (label, (q, v)) in enumerate(curves.items()):
        ax.plot(q, v, linewidth=1.0, label=label, **STYLES[index % len(STYLES)])
    if exact is not None:
        ax.plot(*exact, "o", color="0.45", markersize=2.5, label="exact")
    number = f", point {point}" if point else ""
    return labelled(ax, f"q[{axis}]{number}", f"v[{axis}]{number}")


def plot_history(history: Any, *, window: int = 100, ax: Axes | None = None) -> Axes:
    """The loss of a training, as medians of what is finite over windows of steps, with its loss on the
    data held out and the loss without any force, which is another one for every member of an ensemble.

    **Arguments:**

    - `history`: the [`noetherax.History`][] of `fit`, `polish` or `fit_ensemble`, whose members are
        one line each.
    - `window`: steps per median.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes.

    **Raises:**

    `TypeError` if it is no history. A warning says where no loss is finite.

    !!! example

        ```python
        import jax
        import noetherax as nx
        from noetherax.plot import plot_history

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        _, history = nx.fit(model, (q, v, -q), steps=20, key=jax.random.key(3))
        ax = plot_history(history, window=5)
        assert ax.get_yscale() == "log"
        ```
    """
    if not hasattr(history, "validation_steps"):
        raise TypeError(
            "plot_history draws the History that fit returns beside the model, but got a "
            f"{type(history).__name__}. Arrays of losses go to plot_loss."
        )
    ax = axes_for(ax)
    losses = np.reshape(np.asarray(history.loss, float), (-1, np.shape(history.loss)[-1]))
    for line, name in zip(losses, once("training"), strict=False):
        steps, medians = median_line(line, window)
        warn_of_nothing("training", medians, "finite loss")
        ax.plot(steps, medians, **name, **STYLES[0])
    held_out = np.asarray(history.validation, float)
    if held_out.size:
        rows = held_out.reshape(-1, held_out.shape[-1])
        for line, name in zip(rows, once("validation"), strict=False):
            ax.plot(history.validation_steps, line, **name, **STYLES[1])
    best = np.atleast_1d(history.best_step) if history.best_step is not None else ()
    for step, name in zip(best, once("weights returned"), strict=False):
        ax.axvline(float(step), color="grey", linewidth=1, linestyle=":", **name)
    scales = np.ravel(np.array(history.without_force, object))
    known = [float(x) for x in scales if x is not None]
    label = "without any force"
    if len(set(known)) > 1:
        label += ", each member"
    if 0 < len(known) < len(scales):
        label += f" ({len(known)} of {len(scales)} members)"
    for scale, name in zip(dict.fromkeys(known), once(label), strict=False):
        ax.axhline(scale, color="grey", linewidth=1, **name)
    return labelled(ax, "step", "loss", log=True)


def plot_potential(
    lagrangian: Callable,
    q: Any,
    *,
    point: int = 0,
    axes: tuple[int, int] = (0, 1),
    span: float,
    resolution: int = 61,
    ax: Axes | None = None,
) -> Axes:
    """The energy at rest, −L(q, 0), of a model over a plane in which one point is moved.

    A potential is known up to a constant: its least value in the picture is zero.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `q`: the configuration in the middle of the picture, shape `(points, space)`.
    - `point`, `axes`: which point is moved, and along which two coordinates, counted from 0.
    - `span`: half the width of the picture.
    - `resolution`: values along each side.
    - `ax`: Matplotlib axes to draw into; new ones if not given.

    **Returns:**

    The axes; the colour bar is in `ax.figure`.

    **Raises:**

    `ValueError` if `q`, `axes`, `span` or `resolution` do not describe a plane, or the energy is
    nowhere finite on it.

    !!! example

        ```python
        import jax.numpy as jnp
        from noetherax.plot import plot_potential


        def well(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) ** 2 + jnp.sum(q**2)


        ax = plot_potential(well, jnp.zeros((1, 2)), span=1.5)
        picture, bar = ax.figure.axes  # the potential, and what its colours mean
        assert picture is ax and bar.get_ylabel() == "energy at rest"
        ```
    """
    q = jnp.asarray(q)
    if q.ndim != 2 or not 0 <= point < q.shape[0]:
        raise ValueError(
            f"q must have shape (points, space) with point {point}, but its shape is {q.shape}."
        )
    if len(set(axes)) != 2 or len(axes) != 2 or not all(0 <= x < q.shape[1] for x in axes):
        raise ValueError(
            f"axes must be two distinct coordinates, from 0 to {q.shape[1] - 1}, but are {axes!r}."
        )
    if not 0 < span < np.inf or resolution < 2:
        raise ValueError(
            "span must be positive and finite and resolution at least 2, but they are "
            f"{span!r} and {resolution!r}."
        )
    steps = np.linspace(-span, span, resolution)
    columns, rows = np.meshgrid(steps, steps)
    moves = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    states = jax.vmap(lambda move: q.at[point, np.array(axes)].add(move))(
        jnp.asarray(moves, q.dtype)
    )
    values = -np.asarray(jax.vmap(lambda x: lagrangian(x, jnp.zeros_like(x)))(states), float)
    if not np.any(np.isfinite(values)):
        raise ValueError(
            f"The energy at rest is nowhere finite in this plane of half width {span!r} about {q}."
        )
    values = np.where(np.isfinite(values), values, np.nan).reshape(columns.shape)
    ax = axes_for(ax)
    middle = [float(q[point, axis]) for axis in axes]
    filled = ax.contourf(
        columns + middle[0], rows + middle[1], values - np.nanmin(values), LEVELS, cmap="viridis"
    )
    ax.get_figure().colorbar(filled, ax=ax, label="energy at rest")  # type: ignore[union-attr]
    ax.set_xlabel(f"q[{axes[0]}]")
    ax.set_ylabel(f"q[{axes[1]}]")
    ax.set_aspect("equal", adjustable="box")
    return ax


def _phase(label: str, motion: Any, point: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    if getattr(motion, "q", None) is None or getattr(motion, "v", None) is None:
        raise TypeError(
            f"{label!r} must have positions q and velocities v, as a noetherax.Trajectory has, but it "
            f"is a {type(motion).__name__}. Recorded positions get velocities by tracks.smooth()."
        )
    q, v = np.asarray(motion.q, float), np.asarray(motion.v, float)
    if q.ndim != 3 or not 0 <= point < q.shape[1] or not 0 <= axis < q.shape[2]:
        raise ValueError(
            f"{label!r} has q of shape {q.shape}, which must be (times, points, space) with point "
            f"{point} and axis {axis}."
        )
    return q[:, point, axis], v[:, point, axis]
