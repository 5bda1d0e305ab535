"""Many small symmetric systems at once.

LAPACK takes one matrix after the other, and most of its time for a few unknowns is calls. Here each
operation is one over all matrices, with their index last, so that it fills the processor's vectors.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._precision import PRECISION

LARGEST = 8
"""Unknowns up to which elimination is the faster one, and compiles in well under a second."""

ROOM = 2**16
"""Entries of all matrices together up to which they stay in a core's cache."""


def solve_symmetric(
    matrix: Float[Array, "*batch n n"], vector: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """The solution x of M x = b for symmetric M, in general indefinite.

    **Arguments:**

    - `matrix`, `vector`: M and b.

    **Returns:**

    The solution; not finite where M is singular.
    """
    if matrix.ndim < 3 or matrix.shape[-1] > LARGEST or matrix.size > ROOM:
        return jnp.linalg.solve(matrix, vector[..., None])[..., 0]
    inverse = _inverse(jax.lax.stop_gradient(matrix))
    return jax.lax.custom_linear_solve(
        lambda x: _product(matrix, x), vector, lambda _, b: _product(inverse, b), symmetric=True
    )


def _product(matrix, vector):
    return jnp.einsum("...ij,...j->...i", matrix, vector, precision=PRECISION)


@jax.jit
def _inverse(matrix):
    """By Gauss and Jordan's elimination with partial pivoting: M | 1 becomes 1 | M⁻¹, and the columns
    that are done are dropped."""
    size = matrix.shape[-1]
    rows = jnp.arange(size)[:, None]
    left = jnp.moveaxis(matrix.reshape(-1, size, size), 0, -1)
    unit = jnp.eye(size, dtype=matrix.dtype)[..., None]
    table = jnp.concatenate([left, jnp.broadcast_to(unit, left.shape)], axis=1)
    for step in range(size):
        candidates = jnp.where(rows >= step, jnp.abs(table[:, 0]), -1)
        chosen = (rows == jnp.argmax(candidates, axis=0))[:, None]
        pivot = jnp.sum(jnp.where(chosen, table, 0), axis=0)
        pivot = pivot / pivot[0]
        table = jnp.where(chosen, table[step], table)
        table = (table - table[:, :1] * pivot).at[step].set(pivot)[:, 1:]
    return jnp.moveaxis(table, -1, 0).reshape(matrix.shape)
