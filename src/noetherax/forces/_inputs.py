"""Inputs: what a machine is told to do, as a function of time."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from .._summaries import one_line
from .._types import Configuration, FloatArray, Time, Velocity
from ._takes_inputs import lagrangian_with, some_part_takes_inputs

Kind = Literal["hold", "linear", "cubic"]


@final
class Inputs(eqx.Module):
    """Inputs u(t) that were sampled, and how they go on between the samples.

    Before the first sample and after the last one they keep its value.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        t = jnp.linspace(0.0, 10.0, 101)
        torque = nx.Inputs(t, jnp.sin(t)[:, None], kind="linear")
        driven = nx.Driven(
            nx.Forced(lambda q, v: jnp.sum(v**2) / 2, lambda q, v, t, u: u[None]), torque
        )
        trajectory = nx.rollout(driven, jnp.zeros((1, 1)), jnp.zeros((1, 1)), ts=t)
        assert jnp.allclose(trajectory.q[:, 0, 0], t - jnp.sin(t), atol=0.02)
        ```

    **Arguments:**

    - `t`: times of the samples, increasing, shape `(times,)`.
    - `u`: the samples, shape `(times, inputs)`.
    - `kind`: `"hold"` keeps each value until the next sample, as most digital controllers do;
        `"linear"` joins them by straight lines, `"cubic"` by cubics with the slopes of the parabolas
        through three samples (Hermite), which are continuously differentiable.

    **Raises:**

    `ValueError` or `TypeError` for shapes that do not belong together, times that do not increase,
    samples that are not finite, or a kind that is none of these.
    """

    t: Float[FloatArray, " times"]
    u: Float[FloatArray, "times inputs"]
    kind: Kind = eqx.field(static=True)

    def __init__(self, t: Any, u: Any, kind: Any = "linear"):
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {get_args(Kind)}, but it is {kind!r}.")
        given = any(isinstance(x, Tracer) for x in (t, u))
        t, u = (x if given else np.asarray(x, float) for x in (t, u))
        if np.ndim(t) != 1 or np.ndim(u) != 2 or np.shape(t)[0] != np.shape(u)[0] or not np.size(u):
            hint = " One input is u[:, None]." if np.ndim(u) == 1 else ""
            raise ValueError(
                "Inputs need times of shape (times,) and samples of shape (times, inputs), but these "
                f"have {np.shape(t)} and {np.shape(u)}.{hint}"
            )
        if not given:
            back = np.flatnonzero(~(np.diff(t) > 0))
            if len(back) or not np.all(np.isfinite(t)):
                i = int(back[0]) if len(back) else int(np.argmin(np.isfinite(t)))
                raise ValueError(
                    "Times of inputs must be finite and increase, but "
                    f"t[{i}:{i + 2}] is {t[i : i + 2]}."
                )
            if not np.all(np.isfinite(u)):
                i, j = (int(x) for x in np.argwhere(~np.isfinite(u))[0])
                raise ValueError(f"Inputs must be finite, but u[{i}, {j}] is {u[i, j]}.")
            t, u = jnp.asarray(t), jnp.asarray(u)
        self.t, self.u, self.kind = t, u, kind

    def __call__(self, t: Time) -> Float[Array, " inputs"]:
        """u at one time."""
        return value_of(self, t)


def value_of(inputs: Inputs, t: Time, ending: Any = True) -> Float[Array, " inputs"]:
    """u at one time. At the last sample itself its slope is the one before, for what ends there, and
    none for a motion that goes on."""
    t, samples = jnp.asarray(t), jnp.asarray(inputs.u)
    t = t if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(inputs.t.dtype)
    # As t is rounded, so that steps that end at a sample in single precision are on its side of a jump.
    times = jnp.asarray(inputs.t, t.dtype)
    last = len(times) - 1
    index = jnp.clip(jnp.searchsorted(times, t, side="right") - 1, 0, last)
    if inputs.kind == "hold" or last == 0:
        return samples[index]
    index = jnp.minimum(index, last - 1)
    step = times[index + 1] - times[index]
    known = (times[0] <= t) & ((t < times[-1]) | (ending & (t == times[-1])))
    part = _between((t - times[index]) / step, known).astype(samples.dtype)
    start, end = samples[index], samples[index + 1]
    if inputs.kind == "linear":
        return start + part * (end - start)
    slopes = _slopes(inputs.t.astype(samples.dtype), samples) * step.astype(samples.dtype)
    left, right = slopes[index], slopes[index + 1]
    bend = part * (1 - part)
    return (
        start
        + part * (end - start)
        + bend * ((1 - part) * (left - end + start) - part * (right - end + start))
    )


def _between(part, known):
    """A part of an interval, no less than nothing and no more than all of it. Where the slope is known
    it has the one inside, also at the ends, where `jnp.clip` would have half of it; elsewhere none."""
    inside = jax.lax.stop_gradient(jnp.clip(part, 0, 1))
    return inside + jnp.where(known, part - jax.lax.stop_gradient(part), 0)


def _slopes(times, samples):
    """At every sample that of the parabola through it and its neighbours."""
    steps = jnp.diff(times)[:, None]
    rates = jnp.diff(samples, axis=0) / steps
    if len(rates) == 1:
        return jnp.concatenate([rates, rates])
    before, after = steps[:-1], steps[1:]
    inner = (after * rates[:-1] + before * rates[1:]) / (before + after)
    first, last = 2 * rates[:1] - inner[:1], 2 * rates[-1:] - inner[-1:]
    return jnp.concatenate([first, inner, last])


@final
class Driven(eqx.Module):
    """A model with its inputs bound to it, u = u(t): a model that depends on time.

    A force that takes inputs, `(q, v, t, u)`, finds them here in `rollout`, charges and balances. So
    does a Lagrangian; where its momentum changes with them, its equations of motion hold du/dt.

    !!! example

        A motor of torque u(t) = 2t at a pendulum:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        def motor(q, v, t, u):
            return jnp.full_like(q, u[0])


        driven = nx.Driven(nx.Forced(pendulum, motor), lambda t: 2 * t[None])
        rest = jnp.zeros((1, 1))
        assert jnp.allclose(nx.acceleration(driven, rest, rest, t=1.5), 3.0)
        ```

    **Arguments:**

    - `model`: a Lagrangian that takes inputs, or a model with a force or term that does, or a law of
        pairs whose attributes are inputs.
    - `inputs`: [`noetherax.Inputs`][] or any function of time `t -> (inputs,)`.

    **Raises:**

    `TypeError` if either is not a function. A warning says so if no part of the model takes the inputs.
    """

    model: Callable
    inputs: Callable

    def __check_init__(self):
        if not callable(self.model) or not callable(self.inputs):
            raise TypeError(
                "Driven takes a model and inputs, noetherax.Inputs(t, u) or a function of time, but "
                f"got {self.model!r:.100} and {self.inputs!r:.100}."
            )
        if not some_part_takes_inputs(self.model):
            warnings.warn(
                "No part of this model takes inputs, so that those of Driven change nothing. What "
                "takes them is a Lagrangian or a force (q, v, t, u), or a law of pairs that was made "
                "with a number of attributes.",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return one_line(self)

    def __call__(self, q: Configuration, v: Velocity, t: Time) -> Float[Array, ""]:
        """The value of the Lagrangian alone."""
        q, t = jnp.asarray(q), jnp.asarray(t)
        t = t if jnp.issubdtype(t.dtype, jnp.floating) else t.astype(jnp.result_type(float))
        u = jnp.asarray(self.inputs(t))
        return lagrangian_with(self.model, q, v, t.astype(q.dtype), u.astype(q.dtype))
