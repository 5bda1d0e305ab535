from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration, FloatArray
from ..groups import Trivial
from ..lagrangians import SeparableLagrangian
from ._checks import check_counts
from ._motion import motion
from ._starts import fixed_normals
from ._system import System

Matrix = tuple[tuple[float, ...], ...]

FREE = 4.0
"""Rounding of a force in units of that of one of the products that it is a sum of."""


@final
class HarmonicOscillatorLagrangian(SeparableLagrangian):
    """L = vᵀ M v/2 − qᵀ K q/2, with the components of all points in one vector.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        system = nx.systems.HarmonicOscillator(mass=2.0, stiffness=6.0, space=3)
        q, v = jnp.array([[1.0, 2.0, 3.0]]), jnp.zeros((1, 3))
        a = nx.acceleration(system.lagrangian, q, v)
        assert jnp.allclose(a, -3 * q)  # −K q/M
        ```

    **Arguments:**

    - `mass`, `stiffness`: M and K, tuples of rows, shape `(n, n)` for n = points × space.
    """

    mass: Matrix = eqx.field(static=True)
    stiffness: Matrix = eqx.field(static=True)

    def inertia(self):
        return self.mass

    def potential(self, q: Configuration) -> Float[Array, ""]:
        q = jnp.ravel(q)
        return q @ jnp.asarray(self.stiffness, q.dtype) @ q / 2


@final
class HarmonicOscillator(System):
    """Coupled oscillators, M q̈ = −K q, solved exactly by their normal modes.

    The n = points × space components of a state are in one vector, points first. A direction in which
    K vanishes moves freely; one in which it is negative runs away.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx

        springs = np.array([[2.0, -1.0], [-1.0, 2.0]])  # wall, point, point, wall
        system = nx.systems.HarmonicOscillator(stiffness=springs, points=2)
        squared, shapes = system.modes()
        assert np.allclose(squared, [1.0, 3.0])  # in step, and against each other
        q, v = system.reference(jnp.linspace(0.0, 10.0, 101))
        assert q.shape == (101, 2, 1)
        ```

    **Arguments:**

    - `mass`: M, symmetric and positive definite, shape `(n, n)`; a number stands for a multiple of the
        identity.
    - `stiffness`: K, symmetric, shape `(n, n)` or a number.
    - `points`, `space`: shape of the configuration.

    **Raises:**

    `ValueError` if M or K has the wrong shape or is not symmetric, or M is not positive definite.
    """

    mass: Matrix = eqx.field(static=True)
    stiffness: Matrix = eqx.field(static=True)
    precision: float = eqx.field(static=True)
    points: int = eqx.field(static=True)
    space: int = eqx.field(static=True)

    def __init__(
        self,
        mass: float | Float[FloatArray, "n n"] = 1.0,
        stiffness: float | Float[FloatArray, "n n"] = 1.0,
        points: int = 1,
        space: int = 1,
    ):
        check_counts(points=points, space=space)
        self.points = int(points)
        self.space = int(space)
        self.mass, _ = _symmetric("mass", mass, self.points * self.space)
        self.stiffness, self.precision = _symmetric(
            "stiffness", stiffness, self.points * self.space
        )
        _check_definite(np.array(self.mass))

    @property
    def lagrangian(self) -> HarmonicOscillatorLagrangian:
        """The true law."""
        return HarmonicOscillatorLagrangian(self.mass, self.stiffness)

    @property
    def group(self) -> Trivial:
        """No symmetry in general; where M and K are multiples of the identity, `Rotations` is one."""
        return Trivial(self.space)

    def initial_state(
        self,
    ) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
        """Position and velocity, fixed numbers of the normal distribution."""
        q, v = fixed_normals(2 * self.points * self.space).reshape(2, self.points, self.space)
        return jnp.asarray(q), jnp.asarray(v)

    def random_state(
        self, key: PRNGKeyArray
    ) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
        """Normally distributed position and velocity."""
        q, v = jax.random.normal(key, (2, self.points, self.space))
        return q, v

    def modes(self) -> tuple[np.ndarray, np.ndarray]:
        """Squared frequencies Ω² of the normal modes, and their shapes: the columns of a matrix X with
        Xᵀ M X = 1 and Xᵀ K X = Ω²."""
        factor = np.linalg.inv(np.linalg.cholesky(np.array(self.mass)))
        stiffness = np.array(self.stiffness)
        squared, modes = np.linalg.eigh(factor @ stiffness @ factor.T)
        # A mode on which no force is left but rounding is free: a frequency of 1e-8 is none.
        terms = np.abs(factor) @ np.abs(stiffness) @ np.abs(factor.T) @ np.abs(modes)
        force = np.abs(factor @ stiffness @ factor.T @ modes)
        rounding = FREE * len(squared) * self.precision * terms.max(axis=0)
        squared = np.where(np.all(force <= rounding, axis=0), 0.0, squared)
        return squared, factor.T @ modes


