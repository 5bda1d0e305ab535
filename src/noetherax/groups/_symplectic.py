import itertools
from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Symplectic(AffineGroup):
    """Linear maps that keep the symplectic form, Sp(2n, R), on 2n of the axes.

    With the axes in two halves (x, y) the form is ω(a, b) = x_a·y_b − y_a·x_b. Generators J S for
    symmetric S, with J the matrix of ω. Invariants: the products ω(a, b) of the vectors of a state. On
    one point there is a single one, ω(q, v), and ∂²L/∂v² is singular.

    !!! example

        Two points in the plane have four vectors, and so six products:

        ```python
        import noetherax as nx

        group = nx.Symplectic(2)
        assert group.dimension == 3
        assert group.invariant_features(points=2).num_features == 6
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: an even number of axes, first all x, then all y; all by default.

    **Raises:**

    `ValueError` if `space` is no positive integer, the axes are not distinct integers below it, or
    their number is odd.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        if len(self.axes) % 2:
            raise ValueError(f"Symplectic needs an even number of axes, but they are {self.axes}.")

    def algebra(self):
        half = len(self.axes) // 2
        form = np.kron([[0.0, 1.0], [-1.0, 0.0]], np.eye(half))
        linear = []
        for j, k in itertools.combinations_with_replacement(range(2 * half), 2):
            symmetric = np.zeros((2 * half, 2 * half))
            symmetric[j, k] = symmetric[k, j] = 1.0
            linear.append(form @ symmetric)
        full = np.zeros((len(linear), self.ambient, self.ambient))
        index = np.array(self.axes)
        full[:, index[:, None], index] = linear
        return full, np.zeros(full.shape[:2])
