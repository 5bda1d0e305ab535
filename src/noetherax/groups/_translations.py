from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Translations(AffineGroup):
    """Translations of all points together along `axes`; the charge is the total momentum Σ_i p_i.

    (Müller 2023, Eqs. 26 and 32.)

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes along which to translate, all by default.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)

    def algebra(self):
        shift = np.eye(self.ambient)[list(self.axes)]
        return np.zeros((len(self.axes), self.ambient, self.ambient)), shift
