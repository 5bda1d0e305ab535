"""What a model does: its motions, and its law at given states. A compiled program for each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._programs import run
from .._rollout import rollout
from ..dynamics import acceleration
from ._distances import norm

MOST_STEPS = 100_000
"""That a controller may choose for one motion: where a model is wild, steps would shrink for ever."""


class Paths(NamedTuple):
    """A model's motions, each of shape `(motions, times, points, space)`. Entries are not finite from
    where one failed; `p` is `None` unless the solver carries momenta."""

    q: Array
    v: Array
    p: Array | None


def follow(model: Callable, q0, v0, ts: np.ndarray, options: dict[str, Any]) -> Paths:
    """The motions from a stack of initial states, each at its own times."""
    dtype = precision_of(model)
    q0, v0 = (jnp.asarray(x, dtype) for x in (q0, v0))
    if "max_steps" in options:  # fixed steps are as many as there are times, at least
        options = options | {"max_steps": max(options["max_steps"], ts.shape[1])}
    if np.all(ts == ts[0]):
        return run(_follow_together, model, q0, v0, tuple(ts[0].tolist()), options)
    if options.get("dt") is not None:
        raise ValueError(
            "dt divides the times of all motions alike, but these recordings have times of their own. "
            "Leave dt out: then the default solver chooses its steps, and those without an error "
            "estimate step from sample to sample. Or judge by windows of regular tracks, times=…"
        )
    return run(_follow_apart, model, q0, v0, jnp.asarray(ts, dtype), options)


def _follow_together(model, q0, v0, ts: tuple, options) -> Paths:
    times = np.array(ts)
    return jax.vmap(lambda q, v: _path(model, q, v, times, options))(q0, v0)


def _follow_apart(model, q0, v0, ts, options) -> Paths:
    return jax.vmap(lambda q, v, t: _path(model, q, v, t, options))(q0, v0, ts)


def _path(model, q0, v0, ts, options) -> Paths:
    path = rollout(model, q0, v0, ts=ts, throw=False, **options)
    return Paths(path.q, path.v, path.p)


def accelerations(model: Callable, q, v) -> np.ndarray:
    """At stacks of states `(..., points, space)`; NaN where the model has none."""
    dtype = precision_of(model)
    return np.asarray(run(_accelerations, model, *(jnp.asarray(x, dtype) for x in (q, v))), float)


def _accelerations(model, q, v):
    return acceleration(model, q, v, throw=False)


class Law(NamedTuple):
    """A law at a stack of states: accelerations `(states, points, space)`, and what it says beside
    them, where twins go, ∂a/∂q and ∂a/∂v, each `(states, components, components)`."""

    a: np.ndarray
    along_q: np.ndarray
    along_v: np.ndarray


def law_at(model: Callable, q, v, dtype) -> Law:
    """A law in a given precision."""
    found = run(_law, model, *(jnp.asarray(x, dtype) for x in (q, v)))
    a, along_q, along_v = (np.asarray(x, float) for x in found)
    return Law(a, *(x.reshape(len(a), a[0].size, -1) for x in (along_q, along_v)))


def _law(model, q, v):
    def along(unit):
        """The accelerations and their derivatives in one coordinate of all states."""
        tangents = jnp.broadcast_to(unit.reshape(2, *q.shape[1:]), (len(q), 2, *q.shape[1:]))
        state = tangents[:, 0], tangents[:, 1]
        return jax.jvp(lambda q, v: _accelerations(model, q, v), (q, v), state)

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


def has_lagrangian(model: Callable, q, v) -> bool:
    """Whether it gives a scalar, and so has momenta and charges; a law of accelerations does not."""
    dtype = precision_of(model)
    state = (jax.ShapeDtypeStruct(x.shape, dtype) for x in (q, v))
    return getattr(eqx.filter_eval_shape(model, *state), "shape", None) == ()
