from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes
from ._rotations import reflection, rotation_generators


@final
class Euclidean(AffineGroup):
    """All isometries of Euclidean space, E(D) = R^D ⋊ O(D): translations, rotations, reflections.

    Charges: total momentum, then angular momentum. Invariants: the squares of all distances, and the
    dot products of relative positions with velocities and of velocities. Without reflections (SE(D),
    with determinants) it is `Translations(space) * Rotations(space)`.

    !!! example

        Two bodies in space, whatever law acts between them:

        ```python
        import noetherax as nx

        group = nx.Euclidean(3)
        assert group.dimension == 3 + 3  # components of momentum and of angular momentum
        features = group.invariant_features(points=2)
        assert features.num_features == 6  # the products of q1 − q2, v1 and v2
        (distance,) = nx.feature_names(group.configuration_features(points=2))
        assert distance == "(q1-q2)·(q1-q2)"
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes of the Euclidean space, all by default.

    **Raises:**

    `ValueError` if `space` is no positive integer, or the axes are not distinct integers below it.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)

    def algebra(self):
        shift = np.eye(self.ambient)[list(self.axes)]
        turn = rotation_generators(self.ambient, self.axes)
        linear = np.concatenate([np.zeros((len(shift), *turn.shape[1:])), turn])
        shift = np.concatenate([shift, np.zeros(turn.shape[:2])])
        return linear, shift, reflection(self.ambient, self.axes)[None]
