"""Activations with their first two derivatives, elementwise: what most of a training step computes.

Automatic differentiation evaluates exponentials anew for every derivative. One exponential gives all
of softplus, tanh and the sigmoid, and the derivatives are polynomials in the values: softplus' slope is
the sigmoid s, s' = s (1 − s), and tanh' = 1 − tanh². The third derivative, which gradients with respect
to weights need, follows by the same rules, so that each function is its own rule.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array


def activate(activation: Callable, z: Array) -> tuple[Array, Array, Array]:
    """σ(z), σ'(z) and σ''(z), elementwise, for any smooth σ; fast for those listed in `RULES`."""
    for known, rule in RULES:
        if activation is known:
            return rule(z)
    return _differentiated(activation, z)


def of_layer(activation: Callable, index: int) -> Callable:
    """The activation of a hidden layer. One with parameters of its own (an `equinox.Module`) has them
    for every layer and unit, stacked in this order, as `equinox.nn.MLP` holds it."""
    layer = jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, activation)
    if not any(eqx.is_array(leaf) for leaf in jax.tree.leaves(layer)):
        return activation

    def each_unit(z):
        units = z.reshape(-1, z.shape[-1]).T
        values = eqx.filter_vmap(lambda unit, z: jax.vmap(unit)(z))(layer, units)
        return values.T.reshape(z.shape)

    return each_unit


def _differentiated(activation: Callable, z: Array) -> tuple[Array, Array, Array]:
    ones = jnp.ones_like(z)

    def value_and_slope(z):
        return jax.jvp(activation, (z,), (ones,))

    (value, slope), (_, curvature) = jax.jvp(value_and_slope, (z,), (ones,))
    return value, slope, curvature


def _with_third_derivative(third: Callable) -> Callable:
    """Makes a function z → (σ, σ', σ'') differentiable by (σ', σ'', σ''') = (σ', σ'', third(...))."""

    def decorate(function):
        rule = jax.custom_jvp(function)

        @rule.defjvp
        def _(primals, tangents):
            (z,), (tangent,) = primals, tangents
            values = rule(z)
            value, slope, curvature = values
            rates = slope, curvature, third(value, slope, curvature)
            return values, tuple(rate * tangent for rate in rates)

        return rule

    return decorate


@_with_third_derivative(lambda value, slope, curvature: curvature * (1 - 2 * slope))
def _softplus(z):
    e = jnp.exp(-jnp.abs(z))
    part = 1 / (1 + e)  # the sigmoid of |z|
    slope = jnp.where(z >= 0, part, e * part)
    return jnp.maximum(z, 0) + jnp.log1p(e), slope, e * part * part


@_with_third_derivative(lambda value, slope, curvature: -2 * slope * (1 - 3 * value * value))
def _tanh(z):
    value = jnp.tanh(z)
    slope = 1 - value * value
    return value, slope, -2 * value * slope


@_with_third_derivative(lambda value, slope, curvature: slope * (1 - 6 * slope))
def _sigmoid(z):
    value = jax.nn.sigmoid(z)
    slope = value * (1 - value)
    return value, slope, slope * (1 - 2 * value)


def _silu(z):
    """z s(z), by the product rule."""
    value, slope, curvature = _sigmoid(z)
    return z * value, value + z * slope, 2 * slope + z * curvature


RULES = (
    (jax.nn.softplus, _softplus),
    (jnp.tanh, _tanh),
    (jax.nn.sigmoid, _sigmoid),
    (jax.nn.silu, _silu),
)
