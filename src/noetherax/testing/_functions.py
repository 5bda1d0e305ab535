"""What the laws of groups and of functions of the state need, as functions of one case.

A `Program` evaluates them for all cases of a batch.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..charges import lift


def moves_of(group: Any) -> Callable:
    """What a group does to a state: generators and their slopes, the lift, and a finite element.

    Takes what `group_of` does; the direction makes no difference here.
    """

    def at(coefficients, direction, q, v, t):
        known = _infinitesimal(group, q, v, t)
        moved = group.act(coefficients, q, v, t) if group.dimension else (q, v)
        return known | {"moved": jnp.stack(moved)}

    return at


def group_of(group: Any, dtype: Any, refusals: list[str]) -> Callable:
    """All that the laws of a group need: as above, the rate at which an element moves the state along
    `direction` in its coordinates, and what it does in the other precision."""
    other = other_precision(dtype)

    def at(coefficients, direction, q, v, t):
        known = _infinitesimal(group, q, v, t)
        moved, rate = jax.jvp(
            lambda c: jnp.stack(group.act(c, q, v, t)), (coefficients,), (direction,)
        )
        known |= {"moved": moved, "rate": rate}
        state = coefficients, q, v, t

        def moved_by(group, *x):
            return jnp.stack(group.act(*x))

        return known | in_both_precisions(moved_by, group, state, other, refusals)

    return at


def _infinitesimal(group, q, v, t):
    """The lifted generators `(generators, 2, points, space)`, their slopes in q, and the brackets of
    any two of them on q."""
    of_q, of_v = lift(group.generators, q, v, t)
    slopes = jax.jacfwd(group.generators)(q, t)  # (generators, points, space, points, space)
    along = jnp.einsum("apsij,bij->abps", slopes, of_q)
    return {
        "fields": jnp.stack([of_q, of_v], axis=1),
        "slopes": slopes,
        "brackets": jnp.swapaxes(along, 0, 1) - along,
    }


def function_of(static: Any, dtype: Any, refusals: list[str]) -> Callable:
    """All that the laws of a function of the state need.

    Values, slopes, and second derivatives: multiplied by the size of the state without regard to sign,
    and along a direction. Takes what `lagrangian_of` does; acceleration and time make no difference
    here.
    """
    other = other_precision(dtype)

    def at(parameters, state, size, direction, a, t):
        function = eqx.combine(parameters, static)

        def of_state(x):
            return flat_values(function, x[0], x[1])

        known = summary(*expansion(of_state, state), size, direction)
        # Forward, so that tangents pass through the function: a cast to float32 shows in them.
        known["forward"] = jax.jvp(of_state, (state,), (direction,))[1]
        return known | in_both_precisions(flat_values, function, tuple(state), other, refusals)

    return at


def summary(value, slope, second, size, direction):
    """An expansion as the laws need it: second derivatives are many, so only products stay of them."""
    count = len(value)
    second = second.reshape(count, size.size, size.size)
    return {
        "value": value,
        "slope": slope.reshape(count, size.size),
        "bend": jnp.abs(second) @ size.ravel(),
        "along": second @ direction.ravel(),
        "finite": jnp.all(jnp.isfinite(second), axis=(1, 2)),
    }


def expansion(function: Callable, x):
    """Value, first and second derivatives of a vector-valued function, from one trace of it.

    The first are taken in reverse, as momenta are, so that a custom rule of either kind is asked.
    """

    def slopes(x):
        value, pull_back = jax.vjp(function, x)
        unit = jnp.eye(len(value), dtype=value.dtype)
        slope = jax.vmap(lambda weights: pull_back(weights)[0])(unit)
        return slope, (value, slope)

    second, (value, slope) = jax.jacfwd(slopes, has_aux=True)(x)
    return value, slope, second


def flat_values(function, q, v):
    """The values of a function as a vector of floating-point numbers."""
    value = jnp.ravel(jnp.asarray(function(q, v)))
    return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(q.dtype)


def other_precision(dtype: Any):
    """Single for double precision and double for single; none where JAX has no double."""
    single = np.dtype(dtype) == np.float32
    if single and not jax.config.read("jax_enable_x64"):
        return None
    return np.dtype(np.float64 if single else np.float32)


def in_both_precisions(
    call: Callable, model: Any, state: tuple, other, refusals: list[str]
) -> dict:
    """The value in single and in double precision at a state that both can hold."""
    if other is None:
        refusals.append("JAX is in 32-bit mode")
        return {}
    single = [x.astype(jnp.float32) for x in state]
    try:
        low, high = (
            call(_cast(model, dtype), *(x.astype(dtype) for x in single))
            for dtype in (jnp.float32, jnp.float64)
        )
    except (TypeError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        refusals.append(f"it does not take {other.name} ({type(error).__name__}: {first})")
        return {}
    return {"single": low.astype(jnp.float64), "double": high}


def _cast(model: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, model)
