"""Step-size controllers that need no unit, and that end where no step is small enough."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .._derivatives import without_derivatives

ROUNDINGS = 10
"""Of the time, in the smallest step; of a state of unknown parts, that a step may be wrong by."""

RESOLVED = 0.1
"""Of a rounding: the error of one step that its estimate can tell, being made from the change of the
state and not from the state. A tenth keeps charges near the rounding of the whole motion; less makes
steps many times more in float32, and keeps them no better."""

FIRST = 1e-2
"""First step, in units of the shortest time in which a part of the state would change altogether."""


class _Travel(NamedTuple):
    """What [`noetherax.solvers.RelativeController`][] carries from step to step.

    - `start`: the state at the start.
    - `travel`: the largest distance from it so far, of every component.
    - `inner`: the state of the controller inside.
    """

    start: PyTree
    travel: PyTree
    inner: PyTree


@final
class RelativeController(diffrax.AbstractAdaptiveStepSizeController):
    """A PID controller whose scale is the motion, not a number:

        |error_i| ≤ rtol · max |y_i(t) − y_i(0)| + rounding_i,

    the largest change of component i so far, and what rounding makes of the state. So neither units
    count nor where the origin lies, in space or among velocities. While a component has not moved yet,
    its error may also be one rounding of its change in that step. Where the law sees a clock, a change
    is known no better than time is, in units of the step. The first step is a hundredth of the shortest
    time |y|/|dy/dt|, and no shorter than time resolves.

    **Arguments:**

    - `rtol`: the tolerance.
    - `span`: the time to integrate over; a hundredth of it is the first step of a state at rest.
    - `rounding`: `(y, h) -> tree like y`, the error that rounding makes of a state y in a step of size
        h. By default ten roundings of the largest entry along the first axis, that of points.
    - `floor`: what implicit solvers, which find their stages with the tolerances of the controller,
        take for their `atol`.
    - `clock`: the time that the law sees at t = 0, or `None` where it sees none.
    """

    rtol: float
    span: Float[Array, ""]
    floor: Float[Array, ""]
    rounding: Callable[[PyTree, Any], PyTree]
    clock: Float[Array, ""] | None

    def __init__(self, rtol, span, floor, rounding: Callable | None = None, clock: Any = None):
        self.rtol, self.span, self.floor, self.clock = rtol, span, floor, clock
        self.rounding = _leafwise if rounding is None else rounding

    @property
    def atol(self):
        return self.floor

    @property
    def norm(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._inner.norm

    @property
    def _inner(self):
        return diffrax.PIDController(rtol=0.0, atol=1.0)  # of errors in units of their tolerance

    def wrap(self, direction):
        return self

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        if dt0 is None:
            rates = func(terms, t0, y0, args)
            times = [
                _largest(y) / _largest(rate)
                for y, rate in zip(jax.tree.leaves(y0), jax.tree.leaves(rates), strict=True)
            ]
            times = jnp.stack([*(x.astype(self.span.dtype) for x in times), self.span])
            known = (times > 0) & jnp.isfinite(times)
            dt0 = FIRST * jnp.min(jnp.where(known, times, self.span))
            # A part that is nearly nothing by chance has no say: time could stand still.
            last = jnp.maximum(jnp.maximum(jnp.abs(t0), jnp.abs(t1)), self.span)
            dt0 = jnp.maximum(dt0, ROUNDINGS * jnp.finfo(last.dtype).eps * last)
            dt0 = jax.lax.stop_gradient(jnp.asarray(dt0, jnp.result_type(t0)))
        tnext, inner = self._inner.init(terms, t0, t1, y0, dt0, args, func, error_order)
        start = jax.lax.stop_gradient(y0)
        return tnext, _Travel(start, jax.tree.map(jnp.zeros_like, start), inner)

    def adapt_step_size(
        self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
    ):
        if y_error is None:
            raise ValueError("Steps can only be chosen for a solver that estimates its errors.")
        y0, y1, y_error = jax.lax.stop_gradient((y0, y1_candidate, y_error))
        start, before, inner = controller_state
        travel = jax.tree.map(lambda s, x, y: jnp.maximum(x, jnp.abs(y - s)), start, before, y1)
        largest = jax.tree.map(lambda a, b: jnp.maximum(jnp.abs(a), jnp.abs(b)), y0, y1)

        unknown = self._rounding_of_time(t0, t1) / (t1 - t0)

        def in_units(error, y0, y1, before, travel, rounding):
            change = jnp.abs(y1 - y0)
            # From rest at the origin the first step is all there is to measure by, and is rounded.
            of_first = jnp.where(before == 0, jnp.finfo(y1.dtype).eps * change, 0)
            rounding = rounding + RESOLVED * unknown.astype(y1.dtype) * change
            tolerance = jnp.maximum(self.rtol * travel + rounding, of_first)
            finite = jnp.isfinite(y1) & jnp.isfinite(error)
            ratio = jnp.where(error == 0, 0, error / jnp.where(tolerance > 0, tolerance, 1))
            ratio = jnp.where((error != 0) & (tolerance == 0), jnp.inf, ratio)
            return jnp.where(finite, ratio, jnp.inf)

        rounding = self.rounding(largest, t1 - t0)
        error = jax.tree.map(in_units, y_error, y0, y1, before, travel, rounding)
        zero = jax.tree.map(jnp.zeros_like, error)
        keep, tprev, tnext, jump, inner, result = self._inner.adapt_step_size(
            t0, t1, zero, zero, args, error, error_order, inner
        )
        travel = jax.tree.map(lambda new, old: jnp.where(keep, new, old), travel, before)
        return keep, tprev, tnext, jump, _Travel(start, travel, inner), result

    def _rounding_of_time(self, t0, t1):
        if self.clock is None:
            return jnp.zeros_like(t1)
        seen = jax.lax.stop_gradient(self.clock)
        last = jnp.maximum(jnp.abs(seen + t0), jnp.abs(seen + t1))
        return jnp.finfo(last.dtype).eps * last


@final
class EndingController(diffrax.AbstractAdaptiveStepSizeController):
    """Another controller, that fails with `dt_min_reached` where a step that is as small as time
    resolves is rejected: steps would shrink for ever.

    What it chooses has no derivative but by times that it is given, such as those of jumps. A motion
    does not depend on where its steps end; but where one ends early, at a time that is given, each of
    the next ones would grow with that time, up to ten times as much as the one before.

    **Arguments:**

    - `controller`: which chooses the steps.
    - `smallest`: the resolution of time.
    """

    controller: diffrax.AbstractAdaptiveStepSizeController
    smallest: Float[Array, ""]

    def __init__(self, controller, smallest):
        self.controller, self.smallest = controller, smallest

    @property
    def rtol(self):
        return self.controller.rtol

    @property
    def atol(self):
        return self.controller.atol

    @property
    def norm(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.controller.norm

    def wrap(self, direction):
        return EndingController(self.controller.wrap(direction), self.smallest)

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        t0, t1, y0, dt0, args = without_derivatives((t0, t1, y0, dt0, args))
        return self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)

    def adapt_step_size(
        self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
    ):
        keep, tprev, tnext, jump, inner, result = self.controller.adapt_step_size(
            without_derivatives(t0),
            without_derivatives(t1),
            without_derivatives(y0),
            without_derivatives(y1_candidate),
            without_derivatives(args),
            without_derivatives(y_error),
            error_order,
            controller_state,
        )
        # The state there has been reached at the time that the step was to end.
        reached = jnp.where(keep, t1, t0)
        tprev = tprev + (reached - without_derivatives(reached))
        stuck = jnp.invert(keep) & (t1 - t0 <= self.smallest)
        stuck = stuck & (result == diffrax.RESULTS.successful)
        result = diffrax.RESULTS.where(stuck, diffrax.RESULTS.dt_min_reached, result)
        return keep, tprev, tnext, jump, inner, result


@final
class StateRounding(eqx.Module):
    """What rounding makes of (q, v) in a step of size h: a tenth of a rounding of the largest
    coordinate along each axis, and of every point, whose axes are compared in their units. Velocities
    are no better known than the force, and that is no better known than the position: v moves by ε|q|/h
    where forces cancel, as in a body at rest.

    - `units`: of the coordinates, shape `(points, space)`.
    """

    units: Float[Array, "points space"]

    def __call__(self, y, h):
        q, v = (self._of(x) for x in y)
        return RESOLVED * q, jnp.maximum(RESOLVED * v, FIRST * q / jnp.asarray(h, q.dtype))

    def _of(self, x):
        along_axis = jnp.max(x, axis=0, keepdims=True)
        of_point = jnp.max(self.units * x, axis=1, keepdims=True) / self.units
        return jnp.finfo(x.dtype).eps * jnp.maximum(along_axis, of_point)


def _leafwise(y, h):
    del h
    return jax.tree.map(
        lambda x: (
            ROUNDINGS
            * jnp.finfo(x.dtype).eps
            * (jnp.max(x, axis=0, keepdims=True) if x.ndim else x)
        ),
        y,
    )


def _largest(x):
    return jnp.max(jnp.abs(x)) if x.size else jnp.zeros((), x.dtype)
