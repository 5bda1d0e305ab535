"""How well a trajectory keeps what should be conserved."""

import warnings
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._precision import PRECISION
from ._programs import run
from ._trajectory import Trajectory
from ._types import FloatArray
from .charges import Energy, MomentumMap
from .dynamics import at_time, momentum

ZERO = 100.0
"""Roundings of what a charge is made of, below which it counts as zero at the start."""

AT_A_TIME = 1024
"""Times at which momenta are compared together."""

ALIKE = 16.0
"""Roundings within which a momentum is that of a Lagrangian. For its own, evaluated anew, they were at
most two, and nine for a network in float32."""

SMALL = 0.01
"""A change that the norm of all charges must not hide, and the part of it below which the norm does."""


def drift(
    charge: Callable,
    trajectory: Trajectory,
    *,
    scale: float | Float[FloatArray, "*charges"] | None = None,
    per_charge: bool = False,
) -> Float[Array, "times *charges"]:
    """Relative change of a conserved quantity along a trajectory,

        ‖I(t) − I(0)‖₂ / ‖I(0)‖₂    (Müller 2023, Eq. 35),

    or with `per_charge=True` of each component, |I_a(t) − I_a(0)| / |I_a(0)|.

    The norm is that of all charges together: beside a momentum of 10⁴ it hides what becomes of an
    angular momentum of one. Take `per_charge` where charges differ in unit or in size. A warning says
    so, except under `jax.jit`, where a change above 1 % of one charge is a hundred times smaller in the
    norm.

    With `per_charge`, a charge that is zero at the start, to a hundred roundings, is measured by
    the size of the terms that it adds up, in the median over the trajectory: Σ_i |p_i| |ξ_a(q_i)|
    over the points for `group.noether_charge(lagrangian)`, Σ |v p| + |L| for an
    [`noetherax.Energy`][]. Of other charges the terms are not known, and they need `scale`; so does
    a norm that is zero at the start.

    Entries that Diffrax has not used, after an event or with `SaveAt(steps=True)`, repeat the drift at
    the last time that was saved. After a failure they are not finite.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.5]])
        path = nx.rollout(spring, q0, v0, ts=jnp.linspace(0.0, 6.0, 61), solver=nx.RK4())
        group = nx.Translations(2) * nx.Rotations(2)  # the spring has the second alone
        found = nx.drift(group.noether_charge(spring), path, per_charge=True)
        assert found.shape == (61, 3)  # times; two momenta and the angular momentum
        assert jnp.max(found[:, 2]) < 1e-4
        assert jnp.max(found[:, :2]) > 0.5
        ```

    **Arguments:**

    - `charge`: a [`noetherax.NoetherCharge`][] or any function `(q, v, t) -> array`.
    - `trajectory`: from [`noetherax.rollout`][]. Momenta that a solver carried are used if they are
        those of the Lagrangian of `charge`, to rounding; else, for instance for the true charge along
        the motion of a model, its own are computed from (q, v).
    - `scale`: what to divide by instead, for a charge that vanishes at the start: a number, or with
        `per_charge` one for each charge.
    - `per_charge`: whether to measure each charge on its own.

    **Returns:**

    The drift at each time, shape `(times,)`, or `(times, charges)`.

    **Raises:**

    `RuntimeError` (through `equinox.error_if`) if there is nothing to divide by: the norm, or a
    charge whose terms are not known, is zero at the start, and there is no `scale`. `ValueError` if
    there are no charges, or `scale` has another shape.
    """
    trajectory = _compiled(without_padding, trajectory)
    values = _compiled(charge_along, charge, trajectory)
    values = values.reshape(len(values), -1)
    count = values.shape[1]
    if not count:
        raise ValueError("There is no charge to measure: the group has no generators.")
    allowed = ((), (count,)) if per_charge else ((),)
    if scale is not None and jnp.shape(scale) not in allowed:
        raise ValueError(
            f"scale must be a number{f', or {count} of them, one per charge' * per_charge}, but it "
            f"has shape {jnp.shape(scale)}."
            + " With per_charge=True there is a scale for each charge."
            * (not per_charge)
        )
    change, start = _compiled(_sizes, values, per_charge)
    if not isinstance(values, Tracer):
        largest = np.max(np.abs(values), axis=0 if per_charge else None)
        warn_of_small(np.atleast_1d(largest), values.dtype)
    if scale is not None:
        start = jnp.broadcast_to(jnp.asarray(scale, values.dtype), start.shape)
        start = eqx.error_if(start, ~(start > 0), "scale must be positive.")
        return change / start
    if per_charge:
        parts = _compiled(parts_along, charge, trajectory)
        if parts is not None:
            size = jnp.nanmedian(parts, axis=0)
            zero = start <= ZERO * jnp.finfo(values.dtype).eps * size
            # Of what is made of nothing, nothing changes.
            start = jnp.where(zero, jnp.where(size > 0, size, 1), start)
    start = eqx.error_if(
        start,
        start == 0,
        "The charge is zero at the start, so its relative drift is undefined. Pass scale=, for "
        "example the size of one particle's share.",
    )
    if not per_charge:
        _warn_of_hidden(values, change / start)
    return change / start


def _compiled(function: Callable, *arguments: Any) -> Any:
    """By one program, unless it is part of another one: operation by operation, a charge of a group or
    Lagrangian of a user's own would compile a hundred."""
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves(arguments))
    return function(*arguments) if traced else run(function, *arguments)


def _sizes(values, per_charge: bool):
    """Of the changes since the start, and of the values there."""
    size = jnp.abs if per_charge else _norm
    return size(values - values[0]), size(values[0])


