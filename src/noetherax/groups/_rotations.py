import itertools
from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Rotations(AffineGroup):
    """Rotations about the origin, SO(D) acting on `axes` of the space.

    In three dimensions the generators turn about x, y, z and the charge is the angular momentum
    q × p (Müller 2023, Eqs. 4 and 7). In D dimensions they are listed by planes (j, k), j < k, in
    lexicographic order; each turns axis j towards axis k, with charge q_j p_k − q_k p_j. (The paper's
    Eq. 31 has the opposite sign.)

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.Rotations(3)
        assert nx.feature_names(group.invariant_features(1)) == ("q·q", "q·v", "v·v")
        charge = group.noether_charge(lambda q, v: 5.0 * jnp.sum(v**2) / 2)  # of mass 5
        q, v = jnp.array([[1.0, 0.0, 0.0]]), jnp.array([[0.0, 2.0, 0.0]])
        assert charge(q, v).tolist() == [0.0, 0.0, 10.0]
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes that are rotated among themselves, all by default.

    **Raises:**

    `ValueError` if `space` is no positive integer, or there are not at least two distinct axes of it.
    """

    ambient: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, space: int, axes: tuple[int, ...] | None = None):
        self.axes = select_axes(space, axes)
        self.ambient = int(space)
        if len(self.axes) < 2:
            raise ValueError(f"Rotations need at least two axes, but axes are {self.axes}.")

    def algebra(self):
        linear = rotation_generators(self.ambient, self.axes)
        return linear, np.zeros(linear.shape[:2])


def rotation_generators(space: int, axes: tuple[int, ...]) -> np.ndarray:
    """Generators of the rotations of `axes`: about x, y, z for three of them, else by planes."""
    if len(axes) == 3:
        x, y, z = axes
        planes = [(y, z), (z, x), (x, y)]
    else:
        planes = list(itertools.combinations(axes, 2))
    linear = np.zeros((len(planes), space, space))
    for generator, (j, k) in enumerate(planes):
        linear[generator, k, j] = 1.0
        linear[generator, j, k] = -1.0
    return linear


def reflection(space: int, axes: tuple[int, ...]) -> np.ndarray:
    """The reflection of the first of `axes`; it and the rotations make all others."""
    matrix = np.eye(space)
    matrix[axes[0], axes[0]] = -1.0
    return matrix
