from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._vectors import on_axes


@final
class Coordinates(InvariantFeatures):
    """The coordinates that a group of translations leaves alone: linear features, by direction.

    1. for each point the components of q_i along the directions that are *not* translated,
    2. for each point but the last the components of q_i − q_n along those that *are*,
    3. every component of every velocity, unless `velocities=False`

    (the layer T of Müller 2023, Table 1). Without translations it is the state itself, which is
    the input of an unconstrained network.

    !!! example

        ```python
        import noetherax as nx

        state = nx.Coordinates(points=2, space=1)
        assert nx.feature_names(state) == ("q1[0]", "q2[0]", "v1[0]", "v2[0]")
        relative = nx.Coordinates(points=2, space=1, translated=((1.0,),))
        assert nx.feature_names(relative) == ("(q1-q2)[0]", "v1[0]", "v2[0]")
        ```

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `axes`: the axes considered (all by default).
    - `translated`: orthonormal directions along which the group translates,
        shape `(directions, len(axes))`.
    - `fixed`: orthonormal directions along which it does not, as many as are left. They must be given
        if `translated` is, unless it has all of them.
    - `velocities`: whether the velocities are among the features.

    **Raises:**

    `ValueError` if there are not as many directions as axes.
    """

    points: int = eqx.field(static=True)
    space: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    translated: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    fixed: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    velocities: bool = eqx.field(static=True)

    def __init__(
        self,
        points: int,
        space: int,
        axes: tuple[int, ...] | None = None,
        translated: tuple[tuple[float, ...], ...] = (),
        fixed: tuple[tuple[float, ...], ...] | None = None,
        *,
        velocities: bool = True,
    ):
        self.points = points
        self.space = space
        self.axes = tuple(range(space)) if axes is None else axes
        self.translated = translated
        if fixed is None:
            identity = np.eye(len(self.axes))
            fixed = () if translated else tuple(map(tuple, identity.tolist()))
        self.fixed = fixed
        self.velocities = velocities
        if len(self.fixed) + len(self.translated) != len(self.axes):
            raise ValueError(
                f"{len(self.axes)} axes need as many directions, but {len(self.translated)} "
                f"translated and {len(self.fixed)} fixed ones are given."
            )

    @property
    def num_features(self) -> int:
        n, fixed, moved = self.points, len(self.fixed), len(self.translated)
        return n * fixed + (n - 1) * moved + n * len(self.axes) * self.velocities

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        q, v = on_axes(q, v, self.points, self.space, self.axes)
        fixed = _components(q, self.fixed)
        relative = _components(q[:-1] - q[-1:], self.translated)
        moving = [v.ravel()] if self.velocities else []
        return jnp.concatenate([fixed.ravel(), relative.ravel(), *moving])


def _components(vectors, directions):
    """Components along orthonormal `directions`; coordinate axes are picked, not multiplied."""
    matrix = np.asarray(directions).reshape(len(directions), vectors.shape[-1])
    if np.array_equal(matrix, np.eye(vectors.shape[-1])):
        return vectors
    picks = np.argmax(matrix, axis=1) if len(matrix) else np.zeros(0, int)
    if np.array_equal(matrix, np.eye(vectors.shape[-1])[picks]):
        return vectors[:, picks]
    return jnp.matmul(vectors, jnp.asarray(matrix.T, vectors.dtype), precision=PRECISION)