def _norm(x):
    """‖x‖₂ over the last axis, with derivative zero where it vanishes, as it does at the first time."""
    size = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    unit = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))  # squares must not overflow
    square = jnp.sum(jnp.square(x / unit), axis=-1)
    zero = square == 0
    root = jnp.sqrt(jnp.where(zero, 1, square))
    return jnp.where(zero, 0, root) * unit[..., 0]


def without_padding(trajectory: Trajectory) -> Trajectory:
    """A trajectory whose unused entries repeat the last one that is used."""
    used = jnp.isfinite(trajectory.ts) | ~diffrax.is_okay(trajectory.result)
    last = jnp.maximum(jnp.sum(used) - 1, 0)
    index = jnp.minimum(jnp.arange(len(used)), last)
    states = trajectory.ts, trajectory.q, trajectory.v, trajectory.p
    ts, q, v, p = jax.tree.map(lambda x: x[index], states)
    return Trajectory(ts, q, v, p, trajectory.stats, trajectory.result)


def warn_of_small(
    sizes: np.ndarray, dtype: Any, what: str = "The charge", stacklevel: int = 3
) -> None:
    """Warns where charges are so small that a precision has no numbers for what rounding leaves of
    them: their changes are shown as nothing."""
    known = sizes[(sizes > 0) & np.isfinite(sizes)]
    least = float(jnp.finfo(dtype).tiny) / float(jnp.finfo(dtype).eps)
    if len(known) and np.min(known) < least:
        warnings.warn(
            f"{what} is {np.min(known):.2g}, and {jnp.dtype(dtype).name} has no numbers for changes of "
            f"it that are smaller than {float(jnp.finfo(dtype).tiny):.2g}: they count as none. Use "
            "float64, or units in which it is nearer to one.",
            stacklevel=stacklevel,
        )


def _warn_of_hidden(values, whole) -> None:
    """Warns if a charge changes by more than the norm of all of them shows."""
    if isinstance(values, Tracer) or values.shape[1] == 1:
        return
    rounding = np.finfo(values.dtype).eps
    values, whole = np.asarray(values, float), np.max(np.asarray(whole))
    start = np.abs(values[0])
    # Below, what changes is rounding.
    known = start > np.sqrt(rounding) * np.linalg.norm(start)
    own = np.max(np.abs(values - values[0]), axis=0) / np.where(known, start, np.inf)
    worst = int(np.argmax(own))
    if own[worst] > SMALL and whole < SMALL * own[worst]:
        warnings.warn(
            f"Charge {worst} changes by {own[worst]:.2g} of its size, which the norm of all charges, "
            f"with a drift of {whole:.2g}, hides. Measure each: nx.drift(..., per_charge=True).",
            stacklevel=3,
        )


@singledispatch
def charge_along(charge: Callable, trajectory: Trajectory) -> Float[Array, "times ..."]:
    """A charge at every time of a trajectory, `(times, charges)`."""
    return jax.vmap(charge)(trajectory.q, trajectory.v, trajectory.ts)


@charge_along.register
def _(charge: MomentumMap, trajectory: Trajectory):
    p = _momenta(charge.lagrangian, trajectory)
    return jax.vmap(charge.at_momentum)(trajectory.q, p, trajectory.ts)


@singledispatch
def parts_along(charge: Callable, trajectory: Trajectory) -> Float[Array, "times charges"] | None:
    """The sizes of the terms that a charge adds up, at every time, or `None` if they are not known."""
    return None


@parts_along.register
def _(charge: MomentumMap, trajectory: Trajectory):
    p = _norm(_momenta(charge.lagrangian, trajectory))

    def parts(q, p, t):
        sizes = _norm(charge.generators(q, t)) @ p
        return sizes if charge.boundary is None else sizes + jnp.abs(charge.boundary(q, t))

    return jax.vmap(parts)(trajectory.q, p, trajectory.ts)


@parts_along.register
def _(charge: Energy, trajectory: Trajectory):
    def parts(q, v, t):
        lagrangian = at_time(charge.lagrangian, t)
        p = momentum(lagrangian, q, v)
        return (jnp.sum(jnp.abs(v * p)) + jnp.abs(lagrangian(q, v)))[None]

    with jax.default_matmul_precision(PRECISION):
        return jax.vmap(parts)(trajectory.q, trajectory.v, trajectory.ts)


def _momenta(lagrangian: Callable, trajectory: Trajectory):
    """∂L/∂v along a trajectory. Those that a solver carried are more exact where they are the same to
    rounding; and whose they are their values tell best: functions, copies and compiled programs have no
    other identity that lasts."""
    q, v, p, ts = trajectory.q, trajectory.v, trajectory.p, trajectory.ts

    def computed():
        return jax.vmap(lambda q, v, t: momentum(lagrangian, q, v, t))(q, v, ts)

    def alike(state):
        q, v, p, t = state
        mass = jax.jacfwd(lambda v: momentum(lagrangian, q, v, t))(v)
        terms = jnp.abs(p) + jnp.einsum("ijkl,kl->ij", jnp.abs(mass), jnp.abs(v))
        rounding = jnp.finfo(p.dtype).eps * terms
        error = jnp.abs(p - momentum(lagrangian, q, v, t))
        return jnp.all((error <= ALIKE * rounding) | ~jnp.isfinite(p))

    with jax.default_matmul_precision(PRECISION):
        if p is None:
            return computed()
        # Some at a time, since each takes a matrix.
        own = jnp.all(jax.lax.map(alike, (q, v, p, ts), batch_size=AT_A_TIME))
        return jax.lax.cond(own, lambda: p, computed)


__all__ = ["charge_along", "drift", "parts_along"]
