"""Activations with their first two derivatives, elementwise: what most of a training step computes.

Automatic differentiation evaluates exponentials anew for every derivative. One exponential gives all
of softplus, tanh and the sigmoid, and the derivatives are polynomials in the values: softplus' slope is
the sigmoid s, s' = s (1 − s), and tanh' = 1 − tanh². The third derivative, which gradients with respect
to weights need, follows by the same rules, so that each function is its own rule.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array


def activate(activation: Callable, z: Array) -> tuple[Array, Array, Array]:
    """σ(z), σ'(z) and σ''(z), elementwise, for any smooth σ; fast for those listed in `RULES`."""
    for candidate, rule, _ in RULES:
        if activation is candidate:
            return rule(z)
    return _differentiated(activation, z)


def recall(
    activation: Callable, z: Array, known_z: Array, known: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """As `activate`, where z and what follows from it are known: to be differentiated, and not to be
    computed again."""
    for candidate, _, third in RULES:
        if activation is candidate and third is not None:
            return _recalled(third, z, known)
    return activate(activation, replaced(z, known_z))


@jax.custom_jvp
def replaced(computed: Array, known: Array) -> Array:
    """The `known` value with the derivative of the expression that has it. What only the value of the
    expression needs is then never computed."""
    return known


@replaced.defjvp
def _(primals, tangents):
    return primals[1], tangents[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _recalled(third, z, known):
    return known


@_recalled.defjvp
def _(third, primals, tangents):
    (_, known), (tangent, _) = primals, tangents
    return known, _rates(third, known, tangent)


def _rates(third, values, tangent):
    """Of (σ, σ', σ'')."""
    _, slope, curvature = values
    return tuple(rate * tangent for rate in (slope, curvature, third(*values)))


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
            values = rule(*primals)
            return values, _rates(third, values, *tangents)

        return rule

    return decorate


def _third_of_softplus(value, slope, curvature):
    return curvature * (1 - 2 * slope)


def _third_of_tanh(value, slope, curvature):
    return -2 * slope * (1 - 3 * value * value)


def _third_of_sigmoid(value, slope, curvature):
    return slope * (1 - 6 * slope)


@_with_third_derivative(_third_of_softplus)
def _softplus(z):
    e = jnp.exp(-jnp.abs(z))
    part = 1 / (1 + e)  # the sigmoid of |z|
    slope = jnp.where(z >= 0, part, e * part)
    return jnp.maximum(z, 0) + jnp.log1p(e), slope, e * part * part


@_with_third_derivative(_third_of_tanh)
def _tanh(z):
    value = jnp.tanh(z)
    slope = 1 - value * value
    return value, slope, -2 * value * slope


@_with_third_derivative(_third_of_sigmoid)
def _sigmoid(z):
    value = jax.nn.sigmoid(z)
    slope = value * (1 - value)
    return value, slope, slope * (1 - 2 * value)


def _silu(z):
    """z s(z), by the product rule."""
    value, slope, curvature = _sigmoid(z)
    return z * value, value + z * slope, 2 * slope + z * curvature


RULES: tuple[tuple[Callable, Callable, Callable | None], ...] = (
    (jax.nn.softplus, _softplus, _third_of_softplus),
    (jnp.tanh, _tanh, _third_of_tanh),
    (jax.nn.sigmoid, _sigmoid, _third_of_sigmoid),
    (jax.nn.silu, _silu, None),
)
# Activations, their derivatives, and the third where it follows from these.
