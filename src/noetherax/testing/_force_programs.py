"""What the laws of forces need, as functions of one case."""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._balance import balance
from .._drift import charge_along
from .._rollout import rollout
from ..dynamics import at_time, covector, forces_of
from ..forces import Driven, Forced, Inputs
from ..solvers import VariationalMidpoint
from ._functions import in_both_precisions, moves_of, other_precision

STEPS = 12
"""Of the rollout on which the balance is judged."""


def kinetic_energy(q, v):
    """The Lagrangian beside a force that is part of no model."""
    return jnp.sum(v**2) / 2


def as_model(force: Callable) -> Callable:
    """A model as it is, and a force alone beside a kinetic energy."""
    return force if forces_of(force) else Forced(kinetic_energy, force)


@final
class Applied(eqx.Module):
    """A force, or all forces of a model, with the time and the inputs of a case: a function of the
    state whose value is every entry of every force."""

    force: Any
    t: Array
    u: Array

    def __call__(self, q, v):
        parts = [covector(part, q, v) for part in self.parts()]
        return jnp.stack(parts).reshape(-1)

    def parts(self) -> tuple[Callable, ...]:
        """The force, or those of a model, at the instant."""
        model = as_model(self.force)
        return forces_of(at_time(model, self.t, self.u if self.u.size else None))


def force_of(static: Any, dtype: Any, refusals: list[str]) -> Callable:
    """Values and slopes of forces, how slopes change along a direction, and slopes of a sum of random
    weights, in reverse. Takes what `function_of` does; acceleration and time make no difference here.

    All else is forward: there are more entries of forces than of the state.

    Second derivatives are many, and need not exist: one change of the slopes, along a random direction
    of the state's size, has to tell how they are rounded.
    """
    other = other_precision(dtype)

    def at(parameters, state, size, direction, a, t):
        applied = eqx.combine(parameters, static)

        def of_state(x):
            return applied(x[0], x[1])

        def expansion(x):
            unit = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
            return jax.vmap(lambda one: jax.jvp(of_state, (x,), (one,)), out_axes=(None, -1))(unit)

        probe = weights_of(state.size).reshape(state.shape)
        probes = jnp.stack([direction, size * probe.astype(size.dtype)])
        (value, slope), (_, change) = jax.vmap(
            lambda probe: jax.jvp(expansion, (state,), (probe,)), out_axes=(None, 0)
        )(probes)
        change = jnp.where(jnp.isfinite(change), change, 0)
        weights = weights_of(len(value)).astype(value.dtype)
        (reverse,) = jax.vjp(of_state, state)[1](weights)
        known = {
            "value": value,
            "slope": slope,
            "bend": jnp.abs(change[1]),
            "along": change[0],
            "reverse": reverse.reshape(-1),
        }
        call = type(applied).__call__
        return known | in_both_precisions(call, applied, tuple(state), other, refusals)

    return at


def weights_of(entries: int) -> Array:
    """Of the sum of all entries whose slope is taken in reverse. Their program holds no numbers, which
    would be taken for those of the force."""
    return jnp.cos(jnp.square(jnp.arange(entries)))


def values_of(static: Any) -> Callable:
    """Values of forces alone, of parameters and state."""
    return lambda parameters, state: eqx.combine(parameters, static)(state[0], state[1])


def covector_moves_of(group: Any) -> Callable:
    """What a group does to a state, and the derivative of a finite element on q, by which it carries
    displacements along."""
    moves = moves_of(group)

    def at(coefficients, direction, q, v, t):
        known = moves(coefficients, direction, q, v, t)
        if group.dimension:
            carried = jax.jacfwd(lambda q: group.act(coefficients, q, v, t)[0])(q)
        else:
            carried = jnp.eye(q.size, dtype=q.dtype).reshape(q.shape + q.shape)
        return known | {"carried": carried}

    return at


def balance_of(static: Any, group: Any) -> Callable:
    """The charges of a group along a short motion with forces: what is left of them when the part of
    the forces is taken off, their change, and the size of what they are sums of. Inputs change on the
    way.
    """

    def at(parameters, state, t, step):
        applied = eqx.combine(parameters, static)
        model = as_model(applied.force)
        ts = t + step * jnp.arange(STEPS + 1, dtype=state.dtype)
        if applied.u.size:
            ends = jnp.stack([applied.u, -applied.u])
            model = Driven(model, Inputs(ts[jnp.array([0, -1])], ends, kind="linear"))
        solver = VariationalMidpoint()
        trajectory = rollout(model, state[0], state[1], ts=ts, solver=solver, throw=False)
        assert trajectory.p is not None  # a variational solver carries momenta
        charge = group.noether_charge(model)
        values = charge_along(charge, trajectory)
        fields = jax.vmap(group.generators)(trajectory.q, ts)
        parts = jnp.einsum("napi,npi->na", jnp.abs(fields), jnp.abs(trajectory.p))
        return {
            "left": balance(charge, trajectory),
            "change": values - values[0],
            "parts": jnp.max(parts, axis=0),
        }

    return at
