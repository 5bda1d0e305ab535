from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Trivial(AffineGroup):
    """The group of the identity alone: no generators, no charges, the state itself as features.

    It makes the unconstrained baseline, by the same code as the symmetric models.

    !!! example

        ```python
        import noetherax as nx

        group = nx.Trivial(2)
        features = group.invariant_features(points=1)
        assert nx.feature_names(features) == ("q[0]", "q[1]", "v[0]", "v[1]")
        assert group.dimension == 0  # no charge is promised
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.

    **Raises:**

    `ValueError` if `space` is no positive integer.
    """

    ambient: int = eqx.field(static=True)

    def __init__(self, space: int):
        self.ambient = len(select_axes(space, None))

    def algebra(self):
        return np.zeros((0, self.ambient, self.ambient)), np.zeros((0, self.ambient))
