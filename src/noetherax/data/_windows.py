"""Short windows of observed trajectories: what is learned from where no acceleration is known."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._checks import check_number
from .._summaries import held_arrays
from .._types import FloatArray, Time

Noise = Time | Sequence[Time] | Float[FloatArray, " kinds"]
"""A standard deviation for all of q, v and a, or one for each."""


class Windows(NamedTuple):
    """Windows of observed trajectories, states at equal intervals of time.

    - `q`: positions, shape `(windows, times, points, space)`.
    - `v`: velocities of the same shape, or `None` where they are not observed.
    - `a`: accelerations, likewise.

    Any tuple `(q,)`, `(q, v)` or `(q, v, a)` does; this one has names.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 10.0, 101)
        tracks = nx.Tracks(t, np.cos(t)[:, None, None])
        windows = tracks.windows(times=21)
        assert windows.q.shape[1:] == (21, 1, 1)  # times, points, space
        assert windows.v is None  # only positions were recorded
        assert tracks.interval == 0.1  # what a loss of windows has to be told
        ```
    """

    q: Float[FloatArray, "windows times points space"]
    v: Float[FloatArray, "windows times points space"] | None = None
    a: Float[FloatArray, "windows times points space"] | None = None

    def __repr__(self) -> str:
        return held_arrays(self)


class TimedWindows(NamedTuple):
    """Windows of observed trajectories that carry the times of their states.

    - `t`: times since the first one of each window, shape `(windows, times)`, so that large times
        of the recording, such as Julian dates, lose no digits in float32.
    - `q`: positions, shape `(windows, times, points, space)`.
    - `v`: velocities of the same shape, or `None` where they are not observed.
    - `a`: accelerations, likewise.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 3.0, 91) ** 2  # samples that lie ever further apart
        tracks = nx.Tracks(t, np.cos(t)[:, None, None])
        windows = tracks.windows(times=9)
        assert tracks.interval is None and isinstance(windows, nx.TimedWindows)
        assert np.all(windows.t[:, 0] == 0)  # each window counts from its own start
        ```
    """

    t: Float[FloatArray, "windows times"]
    q: Float[FloatArray, "windows times points space"]
    v: Float[FloatArray, "windows times points space"] | None = None
    a: Float[FloatArray, "windows times points space"] | None = None

    def __repr__(self) -> str:
        return held_arrays(self)


class DrivenWindows(NamedTuple):
    """Windows of observed trajectories with their place in time and the inputs along them, for models
    that depend on them.

    - `t`: times since the first one of the window, shape `(windows, times)`.
    - `q`: positions, shape `(windows, times, points, space)`.
    - `v`: velocities of the same shape, or `None` where they are not observed.
    - `a`: accelerations, likewise.
    - `start`: time of the first state, as the recording counts it, shape `(windows,)`.
    - `u`: inputs at these times, shape `(windows, times, inputs)`, or `None` where there are none.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 10.0, 101)
        voltage = np.sin(t)[:, None]
        tracks = nx.Tracks(t, np.cos(t)[:, None, None], inputs=voltage)
        windows = tracks.windows(times=21)
        assert windows.u.shape == (*windows.t.shape, 1)  # one input at every time
        times = windows.start[:, None] + windows.t  # as the recording counts them
        assert np.allclose(windows.u[..., 0], np.sin(times), atol=1e-5)
        ```
    """

    t: Float[FloatArray, "windows times"]
    q: Float[FloatArray, "windows times points space"]
    v: Float[FloatArray, "windows times points space"] | None
    a: Float[FloatArray, "windows times points space"] | None
    start: Float[FloatArray, " windows"]
    u: Float[FloatArray, "windows times inputs"] | None = None

    def __repr__(self) -> str:
        return held_arrays(self)


class Timing(NamedTuple):
    """When windows were observed, and under what inputs; members as of `DrivenWindows`."""

    t: Float[FloatArray, "windows times"]
    start: Float[FloatArray, " windows"]
    u: Float[FloatArray, "windows times inputs"] | None


@singledispatch
def timing_of(batch: Any) -> tuple[Any, Timing | None]:
    """A batch of windows, and when they were observed, if it says so."""
    return batch, None


@timing_of.register
def _(batch: DrivenWindows):
    windows = check_timed_windows((batch.t, batch.q, batch.v, batch.a))
    count, times = np.shape(windows.t)
    if np.shape(batch.start) != (count,):
        raise ValueError(
            f"start must have shape (windows,), {(count,)}, but it has shape {np.shape(batch.start)}."
        )
    if batch.u is not None and (np.ndim(batch.u) != 3 or np.shape(batch.u)[:2] != (count, times)):
        raise ValueError(
            f"u must have shape (windows, times, inputs), with {(count, times)} as q has, but it has "
            f"shape {np.shape(batch.u)}."
        )
    return windows, Timing(windows.t, batch.start, batch.u)


def check_windows(batch: Any) -> Windows:
    """The members of a batch of windows; errors that name what is wrong with it otherwise."""
    if getattr(batch, "_fields", ())[:1] == ("t",):
        raise TypeError(
            "This takes windows of states at equal intervals of time, (q,), (q, v) or (q, v, a), but "
            "these carry times of their own. Tracks.windows gives the former where tracks are regular; "
            "for others use the accelerations of Tracks.smooth."
        )
    if not isinstance(batch, tuple | list) or not 1 <= len(batch) <= 3:
        raise TypeError(
            "A batch of windows must be a tuple (q,), (q, v) or (q, v, a) of arrays of shape (windows, "
            f"times, points, space), but it is {type(batch).__name__}"
            + (f" of {len(batch)} items." if isinstance(batch, tuple | list) else ".")
        )
    windows = Windows(*batch)
    for name, array in windows._asdict().items():
        if name != "q" and array is None:
            continue
        shape = np.shape(array)
        if len(shape) != 4:
            raise ValueError(
                f"{name} must have shape (windows, times, points, space), but it has shape {shape}."
            )
        if not jnp.issubdtype(jnp.result_type(array), jnp.floating):
            raise TypeError(f"{name} must hold floating-point numbers, but it does not.")
        if shape != np.shape(windows.q):
            raise ValueError(
                f"q and {name} must have the same shape, but q has {np.shape(windows.q)} and {name} "
                f"{shape}."
            )
        if 0 in shape:
            raise ValueError(f"{name} is empty: its shape is {shape}.")
        if shape[1] < 3:
            raise ValueError(f"A window must have at least three times, but {name} has {shape[1]}.")
    return windows


NO_INTERVAL = "Without times, a loss needs the interval: noetherax.TrajectoryLoss(interval)."


def check_timed_windows(batch: Any) -> TimedWindows:
    """The members of a batch of windows with times, likewise."""
    if isinstance(batch, Windows):
        raise TypeError(f"noetherax.Windows have no times. {NO_INTERVAL}")
    if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 4:
        raise TypeError(
            "A batch of windows with times must be noetherax.TimedWindows or a tuple (t, q), (t, q, v) "
            f"or (t, q, v, a), but it is {type(batch).__name__}"
            + (f" of {len(batch)} items. " if isinstance(batch, tuple | list) else ". ")
            + NO_INTERVAL
        )
    t, *states = batch
    if np.ndim(t) == 4:
        raise ValueError(
            f"The first member of a batch of windows with times is t, but it has shape {np.shape(t)}, "
            f"as positions have. {NO_INTERVAL}"
        )
    windows = check_windows(tuple(states))
    if np.shape(t) != np.shape(windows.q)[:2]:
        raise ValueError(
            f"t must have shape (windows, times), {np.shape(windows.q)[:2]} as that of q, but it has "
            f"shape {np.shape(t)}."
        )
    return TimedWindows(t, *windows)


def check_noise(noise: Any, windows: Windows) -> tuple[float, ...]:
    """Standard deviations of those of q, v and a that are observed."""
    kinds = [order for order, x in enumerate(windows) if x is not None]
    sigma = (noise,) * len(windows) if np.ndim(noise) == 0 else tuple(noise)
    names = ", ".join(f"σ_{name}" for name in windows._fields[: kinds[-1] + 1])
    if len(sigma) <= kinds[-1] or any(np.ndim(s) for s in sigma):
        raise ValueError(f"noise must be one number or ({names}), but it is {noise!r}.")
    try:
        return tuple(check_number("noise", sigma[order]) for order in kinds)
    except ValueError:
        raise ValueError(
            f"noise must be positive and finite, one number or ({names}), but it is {noise!r}."
        ) from None