@motion.register
def _(system: HarmonicOscillator, q0, v0, ts):
    """q(t) = cos(Ωt) q₀ + Ω⁻¹ sin(Ωt) v₀ with Ω² = M⁻¹ K, mode by mode."""
    squared, modes = system.modes()
    # Complex frequencies make cos and sin hyperbolic where K is negative.
    frequency = np.sqrt(squared.astype(complex))
    phase = np.multiply.outer(ts, frequency)
    free = frequency == 0
    cosine = np.real(np.cos(phase))
    integral = np.real(np.sin(phase) / np.where(free, 1, frequency))
    integral = np.where(free, np.asarray(ts)[:, None], integral)

    dtype, shape = q0.dtype, (*q0.shape[:-2], len(ts), *q0.shape[-2:])
    amplitudes = (modes.T @ np.array(system.mass)).T.astype(dtype)
    q0, v0 = (x.reshape(*x.shape[:-2], 1, -1) @ amplitudes for x in (q0, v0))
    cosine, integral, fall, modes = (
        x.astype(dtype) for x in (cosine, integral, -squared * integral, modes.T)
    )
    q = cosine * q0 + integral * v0
    v = cosine * v0 + fall * q0
    return (q @ modes).reshape(shape), (v @ modes).reshape(shape)


def _check_definite(mass: np.ndarray) -> None:
    diagonal = np.diag(mass)
    definite = bool(np.all(diagonal > 0))
    if definite:  # in units in which the masses are one: they may differ by any factor
        scaled = mass / np.sqrt(diagonal[:, None]) / np.sqrt(diagonal)
        definite = np.linalg.eigvalsh(scaled)[0] > len(mass) * np.finfo(float).eps
    if not definite:
        smallest = np.linalg.eigvalsh(mass)[0]
        raise ValueError(
            f"mass must be positive definite, but its smallest eigenvalue is {smallest:.6g}."
        )


def _symmetric(name: str, value: Any, size: int) -> tuple[Matrix, float]:
    """The matrix as hashable data, symmetric to the last digit, and the precision it came in."""
    given = np.asarray(value)
    if given.dtype.kind not in "iuf" and not jnp.issubdtype(given.dtype, jnp.floating):
        raise TypeError(f"{name} must be real numbers, but it is {value!r}.")
    floating = jnp.issubdtype(given.dtype, jnp.floating)
    precision = float(jnp.finfo(given.dtype if floating else np.float64).eps)
    matrix = np.asarray(given, np.float64)
    if matrix.ndim == 0:
        matrix = matrix * np.eye(size)
    if matrix.shape != (size, size) or not np.all(np.isfinite(matrix)):
        raise ValueError(
            f"{name} must be a finite number or matrix of shape ({size}, {size}), one row for each "
            f"component of a state, but it is {value!r}."
        )
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > 1e-6 * np.abs(matrix).max():
        raise ValueError(
            f"{name} must be symmetric, but entries across the diagonal differ by {asymmetry:.6g}."
        )
    return tuple(map(tuple, ((matrix + matrix.T) / 2).tolist())), precision
