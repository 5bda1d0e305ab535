"""SOAP, as an Optax optimiser: we found no package of it that works with today's JAX.

N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam" (2024), algorithm 3: Adam on
matrices, in the eigenbases of Shampoo's two preconditioners, which are averages of G Gᵀ and Gᵀ G. Here
the bases start as the identity, and the first step counts.
"""

from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class _State(NamedTuple):
    """What is kept of every matrix: sums that make the bases, the bases, and Adam's moments, of which
    the second one is in the bases."""

    steps: jax.Array
    left: Any
    right: Any
    left_basis: Any
    right_basis: Any
    mean: Any
    square: Any


def _scale_by_soap(b1: float, b2: float, every: int, eps: float) -> optax.GradientTransformation:
    def each(function, *trees):
        """A function of several trees with several results, leaf by leaf, as that many trees."""
        leaves, structure = jax.tree.flatten(trees[0])
        rows = zip(leaves, *(structure.flatten_up_to(tree) for tree in trees[1:]), strict=True)
        results = zip(*(function(*row) for row in rows), strict=True)
        return [structure.unflatten(result) for result in results]

    def init(params):
        def start(x):
            rows, columns = x.shape
            bases = jnp.eye(rows, dtype=x.dtype), jnp.eye(columns, dtype=x.dtype)
            sums = tuple(map(jnp.zeros_like, bases))
            return *sums, *bases, jnp.zeros_like(x), jnp.zeros_like(x)

        return _State(jnp.zeros((), jnp.int32), *each(start, params))

    def update(updates, state, params=None):
        del params
        count = state.steps + 1
        turned = (count == 1) | (count % every == 0)

        def step(gradient, left, right, left_basis, right_basis, mean, square):
            left = b2 * left + (1 - b2) * gradient @ gradient.T
            right = b2 * right + (1 - b2) * gradient.T @ gradient

            def turn(bases):  # one step of orthogonal iteration
                return tuple(
                    jnp.linalg.qr(x @ basis)[0]
                    for x, basis in zip((left, right), bases, strict=True)
                )

            bases = jax.lax.cond(turned, turn, lambda bases: bases, (left_basis, right_basis))
            left_basis, right_basis = bases
            mean = b1 * mean + (1 - b1) * gradient
            inside = left_basis.T @ gradient @ right_basis
            square = b2 * square + (1 - b2) * inside**2
            scaled = left_basis.T @ (mean / (1 - b1**count)) @ right_basis
            scaled = scaled / (jnp.sqrt(square / (1 - b2**count)) + eps)
            moved = left_basis @ scaled @ right_basis.T
            return moved, left, right, left_basis, right_basis, mean, square

        updates, *rest = each(step, updates, *state[1:])
        return updates, _State(count, *rest)

    return optax.GradientTransformation(init, update)


def soap(
    rate: optax.Schedule, *, b1: float = 0.95, b2: float = 0.95, every: int = 10, eps: float = 1e-12
) -> optax.GradientTransformation:
    """SOAP on matrices, Adam on all else; bases are turned once in `every` steps."""

    def kinds(params):
        return jax.tree.map(lambda x: "matrix" if x.ndim == 2 else "other", params)

    transforms: dict[Hashable, optax.GradientTransformation] = {
        "matrix": _scale_by_soap(b1, b2, every, eps),
        "other": optax.scale_by_adam(b1, b2, eps),
    }
    return optax.chain(optax.partition(transforms, kinds), optax.scale_by_learning_rate(rate))
