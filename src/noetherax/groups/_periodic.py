import math
from collections.abc import Iterable
from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes
from ._periods import periods


@final
class Periodic(AffineGroup):
    """Coordinates that come back to the same place: angles, or positions in a box whose opposite sides
    are one.

    The discrete group of the shifts of any one point by whole periods. It has no generators and no
    charges, but functions that are invariant under it depend on such a coordinate through its sine and
    cosine alone.

    !!! example

        An angle, and two of which only the difference matters:

        ```python
        import noetherax as nx

        free = nx.Periodic(1)
        assert nx.feature_names(free.invariant_features(1)) == ("sin q[0]", "cos q[0]", "v[0]")
        turned = nx.Translations(1) * nx.Periodic(1)
        assert turned.invariant_features(2).num_features == 4  # sine, cosine and two velocities
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes of a period, all by default.
    - `period`: 2π by default; a number, or one for each of the `axes`.

    **Raises:**

    `ValueError` if a period is not positive and finite, or if there is not one for each axis.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    period: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        space: int,
        axes: tuple[int, ...] | None = None,
        period: float | Iterable[float] = 2 * math.pi,
    ):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        try:
            given = np.asarray(period if np.ndim(period) == 0 else list(period), float)  # pyright: ignore[reportArgumentType]
            of_axes = np.broadcast_to(given, len(self.axes))
        except (TypeError, ValueError):
            of_axes = np.zeros(1)
        if not np.all((of_axes > 0) & np.isfinite(of_axes)):
            raise ValueError(
                f"period must be a positive number, or one for each of the axes {self.axes}, but it is "
                f"{period!r}."
            )
        self.period = tuple(of_axes.tolist())

    def algebra(self):
        return np.zeros((0, self.ambient, self.ambient)), np.zeros((0, self.ambient))


@periods.register
def _(group: Periodic) -> np.ndarray:
    found = np.full(group.ambient, np.inf)
    found[list(group.axes)] = group.period
    return found
