"""When samples were observed, and what then acted: a model that depends on it is taken there."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._programs import by_blocks, run
from ..data import Timing, Windows, check_windows, timing_of
from ..dynamics import Since, at_time, depends_on_time, is_at_instant, takes_inputs
from ..forces import Inputs, Kind, held_until

NO_TIMES = (
    "This model depends on time or takes inputs, but the batch has none. A batch of states that has "
    "them is (q, v, a, t, u), noetherax.TimedObservations, and one of windows noetherax.DrivenWindows: "
    "tracks.observations(timed=True) and tracks.windows(..., timed=True) give them, and fit takes them "
    "from tracks by itself."
)

NO_INPUTS = (
    "A force of this model takes inputs, but the data have none. Record them, "
    "noetherax.Tracks(..., inputs=u), or bind them to the model, noetherax.Driven(model, inputs)."
)

SAME = 1e-3
"""Part of an interval by which that of a loss and that of data may differ, as decimals do."""


def check_kind(kind: Any) -> Kind:
    """How inputs go on between samples."""
    if kind not in get_args(Kind):
        raise ValueError(f"inputs must be one of {get_args(Kind)}, but it is {kind!r}.")
    return kind


def at_instants(model: Callable, *instants: Any) -> Callable:
    """A model at the times, and with the inputs, of a batch of states, `(t,)` or `(t, u)`; the model
    itself where nothing depends on them.

    **Raises:**

    `ValueError` if it does, and there are none.
    """
    if not depends_on_time(model):
        return model
    if not instants or instants[0] is None:
        if is_at_instant(model):
            return model
        raise ValueError(NO_TIMES)
    t, u = (*instants, None)[:2]
    return at_time(model, t, _inputs(model, u))


def holds_times(model: Callable, *instants: Any) -> bool:
    """Whether a model is at the times of all samples already, and not to be taken at any."""
    return depends_on_time(model) and (not instants or instants[0] is None)


def by_samples(function: Callable, model: Callable, states: tuple) -> Any:
    """`function(model, *states)` of states (q, v, a), with their times and inputs if there are any; a
    block of samples at a time, where they can be told apart."""
    if holds_times(model, *states[3:]):
        return jax.tree.map(lambda x: np.asarray(x, float), run(function, model, *states))
    return by_blocks(function, model, states)


def windows_at(batch: Any, interval: float) -> tuple[Windows, Timing | None]:
    """A batch of windows at equal intervals of time, and its timing, if it has one.

    **Raises:**

    `ValueError` if its times are others.
    """
    states, timing = timing_of(batch)
    if timing is None:
        return check_windows(batch), None
    if not isinstance(timing.t, Tracer):
        t = np.asarray(timing.t, float)
        away = np.max(np.abs(t - interval * np.arange(t.shape[1])))
        if not away <= SAME * interval:
            raise ValueError(
                f"This loss was given the interval {interval:.6g}, but samples of these windows are "
                f"{np.min(np.diff(t)):.6g} to {np.max(np.diff(t)):.6g} apart. "
                "noetherax.TrajectoryLoss() without an interval takes their times as they are."
            )
    return Windows(*states[1:]), timing


def instants_of(timing: Timing, samples: slice, dtype: Any) -> tuple:
    """Times and inputs of some of the samples of windows, each with axes (windows, times)."""
    t = jnp.asarray(timing.start, dtype)[:, None] + jnp.asarray(timing.t, dtype)
    u = None if timing.u is None else jnp.asarray(timing.u, dtype)[:, samples]
    return t[:, samples], u


def _inputs(model: Callable, u: Any) -> Any:
    """The inputs of a batch for a model that takes any."""
    if not takes_inputs(model):
        return None
    if u is None:
        raise ValueError(NO_INPUTS)
    return u


class Piece(NamedTuple):
    """From one sample to the next: when it starts, and the samples of inputs that tell how these go on,
    at times since then."""

    start: Float[Array, "*pieces"]
    t: Float[Array, "*pieces samples"] | None
    u: Float[Array, "*pieces samples inputs"] | None


def pieces_of(
    model: Callable, timing: Timing | None, kind: Kind, dtype: Any, interval: float | None = None
) -> Piece | None:
    """The pieces of windows, `(windows, times - 1)`; `None` where nothing depends on them. A loss with
    an interval of its own has its samples there, so that no step of it ends beyond a piece."""
    if not depends_on_time(model):
        return None
    if timing is None:
        if is_at_instant(model):
            return None
        raise ValueError(NO_TIMES)
    t, start = (jnp.asarray(x, dtype) for x in (timing.t, timing.start))
    if interval is not None:
        t = jnp.broadcast_to(interval * jnp.arange(t.shape[1], dtype=dtype), t.shape)
    u = _inputs(model, timing.u)
    if u is None:
        return Piece(start[:, None] + t[:, :-1], None, None)
    u = jnp.asarray(u, dtype)
    starts, count = start[:, None] + t[:, :-1], t.shape[1] - 1
    if kind == "hold":
        # Only the sample at its start: a step ends before the next one acts.
        return Piece(starts, jnp.zeros((*starts.shape, 1), dtype), u[:, :-1, None])
    if kind == "linear":
        step = jnp.diff(t)
        since = jnp.stack([jnp.zeros_like(step), step], axis=-1)
        return Piece(starts, since, jnp.stack([u[:, :-1], u[:, 1:]], axis=2))
    since = t[:, None, :] - t[:, :-1, None]
    return Piece(starts, since, jnp.broadcast_to(u[:, None], (len(u), count, *u.shape[1:])))


def along_piece(model: Callable, piece: Piece, kind: Kind) -> Callable:
    """A model as it is along one piece, a function of the time since its start."""
    return Since(model, piece.start, inputs_of(piece, kind))


def inputs_of(piece: Piece, kind: Kind) -> Callable | None:
    if piece.u is None or piece.t is None:
        return None
    inputs = Inputs(piece.t, piece.u, kind)
    # A step may end beyond a piece by a rounding, and still sees the slope inside.
    return held_until(inputs, piece.t[-1]) if kind == "linear" else inputs
