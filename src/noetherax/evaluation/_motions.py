"""What a model does: its motions, and its law at given states. A compiled program for each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._programs import by_blocks, run
from .._rollout import rollout
from ..data import times_as_jax
from ..dynamics import Since, acceleration, at_time, depends_on_time, takes_inputs
from ..forces import Inputs, Kind
from ._distances import Reference, norm

MOST_STEPS = 100_000
"""That a controller may choose for one motion: where a model is wild, steps would shrink for ever."""


class Paths(NamedTuple):
    """A model's motions, each of shape `(motions, times, points, space)`. Entries are not finite from
    where one failed; `p` is `None` unless the solver carries momenta."""

    q: Array
    v: Array
    p: Array | None


class Along(NamedTuple):
    """What motions were recorded under: the model with `start`, `ts` and `u`, one for each motion, is
    what they obey. `start` is `None` where nothing depends on time, `u` where there are no inputs."""

    start: Array | None = None
    ts: Array | None = None
    u: Array | None = None
    kind: Kind = "linear"

    def law(self, model: Callable) -> Callable:
        """The model along one motion, whose entries these are, a function of the time since its
        start."""
        if self.start is None:
            return model
        inputs = None if self.u is None else Inputs(self.ts, self.u, self.kind)
        return Since(model, self.start, inputs)

    def counted_from(self, origin: Array, model: Callable) -> tuple[Callable, Array]:
        """The same as a function of a time that is `origin` at the start, and its times of the samples.
        Inputs have theirs at the very same numbers, so that none falls on the other side of a jump."""
        if self.start is None or self.ts is None:
            raise ValueError("These motions have no times of their own.")
        ts = origin + self.ts
        inputs = None if self.u is None else Inputs(ts, self.u, self.kind)
        return Since(model, self.start - origin, inputs), ts

    def instants(self) -> tuple:
        """Times of all samples, for a model at states `(motions, times)`."""
        if self.start is None or self.ts is None:
            return ()
        return (self.start[:, None] + self.ts,)


THROUGH = {"hold": 1, "linear": 2, "cubic": 3}
"""Samples that tell the slope of inputs at the last one."""


def _going_on(reference: Reference, kind: Kind) -> np.ndarray | None:
    """Inputs whose first sample after the end of a recording lies where the last ones lead. So their
    slope at the end is what it is without longer recordings beside."""
    if reference.u is None:
        return None
    u = np.array(reference.u)
    for each, ts, known in zip(u, reference.ts, reference.known, strict=True):
        count = int(np.sum(known))
        if count == len(ts):
            continue
        t, steps = ts[count], np.asarray(ts[max(count - THROUGH[kind], 0) : count])
        others = [np.delete(steps, i) for i in range(len(steps))]
        weights = [np.prod((t - x) / (at - x)) for at, x in zip(steps, others, strict=True)]
        each[count:] = np.asarray(weights) @ each[count - len(steps) : count]
    return u


def along(model: Callable, reference: Reference, kind: Kind) -> Along:
    """What of a reference a model depends on."""
    if not depends_on_time(model) or reference.start is None:
        return Along()
    dtype = precision_of(model)
    u = _going_on(reference, kind) if takes_inputs(model) else None
    ts = jnp.asarray(reference.ts, dtype)
    shown = reference.start[:, None] + reference.ts
    start = times_as_jax(reference.start, np.diff(reference.ts, axis=1), dtype, shown)
    return Along(start, ts, None if u is None else jnp.asarray(u, dtype), kind)


def follow(
    model: Callable, q0, v0, ts: np.ndarray, options: dict[str, Any], under: Along = Along()
) -> Paths:
    """The motions from a stack of initial states, each at its own times since its start."""
    dtype = precision_of(model)
    q0, v0 = (jnp.asarray(x, dtype) for x in (q0, v0))
    if "max_steps" in options:  # fixed steps are as many as there are times, at least
        options = options | {"max_steps": max(options["max_steps"], ts.shape[1])}
    if np.all(ts == ts[0]):
        return run(_follow_together, model, q0, v0, tuple(ts[0].tolist()), options, under)
    if options.get("dt") is not None:
        raise ValueError(
            "dt divides the times of all motions alike, but these recordings have times of their own. "
            "Leave dt out: then the default solver chooses its steps, and those without an error "
            "estimate step from sample to sample. Or judge by windows of regular tracks, times=…"
        )
    return run(_follow_apart, model, q0, v0, jnp.asarray(ts, dtype), options, under)


def _follow_together(model, q0, v0, ts: tuple, options, under) -> Paths:
    times = np.array(ts)

    def path(one, q, v):
        if one.u is not None:  # where inputs jump is known, then, before steps are chosen
            one = one._replace(ts=times.astype(one.u.dtype))
        return _path(one.law(model), q, v, times, options)

    return over_motions(path, under, q0, v0)


def _follow_apart(model, q0, v0, ts, options, under) -> Paths:
    return over_motions(
        lambda one, q, v, t: _path(one.law(model), q, v, t, options), under, q0, v0, ts
    )


def over_motions(function: Callable, under: Along, *arrays: Any) -> Any:
    """`function(under, *arrays)` of every motion."""

    def one(start, ts, u, *arrays):
        return function(Along(start, ts, u, under.kind), *arrays)

    return jax.vmap(one)(under.start, under.ts, under.u, *arrays)


def _path(model, q0, v0, ts, options) -> Paths:
    path = rollout(model, q0, v0, ts=ts, throw=False, **options)
    return Paths(path.q, path.v, path.p)


def accelerations(model: Callable, q, v, *instants) -> np.ndarray:
    """At states `(motions, times, points, space)`, with their times and inputs where a model depends on
    them; NaN where the model has none."""
    dtype = precision_of(model)
    every = (None if x is None else np.asarray(x) for x in instants)
    states = (*(np.asarray(x, dtype) for x in (q, v)), *every)
    flat = tuple(None if x is None else x.reshape(-1, *x.shape[2:]) for x in states)
    return by_blocks(_accelerations, model, flat).reshape(np.shape(q))


def _accelerations(model, q, v, *instants):
    return acceleration(at_time(model, *instants) if instants else model, q, v, throw=False)


def accelerations_along(model: Callable, under: Along, q, v) -> np.ndarray:
    """The same where inputs act, which have rates as well as values, one motion after the other."""
    if under.u is None:
        return accelerations(model, q, v, *under.instants())
    states = (jnp.asarray(x, precision_of(model)) for x in (q, v))
    return np.asarray(run(_accelerations_along, model, under, *states), float)


def _accelerations_along(model, under, q, v):
    def of_motion(motion):
        start, ts, u, q, v = motion
        law = Along(start, ts, u, under.kind).law(model)
        return acceleration(at_time(law, ts), q, v, throw=False)

    return jax.lax.map(of_motion, (under.start, under.ts, under.u, q, v))


class Law(NamedTuple):
    """A law at a stack of states: accelerations `(states, points, space)`, and what it says beside
    them, where twins go, ∂a/∂q and ∂a/∂v, each `(states, components, components)`."""

    a: np.ndarray
    along_q: np.ndarray
    along_v: np.ndarray


def law_at(model: Callable, q, v, dtype, t=None) -> Law:
    """A law in a given precision, at times where it depends on them."""
    instants = (t,) if depends_on_time(model) and t is not None else ()
    found = run(_law, model, *(jnp.asarray(x, dtype) for x in (q, v, *instants)))
    a, along_q, along_v = (np.asarray(x, float) for x in found)
    return Law(a, *(x.reshape(len(a), a[0].size, -1) for x in (along_q, along_v)))


def _law(model, q, v, *instants):
    def along(unit):
        """The accelerations and their derivatives in one coordinate of all states."""
        tangents = jnp.broadcast_to(unit.reshape(2, *q.shape[1:]), (len(q), 2, *q.shape[1:]))
        state = tangents[:, 0], tangents[:, 1]
        return jax.jvp(lambda q, v: _accelerations(model, q, v, *instants), (q, v), state)

    # By `vmap`: `jacfwd` cannot take a rule of derivatives such as that of accelerations.
    size = q[0].size
    a, slopes = jax.vmap(along, out_axes=-1)(jnp.eye(2 * size, dtype=q.dtype))
    a = a[..., 0]
    # Where there is no acceleration its entries are constants, and their derivatives zero.
    there = jnp.all(jnp.isfinite(a), axis=(1, 2), keepdims=True)
    slopes = jnp.where(there[..., None], slopes, jnp.nan)
    return a, slopes[..., :size], slopes[..., size:]


def slope_errors(ours: Law, true: Law, units: tuple[float, float]) -> dict[str, float]:
    """The errors of ∂a/∂q and ∂a/∂v, both in units of the true derivatives together: that of a
    potential in positions alone has no size of its own. `units`, sizes of the motion in q and in v,
    make them alike."""
    size_q, size_v = (
        unit * norm(x.reshape(1, -1, 1))[0] for x, unit in zip(true[1:], units, strict=True)
    )
    # A law without any slope, of free motion, is measured by the motion itself.
    size = (
        np.hypot(size_q, size_v) or units[1] * (units[1] / units[0]) * np.sqrt(len(true.a)) or 1.0
    )
    found = {}
    for name, a, b, unit in zip(("da/dq", "da/dv"), ours[1:], true[1:], units, strict=True):
        with np.errstate(all="ignore"):
            error = unit * norm((a - b).reshape(1, -1, 1))[0] / size
        found[name] = float(error if np.isfinite(error) else np.inf)
    return found


def precision_of(model: Callable) -> Any:
    """That of a model's weights; JAX's default where it has none."""
    leaves = [x.dtype for x in jax.tree.leaves(model) if eqx.is_inexact_array(x)]
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)


def has_lagrangian(model: Callable, q, v, under: Along = Along()) -> bool:
    """Whether it gives a scalar, and so has momenta and charges; a law of accelerations does not."""
    dtype = precision_of(model)
    q, v = (jnp.zeros(x.shape, dtype) for x in (q, v))

    def values(under, q, v):
        return over_motions(lambda one, q, v: at_time(one.law(model), zero)(q, v), under, q, v)

    if under.start is None:
        return getattr(eqx.filter_eval_shape(model, q, v), "shape", None) == ()
    zero = jnp.zeros((), dtype)
    count = len(under.start)
    states = (jnp.broadcast_to(x, (count, *x.shape)) for x in (q, v))
    return getattr(eqx.filter_eval_shape(values, under, *states), "shape", None) == (count,)
