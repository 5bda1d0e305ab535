"""Powers of two, by which numbers are scaled without rounding."""

import math

import jax
import jax.numpy as jnp

LOG_2 = math.log(2.0)
LEADING = round(LOG_2 * 2**11) / 2**11
"""The first digits of it: times an exponent it is exact, also in float32."""

MOST = 1 << 20
"""No finite number is left of any after a factor of 2 to this power."""


def exponent_of(x, least: int = 0):
    """The smallest integer e ≥ `least` with |x| < 2ᵉ for all entries of `x`, without a derivative."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), initial=0.0)
    limits = jnp.finfo(largest.dtype)
    bits = jax.lax.bitcast_convert_type(largest, f"int{limits.bits}")
    exponent = (bits >> limits.nmant).astype(jnp.int32) - (limits.maxexp - 2)
    return jnp.maximum(exponent, least)


def scaled(x, exponent):
    """2ᵉ x for an integer e so large that 2ᵉ itself may overflow: zeros stay zero."""
    # In five steps, each of them finite; whatever needs more of them overflows all the same.
    most = int(jnp.finfo(x.dtype).maxexp) - 8
    exponent = jnp.clip(exponent, -5 * most, 5 * most)
    step = exponent // 5
    small, last = _power(step, x.dtype), _power(exponent - 4 * step, x.dtype)
    return x * small * small * small * small * last


def split_exponential(x):
    """m and e with exp(x) = 2ᵉ m, where m is finite if x is."""
    highest = jnp.finfo(x.dtype).maxexp // 4 * LOG_2
    exponent = jax.lax.stop_gradient(jnp.floor(jnp.minimum(x, MOST) / LOG_2))
    exponent = jnp.where(x > highest, exponent, 0)
    # Beyond MOST the exponential overflows whatever m is.
    rest = x - exponent * LEADING - exponent * (LOG_2 - LEADING)
    mantissa = jnp.exp(jnp.minimum(rest, highest))
    return mantissa, exponent.astype(jnp.int32)


def _power(exponent, dtype):
    """2ᵉ by its bits, since accelerators round powers."""
    limits = jnp.finfo(dtype)
    bits = (exponent + (limits.maxexp - 1)).astype(f"int{limits.bits}") << limits.nmant
    return jax.lax.bitcast_convert_type(bits, dtype)
