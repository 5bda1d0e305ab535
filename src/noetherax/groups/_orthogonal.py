from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes
from ._rotations import reflection, rotation_generators


@final
class Orthogonal(AffineGroup):
    """Rotations and reflections about the origin, O(D) acting on `axes` of the space.

    Its generators and charges are those of [`noetherax.Rotations`][]; reflections have none. They
    leave fewer invariants: dot products, and no determinants. `act` reaches the rotations only.

    !!! example

        ```python
        import noetherax as nx

        turned = nx.Rotations(2).invariant_features(points=1)
        assert nx.feature_names(turned) == ("q·q", "q·v", "v·v", "det(q, v)")
        mirrored = nx.Orthogonal(2).invariant_features(points=1)
        assert nx.feature_names(mirrored) == ("q·q", "q·v", "v·v")
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes that are rotated and reflected, all by default.

    **Raises:**

    `ValueError` if `space` is no positive integer, or the axes are not distinct integers below it.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)

    def algebra(self):
        linear = rotation_generators(self.ambient, self.axes)
        return linear, np.zeros(linear.shape[:2]), reflection(self.ambient, self.axes)[None]
