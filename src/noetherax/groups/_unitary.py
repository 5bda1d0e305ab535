import itertools
from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Unitary(AffineGroup):
    """Unitary maps U(n) of n complex coordinates, each a pair of real axes.

    Consecutive axes (x, y) are z = x + i y. The first generator multiplies all of them by i (for one
    pair, the change of phase), the others are those of [`noetherax.SpecialUnitary`][]. Invariants: real
    and imaginary parts of the Hermitian products of the vectors of a state.

    !!! example

        The change of phase of one complex number ψ = q[0] + i q[1]:

        ```python
        import noetherax as nx

        found = nx.describe(nx.Unitary(2), points=1)
        assert found.charges == ("q[0] p[1] − q[1] p[0]",)
        assert nx.Unitary(4).dimension == 4  # of two, one phase and SU(2)
        assert nx.Unitary(4).invariant_features(points=1).num_features == 4
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: an even number of axes, as pairs (real part, imaginary part); all by default.

    **Raises:**

    `ValueError` if `space` is no positive integer, the axes are not distinct integers below it, or
    their number is odd.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = complex_axes(space, axes)
        self.ambient = int(space)

    def algebra(self):
        half = len(self.axes) // 2
        phase = 1j * np.eye(half)[None]
        linear = as_real([*phase, *special_unitary_generators(half)], self.ambient, self.axes)
        return linear, np.zeros(linear.shape[:2])


@final
class SpecialUnitary(AffineGroup):
    """Unitary maps of determinant one, SU(n), of n > 1 complex coordinates, each a pair of real axes.

    Consecutive axes (x, y) are z = x + i y. Generators: for each pair j < k of coordinates
    i(E_jk + E_kj) and E_jk − E_kj, then i(E_jj − E_kk) for neighbours. Invariants:
    Hermitian products, and where a state has n vectors or more, complex determinants; these are
    polynomials of degree n, found up to n = 4.

    !!! example

        A spinor, two complex numbers. Its phase may count, by the determinant of q and v:

        ```python
        import noetherax as nx

        group = nx.SpecialUnitary(4)
        assert group.dimension == 3
        assert group.invariant_features(points=1).num_features == 4 + 2
        ```

    **Arguments:** as for [`noetherax.Unitary`][].

    **Raises:**

    `ValueError` as there, or if there are fewer than four axes.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = complex_axes(space, axes)
        self.ambient = int(space)
        if len(self.axes) < 4:
            raise ValueError(
                "SpecialUnitary needs at least two pairs of axes: SU(1) is trivial, but axes are "
                f"{self.axes}. A change of phase is Unitary."
            )

    def algebra(self):
        generators = special_unitary_generators(len(self.axes) // 2)
        linear = as_real(generators, self.ambient, self.axes)
        return linear, np.zeros(linear.shape[:2])


def complex_axes(space: int, axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """Axes that come in pairs. Raises if their number is odd."""
    axes = select_axes(space, axes)
    if len(axes) % 2:
        raise ValueError(
            f"Complex coordinates are pairs of axes, but there are {len(axes)}: {axes}."
        )
    return axes


def special_unitary_generators(size: int) -> list[np.ndarray]:
    """Traceless anti-Hermitian matrices that span su(n)."""
    generators = []
    for j, k in itertools.combinations(range(size), 2):
        for entries in ((1j, 1j), (1.0, -1.0)):
            matrix = np.zeros((size, size), complex)
            matrix[j, k], matrix[k, j] = entries
            generators.append(matrix)
    for j in range(size - 1):
        generators.append(1j * np.diag(np.eye(size)[j] - np.eye(size)[j + 1]))
    return generators


def as_real(matrices: list[np.ndarray], space: int, axes: tuple[int, ...]) -> np.ndarray:
    """Complex matrices as real ones on pairs (real part, imaginary part) of axes."""
    full = np.zeros((len(matrices), space, space))
    index = np.array(axes)
    one, imaginary = np.eye(2), np.array([[0.0, -1.0], [1.0, 0.0]])
    for generator, matrix in enumerate(matrices):
        real = np.kron(np.real(matrix), one) + np.kron(np.imag(matrix), imaginary)
        full[generator, index[:, None], index] = real
    return full
