"""The exponential where A³ = d A: one turn, one boost, a shear, or a factor on one axis.

With f(d) an entire function,

    exp(A) = 1 + S A + C A²,    φ(A) = (exp(A) − 1)/A = 1 + C A + T A²

with S = sinh √d/√d, C = (cosh √d − 1)/d, T = (S − 1)/d. The angle √−d of a turn goes to sine and cosine
as it is, however large. Rotations of the plane and of three axes, boosts, SL(2), SU(2), and everything
that leaves one of these alone are of this kind.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._powers import exponent_of, scaled, split_exponential

NEAR = 1.0
"""Up to this |d| the functions of d come from their series, else from sine, cosine, exponential."""

TERMS = 17
"""Factorials up to this one: 1/18! is below the rounding of float64."""

EXACT = 1e-13
"""Generators satisfy A³ = d A if they do to the rounding of a product of three float64 matrices."""


def quadratic_form(linear: np.ndarray) -> np.ndarray | None:
    """D with A³ = d A, d = Σ D_ab c_a c_b, for every A = Σ c_a A_a; `None` if there is none."""
    count, dim = linear.shape[:2]
    mixtures = np.random.default_rng(8).normal(size=(4, count))
    if not count:
        return np.zeros((0, 0))
    samples = np.tensordot(mixtures, linear, axes=1)
    squares = samples @ samples
    size = np.linalg.norm(samples, axis=(1, 2))
    # As many pairs ±√d of eigenvalues as the traces of A² and A⁴ say, and zeros.
    first, second, fourth = (
        np.trace(x, axis1=1, axis2=2) for x in (samples, squares, squares @ squares)
    )
    nilpotent = np.abs(second[0]) <= EXACT * dim * size[0] ** 2
    pairs = 1.0 if nilpotent else max(1.0, np.round(second[0] ** 2 / fourth[0] / 2))
    form = np.einsum("aij,bji->ab", linear, linear) / (2 * pairs)
    if nilpotent:
        form = np.zeros_like(form)
    near = np.round(12 * form) / 12  # exact where it is meant to be
    form = np.where(np.abs(form - near) <= EXACT * np.abs(form).max(), near, form)
    known = np.einsum("sa,ab,sb->s", mixtures, form, mixtures)[:, None, None] * samples
    error = np.linalg.norm(squares @ samples - known, axis=(1, 2))
    paired = np.abs(first) <= EXACT * dim * size
    return form if np.all(paired & (error <= EXACT * dim * size**3)) else None


class _Functions(NamedTuple):
    """exp(A) = 2ᵉ (one + 2ᵏ S Â + 4ᵏ C Â²), φ(A) = 2ᵉ (one + 2ᵏ first Â + 4ᵏ second Â²)."""

    one: Float[Array, ""]
    sine: Float[Array, ""]
    cosine: Float[Array, ""]
    first: Float[Array, ""]
    second: Float[Array, ""]
    power: Array
    exponent: Array


def closed_exponential(weights, linear, shift, form):
    """M, φ b and e with exp(A) = 2ᵉ M and φ(A) b = 2ᵉ (φ b), for A = Σ_a w_a A_a."""
    power = exponent_of(weights)
    weights = scaled(weights, -power)
    matrix = jnp.einsum("a,aij->ij", weights, linear)
    square = matrix @ matrix
    f = _functions(weights @ jnp.asarray(form, weights.dtype) @ weights, power)
    identity = jnp.eye(len(shift), dtype=matrix.dtype)
    moved = matrix @ shift, square @ shift
    exponential = (
        f.one * identity + scaled(f.sine * matrix, f.power) + scaled(f.cosine * square, 2 * f.power)
    )
    along = (
        f.one * shift
        + scaled(f.first * moved[0], f.power)
        + scaled(f.second * moved[1], 2 * f.power)
    )
    return exponential, along, f.exponent


def _functions(form, power) -> _Functions:
    """Functions of d = 4ᵏ `form`, with k = `power`."""
    full = scaled(form, 2 * power)
    near, turning = jnp.abs(full) < NEAR, form < 0
    # Each branch sees numbers at which it is smooth, also where it is not chosen.
    series = _series(jnp.where(near, full, 0))
    root = jnp.sqrt(jnp.where(near, 1, jnp.abs(form)))
    angle = jnp.where(near, 1, scaled(root, power))
    turn, boost = jnp.where(turning, angle, 1), jnp.where(turning, 1, angle)

    one, sine, bend = jnp.ones_like(turn), jnp.sin(turn), 2 * jnp.square(jnp.sin(turn / 2))
    circular = _closed(one, sine, bend, one - sine / turn, root, power)

    grown, exponent = split_exponential(boost)
    one = scaled(one, -exponent)
    sine, bend = (grown - one * one / grown) / 2, (grown + one * one / grown) / 2 - one
    hyperbolic = _closed(one, sine, bend, sine / boost - one, root, power)

    def choose(close, turned, boosted):
        return jnp.where(near, close, jnp.where(turning, turned, boosted))

    one, sine, cosine, first, second = (
        choose(*each) for each in zip(series, circular, hyperbolic, strict=True)
    )
    power = jnp.where(near, power, 0)
    exponent = jnp.where(near | turning, 0, exponent)
    return _Functions(one, sine, cosine, first, second, power, exponent)


def _closed(one, sine, bend, rest, root, power):
    """Coefficients of Â and Â² for |d| = 4ᵏ root²; `bend` is |cosh √d − 1| and so on."""
    cosine = bend / jnp.square(root)
    return one, sine / root, cosine, scaled(cosine, -power), rest / jnp.square(root)


def _series(d):
    sine, cosine, second = (_polynomial(d, 2, k) for k in (1, 2, 3))
    return jnp.ones_like(d), sine, cosine, cosine, second


def _polynomial(x, step: int, first: int):
    """Σ_n xⁿ/(n·step + first)! for |x| ≤ 1."""
    total = jnp.zeros_like(x)
    for n in reversed(range(TERMS // step + 1)):
        total = total * x + 1 / math.factorial(step * n + first)
    return total


def scalar_exponential(weights, linear, shift):
    """As `closed_exponential`, on a single axis."""
    rate = jnp.einsum("a,aij->ij", weights, linear)
    near = jnp.abs(rate) < NEAR
    grown, exponent = split_exponential(rate)
    one = scaled(jnp.ones_like(rate), -exponent)
    far = (grown - one) / jnp.where(near, 1, rate)
    first = jnp.where(near, _polynomial(jnp.where(near, rate, 0), 1, 1), far)
    return grown, first[0] * shift, exponent[0, 0]
