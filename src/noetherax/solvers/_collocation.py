"""Gauss–Legendre collocation, and polynomials through values at nodes."""

import functools
from typing import Any, final

import diffrax
import jax
import jax.numpy as jnp
import numpy as np


@functools.cache
def gauss(stages: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes c, weights b and matrix a of Gauss' collocation method on [0, 1], of order 2 × stages.

    It satisfies b_i a_ij + b_j a_ji = b_i b_j, the condition for quadratic invariants (Hairer, Lubich &
    Wanner 2006, theorem IV.2.2), here to the last digit: what rounding leaves is symmetrised away.
    """
    x, w = np.polynomial.legendre.leggauss(stages)
    c, b = (1 + x) / 2, w / 2
    skew = b[:, None] * (integrals(c, c) - b / 2)
    return c, b, b / 2 + (skew - skew.T) / 2 / b[:, None]


def integrals(nodes: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """∫₀^end of the Lagrange polynomials of the nodes, shape `(ends, nodes)`."""
    powers = np.arange(len(nodes))
    return (ends[:, None] ** (powers + 1) / (powers + 1)) @ _coefficients(nodes)


def divided_difference(nodes):
    """Weights of the highest divided difference over the nodes."""
    same = np.eye(len(nodes), dtype=bool)
    return 1 / jnp.prod(jnp.where(same, jnp.ones_like(nodes), nodes[:, None] - nodes), axis=1)


@functools.cache
def spread_of_nodes(stages: int) -> float:
    """∫₀¹ |Π_i (x − c_i)| dx over the nodes of Gauss' method."""
    nodes = gauss(stages)[0]
    whole = np.polynomial.Polynomial.fromroots(nodes).integ()
    return float(np.sum(np.abs(np.diff(whole(np.concatenate([[0.0], nodes, [1.0]]))))))


def lagrange(nodes, points):
    """The Lagrange polynomials of `nodes` at `points`, shape `(points, nodes)`."""
    same = np.eye(len(nodes), dtype=bool)
    gaps = jnp.where(same, jnp.ones_like(nodes), nodes[:, None] - nodes)
    ratios = (points[:, None] - nodes)[:, None, :] / gaps
    return jnp.prod(jnp.where(same, jnp.ones_like(ratios), ratios), axis=-1)


def _coefficients(nodes: np.ndarray) -> np.ndarray:
    """Monomial coefficients of the Lagrange polynomials, shape `(powers, nodes)`."""
    return np.linalg.inv(np.vander(nodes, increasing=True))


@final
class CollocationInterpolation(diffrax.AbstractLocalInterpolation):
    """The collocation polynomial of a step; exactly the step itself at its ends.

    Its derivatives are those of the polynomial, at the ends of a step too. Inside a step a charge holds
    only to the order of the polynomial. Save on steps to keep it.
    """

    t0: Any
    t1: Any
    y0: tuple
    y1: tuple
    increments: tuple

    def evaluate(self, t0, t1=None, left: bool = True):
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        nodes = gauss(len(self.increments[0]))[0]
        part = jnp.asarray((t0 - self.t0) / (self.t1 - self.t0), self.increments[0].dtype)
        # From the nearer end, so that both are met exactly: their polynomials differ by rounding, and
        # so have the same derivatives.
        late = part > 0.5
        powers = jnp.cumprod(jnp.full(len(nodes), part))
        monomials = (powers - late.astype(part.dtype)) / jnp.arange(
            1, len(nodes) + 1, dtype=part.dtype
        )
        weights = monomials @ jnp.asarray(_coefficients(nodes), part.dtype)

        def inside(start, end, slopes):
            return jnp.where(late, end, start) + jnp.tensordot(weights, slopes, 1)

        return jax.tree.map(inside, self.y0, self.y1, self.increments)
