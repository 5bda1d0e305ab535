from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class SpecialLinear(AffineGroup):
    """Linear maps of determinant one, SL(D, R): they keep volumes.

    Generators E_jk for j ≠ k, row by row, then E_jj − E_kk for neighbours. Invariants: the
    determinants of D vectors of a state, and nothing else, so that few points have none.

    !!! example

        A shear keeps the area between position and velocity:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.SpecialLinear(2)
        q, v = jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]])
        moved = group.act(jnp.array([0.5, 0.0, 0.0]), q, v)
        area = nx.Determinants(nx.StateVectors(points=1, space=2))
        assert moved[0].tolist() == [[5.0, 4.0]]
        assert area(*moved) == area(q, v)
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes that are mapped among themselves, all by default; at least two.

    **Raises:**

    `ValueError` if `space` is no positive integer, or there are not at least two distinct axes of it.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        if len(self.axes) < 2:
            raise ValueError(f"SpecialLinear needs at least two axes, but axes are {self.axes}.")

    def algebra(self):
        size = len(self.axes)
        identity = np.eye(size)
        shears = [
            np.outer(identity[j], identity[k]) for j in range(size) for k in range(size) if j != k
        ]
        squeezes = [np.diag(identity[j] - identity[j + 1]) for j in range(size - 1)]
        linear = np.zeros((size**2 - 1, self.ambient, self.ambient))
        index = np.array(self.axes)
        linear[:, index[:, None], index] = [*shears, *squeezes]
        return linear, np.zeros(linear.shape[:2])
