"""The exponential of any affine generator, by its series and repeated squaring.

What distinguishes it from `jax.scipy.linalg.expm`: it never overflows before the result does,
nilpotent parts need no squaring and are finite sums, and where the group keeps a bilinear form, such as
lengths, so does the result at every doubling.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._powers import MOST, exponent_of, scaled

SERIES = 16
"""Terms of the series for matrices of norm 1/2: the next is below the rounding of float64."""

LARGEST_FORM = 24
"""Invariant forms are looked for on up to this many axes, since n axes make n² unknowns."""

KEPT = 1e-12
"""A form is invariant if generators of unit size leave it to the rounding of float64."""

FORM_CONDITION = 1e3
"""A form that is worse conditioned would lose more digits than it restores."""

SMALL = 16.0
"""Maps are brought back to the group up to this size; beyond, rounding of the form is amplified."""


class Squaring(NamedTuple):
    """What is known of the generators before their coefficients are.

    `levels` of the axes and of the last homogeneous coordinate: an axis is driven by its own level and
    lower ones only, so that units of the levels make the coupling between them as small as one likes.
    `form` is G with AᵀG + G A = 0 for all generators, and its inverse.
    """

    levels: np.ndarray
    form: tuple[np.ndarray, np.ndarray] | None


def squaring_plan(linear: np.ndarray, shift: np.ndarray) -> Squaring:
    """Levels and form of generators of unit size."""
    dim = linear.shape[1]
    coupled = np.zeros((dim + 1, dim + 1), bool)
    coupled[:dim, :dim] = np.any(linear != 0, axis=0)
    coupled[:dim, dim] = np.any(shift != 0, axis=0)
    levels = _levels(coupled)
    single = len(set(levels[:dim].tolist())) == 1
    return Squaring(levels, _invariant_form(linear) if single and dim <= LARGEST_FORM else None)


def _levels(coupled: np.ndarray) -> np.ndarray:
    """The longest chain of couplings from each coordinate to one outside its own cycle."""
    size = len(coupled)
    reaches = coupled | np.eye(size, dtype=bool)
    for _ in range(size.bit_length()):
        reaches = (reaches.astype(int) @ reaches) > 0
    below = reaches & ~reaches.T
    levels = np.zeros(size, int)
    for _ in range(size):
        levels = np.max(np.where(below, levels[None, :] + 1, 0), axis=1)
    return levels


def _invariant_form(linear: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    dim = linear.shape[1]
    identity = np.eye(dim)
    mixed = np.tensordot(np.random.default_rng(9).normal(size=(2, len(linear))), linear, axes=1)
    mixed = mixed / np.linalg.norm(mixed, axis=(1, 2))[:, None, None]
    equations = [np.kron(x.T, identity) + np.kron(identity, x.T) for x in mixed]
    _, values, right = np.linalg.svd(np.concatenate(equations))
    null = right[values <= KEPT * dim]
    # The form nearest to the identity: a positive one, if the group is compact in these coordinates.
    forms = [(null.T @ (null @ identity.ravel())).reshape(dim, dim)]
    forms += [x.reshape(dim, dim) for x in null[:1]]
    for form in forms:
        if np.linalg.norm(form) < 0.1 or np.linalg.cond(form) > FORM_CONDITION:
            continue
        form = form / np.abs(form).max()
        near = np.round(form)
        form = np.where(np.abs(form - near) <= KEPT * dim, near, form)
        change = np.swapaxes(linear, 1, 2) @ form + form @ linear
        if np.abs(change).max(initial=0.0) <= KEPT * dim:
            return form, np.linalg.inv(form)
    return None


def squared_exponential(weights, linear, shift, plan: Squaring):
    """M, φ b and e with exp(A) = 2ᵉ M and φ(A) b = 2ᵉ (φ b), for A = Σ_a w_a A_a."""
    dim, dtype = len(shift), shift.dtype
    matrix = jnp.zeros((dim + 1, dim + 1), dtype)
    matrix = matrix.at[:dim, :dim].set(jnp.einsum("a,aij->ij", weights, linear))
    matrix = matrix.at[:dim, dim].set(shift)

    steps = (plan.levels[:, None] - plan.levels[None, :]).astype(np.int32)
    unit = exponent_of(jnp.where(steps > 0, matrix, 0)) + 2
    matrix = scaled(matrix, -steps * unit)
    needed = exponent_of(jnp.sum(jnp.abs(matrix), axis=1)) + 1
    # Beyond, not one digit of an angle is known: any will do, and a boost overflows all the same.
    doublings = int(jnp.finfo(dtype).nmant) + 8
    count = jnp.minimum(needed, doublings)
    element = _series(scaled(matrix, -needed), max(SERIES, dim + 1))

    def double(carry, step):
        element, exponent = carry
        squared = element @ element
        squared = squared.at[:dim, :dim].set(_on_group(squared[:dim, :dim], exponent, plan))
        size = exponent_of(squared, least=-64)  # the largest entry of a square may be small
        size = jnp.where((size > 8) | (exponent > 0), size, 0)
        doubled = scaled(squared, -size), jnp.minimum(2 * exponent + size, MOST)
        return jax.tree.map(
            lambda new, old: jnp.where(step < count, new, old), doubled, carry
        ), None

    carry, _ = jax.lax.scan(
        double, (element, jnp.zeros((), jnp.int32)), jnp.arange(doublings, dtype=jnp.int32)
    )
    element, exponent = carry
    element = scaled(element, steps * unit)
    return element[:dim, :dim], element[:dim, dim], exponent


def _series(matrix, terms: int):
    identity = jnp.eye(len(matrix), dtype=matrix.dtype)
    total = identity
    for k in range(terms, 0, -1):
        total = identity + matrix @ total / k
    return total


def _on_group(linear, exponent, plan: Squaring):
    """One step of Newton's towards E* E = 1 with the adjoint E* of the form. It leaves what is on the
    group where it is, and derivatives along the group too."""
    if plan.form is None:
        return linear
    form, inverse = (jnp.asarray(x, linear.dtype) for x in plan.form)
    excess = inverse @ linear.T @ form @ linear - jnp.eye(len(linear), dtype=linear.dtype)
    nearer = linear - linear @ excess / 2
    small = (exponent == 0) & (jnp.max(jnp.abs(linear)) <= SMALL)
    return jnp.where(small, nearer, linear)
