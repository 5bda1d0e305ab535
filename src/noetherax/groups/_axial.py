from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class AxialRotations(AffineGroup):
    """Rotations about one axis in three dimensions, SO(2), through any centre.

    One generator ξ(x) = n × (x − c) with the unit vector n along the axis; its charge is the
    component of the angular momentum about c along n. Invariants: heights along the axis and, across
    it, dot products and areas.

    !!! example

        About the vertical through x = 2:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.AxialRotations((0.0, 0.0, 1.0), centre=(2.0, 0.0, 0.0))
        charge = group.noether_charge(lambda q, v: jnp.sum(v**2) / 2)
        q, v = jnp.array([[5.0, 0.0, 1.0]]), jnp.array([[0.0, 1.0, 0.0]])
        assert jnp.allclose(charge(q, v), 3.0)  # the arm is 5 − 2
        ```

    **Arguments:**

    - `axis`: direction n of the axis, three numbers; its length does not matter.
    - `centre`: a point c on the axis, the origin by default.
    - `space`: number of coordinates of one point.
    - `axes`: the three axes of the space that x, y, z are, the first three by default.

    **Raises:**

    `ValueError` if the direction is zero, a vector is not three finite numbers, or there are not three
    distinct axes of the space.
    """

    axis: tuple[float, float, float] = eqx.field(static=True)
    centre: tuple[float, float, float] = eqx.field(static=True)
    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
        centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        space: int = 3,
        axes: tuple[int, ...] = (0, 1, 2),
    ):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        if len(self.axes) != 3:
            raise ValueError(f"A rotation about an axis needs three axes, but they are {axes}.")
        self.axis = _vector("axis", axis)
        self.centre = _vector("centre", centre)
        if not any(self.axis):
            raise ValueError("axis must not be zero: it is a direction.")

    def algebra(self):
        axis = np.array(self.axis) / np.abs(self.axis).max()  # its square may be no number
        x, y, z = axis / np.linalg.norm(axis)
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        index = np.array(self.axes)
        linear = np.zeros((1, self.ambient, self.ambient))
        linear[0, index[:, None], index] = cross
        shift = np.zeros((1, self.ambient))
        shift[0, index] = -cross @ np.array(self.centre)
        return linear, shift


def _vector(name: str, value) -> tuple[float, float, float]:
    vector = np.asarray(value, float)
    if vector.shape != (3,) or not np.all(np.isfinite(vector)):
        raise ValueError(f"{name} must be three finite numbers, but it is {value!r}.")
    x, y, z = vector.tolist()
    return x, y, z
