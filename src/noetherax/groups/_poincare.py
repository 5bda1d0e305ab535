from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes
from ._lorentz import check_spacetime, lorentz_generators


@final
class Poincare(AffineGroup):
    """All isometries of spacetime connected to the identity, R^D ⋊ SO⁺(D − 1, 1).

    Translations along each axis, then the generators of [`noetherax.Lorentz`][]. Invariants: intervals
    of all pairs, Minkowski products of relative positions and velocities, and determinants.

    !!! example

        A free particle in spacetime depends on the square of its velocity alone:

        ```python
        import noetherax as nx

        group = nx.Poincare()
        assert group.dimension == 4 + 3 + 3  # translations, boosts, rotations
        features = group.invariant_features(points=1)
        assert nx.feature_names(features) == ("⟨v, v⟩",)
        ```

    **Arguments:** as for [`noetherax.Lorentz`][].

    **Raises:** as there.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    speed_of_light: float = eqx.field(static=True)

    def __init__(
        self, space: int = 4, axes: tuple[int, ...] | None = None, *, speed_of_light: float = 1.0
    ):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        self.speed_of_light = check_spacetime(self.axes, speed_of_light)

    def algebra(self):
        shift = np.eye(self.ambient)[list(self.axes)]
        turn = lorentz_generators(self.ambient, self.axes, self.speed_of_light)
        linear = np.concatenate([np.zeros((len(shift), *turn.shape[1:])), turn])
        return linear, np.concatenate([shift, np.zeros(turn.shape[:2])])
