"""Programs that are compiled once for a subject and evaluated for whole batches of cases."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..charges import lift

LARGEST_CONSTANT = 16
"""Entries of constant arrays up to which they count as special values: masses, not tables."""

SPECIAL_VALUES = 16
"""Special values that are drawn; those in comparisons come first."""

SPECIAL_RANGE = (1e-9, 1e6)
"""Sizes of special values: others guard a division or an overflow."""

COMPARISONS = ({"eq", "ne"}, {"lt", "le", "gt", "ge", "clamp", "max", "min", "jit", "pjit"})
"""Primitives by how much the constants in them tell of where a function changes its mind. `jit` is what
`jax.numpy.clip` and `where` are."""


OPTIONS: dict[str, str | bool] = {"xla_allow_excess_precision": False}
"""A cast to single precision and back rounds: XLA would leave it out."""


class Program:
    """A function of one case, for all cases of a batch. It is traced once, as a user calls it, and
    lives as long as this object: nothing is kept that could outlive a change of what it was made from.

    **Arguments:**

    - `function`: of one case.
    - `cases`: arguments for all cases, with a leading axis, or `jax.ShapeDtypeStruct`s of their shapes.
    """

    def __init__(self, function: Callable, *cases: Any):
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype)), cases
        )
        try:
            traced = jax.jit(jax.vmap(function)).trace(*shapes)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
            raise AssertionError(
                "derivatives of first and second order exist: violated. The equations of motion take "
                "the second forward, and a function with jax.custom_vjp has none such. Use "
                f"jax.custom_jvp. JAX says: {error}"
            ) from error
        self.special = special_values(traced.jaxpr)
        self._run = traced.lower().compile(compiler_options=OPTIONS)
        self._dtypes = jax.tree.map(lambda x: x.dtype, shapes)

    def __call__(self, *cases: Any) -> Any:
        arrays = jax.tree.map(lambda x, dtype: jnp.asarray(x, dtype), cases, self._dtypes)
        return jax.tree.map(np.asarray, self._run(*arrays))


def special_values(jaxpr: Any) -> tuple[float, ...]:
    """Numbers that stand in a program, those in comparisons first: where it may do something else."""
    found: dict[float, int] = {}

    def visit(closed: Any) -> None:
        inner = getattr(closed, "jaxpr", closed)
        for constant in getattr(closed, "consts", ()):
            note(constant, len(COMPARISONS))
        for equation in inner.eqns:
            name = equation.primitive.name
            rank = next((i for i, names in enumerate(COMPARISONS) if name in names), 2)
            for operand in equation.invars:
                note(getattr(operand, "val", None), rank)
            for part in jax.extend.core.jaxprs_in_params(equation.params):
                visit(part)

    def note(value: Any, rank: int) -> None:
        if value is None or isinstance(value, Tracer) or not hasattr(value, "dtype"):
            return
        if np.size(value) > LARGEST_CONSTANT or np.dtype(value.dtype).kind not in "fiu":
            return
        low, high = SPECIAL_RANGE
        for number in np.abs(np.asarray(value, float).ravel()).tolist():
            if low < number < high:
                found[number] = min(rank, found.get(number, rank))

    visit(jaxpr)
    ordered = sorted(
        found, key=lambda x: (found[x], float(x).is_integer() and x <= 2, len(repr(x)))
    )
    return tuple(ordered[:SPECIAL_VALUES])


def moves_of(group: Any) -> Callable:
    """What a group does to a state: generators and their slopes, the lift, and a finite element."""

    def at(coefficients, q, v, t):
        known = _infinitesimal(group, q, v, t)
        moved = group.act(coefficients, q, v, t) if group.dimension else (q, v)
        return known | {"moved": jnp.stack(moved)}

    return at


def group_of(group: Any, dtype: Any, refusals: list[str]) -> Callable:
    """All that the laws of a group need: as above, the rate at which an element moves the state along
    `direction` in its coordinates, and what it does in the other precision."""
    other = _other_precision(dtype)

    def at(coefficients, direction, q, v, t):
        known = _infinitesimal(group, q, v, t)
        moved, rate = jax.jvp(
            lambda c: jnp.stack(group.act(c, q, v, t)), (coefficients,), (direction,)
        )
        known |= {"moved": moved, "rate": rate}
        state = coefficients, q, v, t
        return known | _in_both(lambda g, *x: jnp.stack(g.act(*x)), group, state, other, refusals)

    return at


def _infinitesimal(group, q, v, t):
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
    and along a direction.
    """
    other = _other_precision(dtype)

    def at(parameters, state, size, direction):
        function = eqx.combine(parameters, static)

        def of_state(x):
            return _values(function, x[0], x[1])

        known = _summary(*expansion(of_state, state), size, direction)
        # Forward, so that tangents pass through the function: a cast to float32 shows in them.
        known["forward"] = jax.jvp(of_state, (state,), (direction,))[1]
        return known | _in_both(_values, function, tuple(state), other, refusals)

    return at


def _summary(value, slope, second, size, direction):
    count = len(value)
    second = second.reshape(count, size.size, size.size)
    return {
        "value": value,
        "slope": slope.reshape(count, -1),
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


def _values(function, q, v):
    value = jnp.ravel(jnp.asarray(function(q, v)))
    return value if jnp.issubdtype(value.dtype, jnp.inexact) else value.astype(q.dtype)


def _other_precision(dtype: Any):
    single = np.dtype(dtype) == np.float32
    if single and not jax.config.read("jax_enable_x64"):
        return None
    return np.dtype(np.float64 if single else np.float32)


def _in_both(call: Callable, model: Any, state: tuple, other, refusals: list[str]) -> dict:
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
