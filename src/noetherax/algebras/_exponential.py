"""The finite action of an affine algebra: x → exp(A) x + φ(A) b with φ(z) = (eᶻ − 1)/z.

Axes that the group does not mix are exponentiated apart, so that what grows on some leaves the
others as they are. The shift b enters linearly: a translation is exact whatever its size.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._algebra import AffineAlgebra
from ._balance import balance, powers_of_two
from ._blocks import connected
from ._closed_exponential import closed_exponential, quadratic_form, scalar_exponential
from ._kept import kept_by_content
from ._powers import scaled
from ._squaring import Squaring, squared_exponential, squaring_plan


class _Block(NamedTuple):
    """Axes that the group mixes among themselves, in units in which entries are of similar size."""

    axes: np.ndarray
    unit: np.ndarray
    size: np.ndarray
    linear: np.ndarray
    shift: np.ndarray
    form: np.ndarray
    squaring: Squaring | None


class AffineMap(NamedTuple):
    """x → 2ᵉ (M x + b) on some axes: e keeps what overflows apart, so that M and b are finite."""

    axes: np.ndarray
    matrix: Float[Array, "axes axes"]
    shift: Float[Array, " axes"]
    exponent: Float[Array, ""]

    def position(self, q: Float[Array, "points axes"]) -> Float[Array, "points axes"]:
        """The image of positions."""
        return scaled(q @ self.matrix.T + self.shift, self.exponent)

    def velocity(self, v: Float[Array, "points axes"]) -> Float[Array, "points axes"]:
        """The image of velocities."""
        return scaled(v @ self.matrix.T, self.exponent)


def affine_exponential(algebra: AffineAlgebra, coefficients, dtype) -> list[AffineMap]:
    """The map exp(Σ_a c_a ξ_a), one part for every block of axes."""
    maps = []
    for block in _plan(algebra):
        size, linear, shift, unit = (
            jnp.asarray(x, dtype) for x in (block.size, block.linear, block.shift, block.unit)
        )
        along = jnp.einsum("a,ai->i", coefficients, shift)
        weights = coefficients * size
        if len(block.axes) == 1:
            matrix, along, exponent = scalar_exponential(weights, linear, along)
        elif block.squaring is None:
            matrix, along, exponent = closed_exponential(weights, linear, along, block.form)
        else:
            matrix, along, exponent = squared_exponential(weights, linear, along, block.squaring)
        maps.append(AffineMap(block.axes, matrix * unit[:, None] / unit, along * unit, exponent))
    return maps


@kept_by_content
def _plan(algebra: AffineAlgebra) -> tuple[_Block, ...]:
    """The blocks of axes that the group does not mix."""
    space = algebra.shift.shape[1]
    # What acts is kept apart by entries that are zero: the size of rounding plays no part.
    algebra = algebra._replace(tolerance=0.0)
    balanced, unit = balance(algebra)
    driven = np.any(balanced.linear != 0, axis=0)
    coupled: np.ndarray = np.logical_or(driven, driven.T)
    flat = [axis for axis in range(space) if not coupled[axis].any()]
    parts = [flat] if flat else []
    parts += connected(coupled, [axis for axis in range(space) if axis not in flat])
    return tuple(_block(balanced, unit, np.array(axes)) for axes in parts)


def _block(algebra: AffineAlgebra, unit: np.ndarray, axes: np.ndarray) -> _Block:
    linear, shift = algebra.linear[:, axes[:, None], axes], algebra.shift[:, axes]
    size = powers_of_two(np.abs(linear).max(axis=(1, 2), initial=0.0))
    linear = linear / size[:, None, None]
    acting = np.any(linear != 0, axis=(1, 2))
    form, squaring = np.zeros((len(linear), len(linear))), None
    inside = quadratic_form(linear[acting])
    if inside is None:
        squaring = squaring_plan(linear[acting], shift)
    else:
        form[np.ix_(acting, acting)] = inside
    return _Block(axes, unit[axes], size, linear, shift, form, squaring)
