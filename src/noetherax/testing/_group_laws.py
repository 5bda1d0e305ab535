"""Laws of a symmetry group: its finite action, its generators, and their brackets fit together."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..charges import lift
from ._evidence import ROUNDING, require

PROBES = 4
"""States at which brackets are compared, per generator."""


def identity_law(group, q, v, coefficients) -> None:
    """act(0) is the identity."""
    if not group.dimension:
        return
    moved = _act(group, np.zeros_like(coefficients), q, v)
    error = np.stack(moved) - np.stack([q, v])
    scale = 1.0 + np.abs(np.stack([q, v])).max()
    require("act(0) is the identity", error, scale, ROUNDING, state=(q, v), precision=q.dtype)


def subgroup_law(group, q, v, coefficients) -> None:
    """act(c) twice is act(2c): coefficients are exponential coordinates."""
    if not group.dimension:
        return
    twice = np.stack(_act(group, coefficients, *_act(group, coefficients, q, v)))
    once = np.stack(_act(group, 2 * coefficients, q, v))
    scale = 1.0 + np.abs(once).max() + np.abs(_act(group, coefficients, q, v)).max()
    require(
        "act(c) ∘ act(c) = act(2c)",
        twice - once,
        scale,
        ROUNDING,
        state=(q, v),
        precision=q.dtype,
        coefficients=coefficients,
    )


def derivative_law(group, q, v, coefficients) -> None:
    """The derivative of act at the identity is the generator on q, and its lift on v."""
    if not group.dimension:
        return
    slope = _act_slope(group, np.zeros_like(coefficients), q, v)
    field = _lift(group.generators, q, v)
    for name, of_act, of_field in zip(("q", "v"), slope, field, strict=True):
        of_act = np.moveaxis(np.asarray(of_act), -1, 0)
        of_field = np.asarray(of_field)
        require(
            f"the derivative of act at the identity is the generator, on {name}",
            of_act - of_field,
            1.0 + np.abs(of_field).max(initial=0.0),
            ROUNDING,
            state=(q, v),
            precision=q.dtype,
            index=("generator", "point", "axis"),
            fields=field[0],
        )


def bracket_law(group, q, v, coefficients) -> None:
    """Brackets of generators are combinations of generators, with the same constants everywhere."""
    count = group.dimension
    if count < 2:
        return
    probes = np.random.default_rng(0).normal(size=(PROBES * count, *q.shape)).astype(q.dtype)
    probes[0] = q
    fields = np.moveaxis(np.asarray(_fields(group, probes)), 1, 0).reshape(count, -1)
    brackets = np.moveaxis(np.asarray(_brackets(group, probes)), 0, 2).reshape(count, count, -1)
    flat = brackets.reshape(count * count, -1)
    constants, *_ = np.linalg.lstsq(fields.T, flat.T, rcond=None)
    error = (flat.T - fields.T @ constants).T.reshape(brackets.shape)
    require(
        "brackets of generators are combinations of generators",
        np.abs(error).max(axis=-1),
        1.0 + np.abs(fields).max() ** 2,
        ROUNDING,
        state=(q, v),
        precision=q.dtype,
        index=("generator", "generator"),
        fields=np.asarray(_fields(group, q[None]))[0],
    )


GROUP_LAWS = (identity_law, subgroup_law, derivative_law, bracket_law)


@eqx.filter_jit
def _act(group, coefficients, q, v):
    return group.act(coefficients, q, v)


@eqx.filter_jit
def _act_slope(group, coefficients, q, v):
    return jax.jacfwd(group.act)(coefficients, jnp.asarray(q), jnp.asarray(v))


@eqx.filter_jit
def _lift(generators, q, v):
    return lift(generators, q, v)


@eqx.filter_jit
def _fields(group, probes):
    return jax.vmap(group.generators)(probes)


@eqx.filter_jit
def _brackets(group, probes):
    """[ξ_a, ξ_b] = (∂ξ_b/∂q) ξ_a − (∂ξ_a/∂q) ξ_b at every probe, `(probes, a, b, points, space)`."""

    def at(q):
        fields = group.generators(q)
        along = jax.vmap(lambda field: jax.jvp(group.generators, (q,), (field,))[1])(fields)
        return along - jnp.swapaxes(along, 0, 1)

    return jax.vmap(at)(probes)
