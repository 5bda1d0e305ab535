"""What the laws of Lagrangians and of charges need, as functions of one case."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..charges import Energy
from ..dynamics import (
    at_time,
    constant_inertia,
    equilibrate,
    euler_lagrange_residual,
    euler_lagrange_terms,
    has_rule,
    lagrangian_gradient,
    solve_motion,
    solve_terms,
)
from ._explicit_time import explicit_change
from ._functions import expansion, flat_values, in_both_precisions, other_precision, summary


def lagrangian_of(static: Any, group: Any, dtype: Any, refusals: list[str]) -> Callable:
    """As for any function of the state, and the equations of motion by the type's own rules, with the
    rates of the charges along a motion that accelerates by `a`. The energy is the last of them."""
    other = other_precision(dtype)

    def at(parameters, state, size, direction, a, t):
        lagrangian = eqx.combine(parameters, static)
        now = at_time(lagrangian, t)

        def of_state(x):
            return flat_values(now, x[0], x[1])

        value, slope, second = expansion(of_state, state)
        known = summary(value, slope, second, size, direction)
        known["forward"] = jax.jvp(of_state, (state,), (direction,))[1]
        in_time = explicit_change(lagrangian, state, t)
        # A type's own rules take batches, and must not mix states: beside another one they are asked.
        pair = jnp.stack([state, state + direction])
        known |= _equations(now, state, second, in_time["transport"], pair) | in_time
        of_pair = jnp.stack([a, a])
        known["residual"] = euler_lagrange_residual(now, pair[:, 0], pair[:, 1], of_pair)[0]
        known |= _by_rules(now, state[0], state[1])
        charges = [Energy(lagrangian)]
        if group.dimension:
            charges.insert(0, group.noether_charge(lagrangian))

        def all_charges(q, v, t):
            return jnp.concatenate([charge(q, v, t) for charge in charges])

        motion = state[1], a, jnp.ones_like(t)
        known["charges"], rates = jax.jvp(all_charges, (*state, t), motion)
        # Time takes −∂L/∂t from the energy; the laws judge what is left.
        known["rates"] = rates.at[-1].add(in_time["explicit"])

        def value_at(lagrangian, q, v, t):
            return flat_values(at_time(lagrangian, t), q, v)

        instant = *state, t
        return known | in_both_precisions(value_at, lagrangian, instant, other, refusals)

    return at


def charge_of(static: Any) -> Callable:
    """Charges and their slopes in q, v and t, and the equations of motion of their Lagrangian."""

    def at(parameters, state, t):
        charge, lagrangian = eqx.combine(parameters, static)
        now = at_time(lagrangian, t)
        _, slope, second = expansion(lambda x: flat_values(now, x[0], x[1]), state)
        transport = explicit_change(lagrangian, state, t)["transport"]
        equations = _equations(now, state, second, transport) | {"slope": slope.reshape(1, -1)}

        def of_time(x, t):
            return jnp.ravel(charge(x[0], x[1], t))

        value = of_time(state, t)
        slopes, explicit = jax.jacrev(of_time, argnums=(0, 1))(state, t)
        return equations | {"charges": value, "slopes": slopes, "explicit": explicit}

    return at


def _by_rules(lagrangian, q, v):
    """What the type's rules say beside its equations: slopes, masses and accelerations, if it has such
    rules. Those of its equations are taken everywhere."""
    known, kind = {}, type(lagrangian)
    if has_rule(lagrangian_gradient, kind):
        slopes = lagrangian_gradient(lagrangian, q, v)
        known["own_slope"] = jnp.concatenate([x.reshape(-1) for x in slopes])
    masses = constant_inertia(lagrangian, q) if has_rule(constant_inertia, kind) else None
    if masses is not None:
        known["own_masses"] = jnp.broadcast_to(jnp.asarray(masses, q.dtype), q.shape).reshape(-1)
    if has_rule(solve_motion, kind):
        known["own_acceleration"] = solve_motion(lagrangian, q, v, solve_terms)[0].reshape(-1)
    return known


def _equations(lagrangian, state, second, transport, pair=None):
    """`transport` is ∂²L/∂v∂t, `pair` a batch of this state and another."""
    pair = state[None] if pair is None else pair
    own = jax.tree.map(lambda x: x[0], euler_lagrange_terms(lagrangian, pair[:, 0], pair[:, 1]))
    size = state[0].size
    hessian = second.reshape(2, size, 2, size)
    q, v = state.reshape(2, size)
    return {
        "mass_matrix": own.mass_matrix,
        "force": own.force,
        "hessian": hessian,
        "drag": hessian[1, :, 0] @ v + transport,
        # What ∂L/∂q and (∂²L/∂v∂q) v are sums of, as far as second derivatives tell.
        "drag_size": jnp.abs(hessian[1, :, 0]) @ jnp.abs(v)
        + jnp.abs(transport)
        + jnp.abs(hessian[0, :, 0]) @ jnp.abs(q)
        + jnp.abs(hessian[0, :, 1]) @ jnp.abs(v),
    }


def solve(known: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The accelerations of all cases, |M⁻¹| of each, and where M = ∂²L/∂v² is regular."""
    mass, force = known["mass_matrix"].astype(float), known["force"].astype(float)
    finite = np.all(np.isfinite(mass), axis=(1, 2)) & np.all(np.isfinite(force), axis=1)
    mass = np.where(finite[:, None, None], mass, 0)
    unit = np.asarray(equilibrate(jnp.asarray(mass))[1], float)
    balanced = mass / unit[:, :, None] / unit[:, None, :]
    values = np.linalg.svd(balanced, compute_uv=False)
    epsilon = np.finfo(known["mass_matrix"].dtype).eps
    regular = finite & (values[:, -1] > mass.shape[-1] * epsilon * values[:, 0])
    safe = np.where(regular[:, None, None], balanced, np.eye(mass.shape[-1]))
    inverse = np.linalg.inv(safe) / unit[:, :, None] / unit[:, None, :]
    scaled = np.linalg.solve(safe, (force / unit)[..., None])[..., 0]
    a = np.where(regular[:, None], scaled / unit, 0)
    return a, np.abs(inverse), regular
