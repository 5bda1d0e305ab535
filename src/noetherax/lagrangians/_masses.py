from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION


@final
class Masses(eqx.Module):
    """Constant masses, given or trained, positive for any weights.

    Trained ones are m exp(c), one factor for each number m that is given, or C T Tᵀ Cᵀ, if a matrix
    M = C Cᵀ is given, with a lower triangular T that starts at the identity and has exponentials on its
    diagonal. Their changes are therefore relative ones, whatever the unit of mass.

    **Arguments:**

    - `given`: a number, one for each point, or a symmetric, positive definite matrix over all
        components, points first.
    - `trained`: whether these are where training starts; if not, they are constants.
    - `dtype`: of what is trained.

    **Raises:**

    `ValueError` or `TypeError` if the masses are not such numbers.
    """

    given: Any = eqx.field(static=True)
    change: Float[Array, "..."] | None

    def __init__(self, given: Any, trained: bool, dtype: Any):
        if not isinstance(trained, bool | np.bool_):
            raise TypeError(f"train_masses must be True or False, but it is {trained!r}.")
        try:
            array = np.asarray(given, float)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"masses must be a number or numbers, but they are {given!r}."
            ) from error
        if array.ndim == 2:
            _check_matrix(array)
        elif array.ndim > 2 or not array.size or not np.all(np.isfinite(array) & (array > 0)):
            raise ValueError(
                "masses must be positive: a number, one for each point, or a matrix over all "
                f"components, but they are {given!r}."
            )
        self.given = _nested(array.tolist())
        self.change = jnp.zeros(array.shape, dtype) if trained else None

    def __call__(self) -> Any:
        """The masses, of the shape that was given."""
        if self.change is None:
            return self.given
        if self.change.ndim < 2:
            return jnp.asarray(self.given, self.change.dtype) * jnp.exp(self.change)
        root = np.linalg.cholesky(np.asarray(self.given))
        factor = jnp.tril(self.change, -1) + jnp.diag(jnp.exp(jnp.diag(self.change)))
        factor = jnp.matmul(jnp.asarray(root, factor.dtype), factor, precision=PRECISION)
        return jnp.matmul(factor, factor.T, precision=PRECISION)


def point_masses(given: Any, trained: bool, column: int | None, dtype: Any) -> Masses:
    """Masses of points, no matrix, where no column of attributes holds them."""
    masses = Masses(given, trained, dtype)
    if column is not None and (trained or masses.given != 1.0):
        raise ValueError("Give masses, or mass_attribute, but not both.")
    if np.ndim(masses.given) > 1:
        raise ValueError("masses must be a number or one for each point, but they are a matrix.")
    return masses


def masses_of_points(masses: Masses, points: int) -> Any:
    """The masses of so many points, shape `(points,)`."""
    values = masses()
    if np.shape(values) not in ((), (points,)):
        raise ValueError(
            f"These masses are of {len(values)} points, but the configuration has {points}."
        )
    library = jnp if isinstance(values, jax.Array) else np
    return library.broadcast_to(values, (points,))


def _nested(numbers: Any) -> Any:
    """Lists as tuples, which have a hash."""
    return tuple(map(_nested, numbers)) if isinstance(numbers, list) else numbers


def _check_matrix(matrix: np.ndarray) -> None:
    if matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
        raise ValueError(
            f"A matrix of masses must be square and finite, but it is {matrix.tolist()}."
        )
    asymmetry = np.max(np.abs(matrix - matrix.T))
    if asymmetry > 1e-6 * np.max(np.abs(matrix)):  # single precision is enough
        raise ValueError(
            f"A matrix of masses must be symmetric, but it differs from its transpose by "
            f"{asymmetry:.2g}."
        )
    size = np.sqrt(np.abs(np.diag(matrix)))
    size = np.where(size > 0, size, 1)
    least = np.min(np.linalg.eigvalsh(matrix / size[:, None] / size))
    if not least > len(matrix) * np.finfo(float).eps:
        raise ValueError(
            "A matrix of masses must be positive definite, but with its diagonal scaled to one its "
            f"least eigenvalue is {least:.2g}."
        )


def kinetic_size(inertia: Any, v: Any) -> float:
    """The mean of vᵀ M v over samples of velocities about their mean, of shape
    `(samples, points, space)`, in float64, where no unit is out of range."""
    inertia, flat = np.asarray(inertia, float), np.asarray(v, float).reshape(len(v), -1)
    spread = flat - np.mean(flat, axis=0)
    if not np.any(spread):
        spread = flat
    moved = spread * inertia if inertia.ndim == 1 else spread @ inertia
    return float(np.mean(np.sum(spread * moved, axis=1)))
