from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._vectors import on_axes


@final
class PeriodicCoordinates(InvariantFeatures):
    """Coordinates of period P, by sine and cosine of 2π q/P: what is unchanged if any one point is
    shifted by a whole period.

    1. for each point sine and cosine of the coordinates along the axes that are *not* translated,
    2. for each point but the last those of q_i − q_n along the axes that *are*,
    3. every component of every velocity, unless `velocities=False`.

    In 1. and 2. all sines come first. Sines and cosines of any sum or difference that occurs are
    polynomials in these.

    !!! example

        An angle in degrees:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        angle = nx.PeriodicCoordinates(points=1, space=1, axes=(0,), periods=(360.0,))
        assert nx.feature_names(angle) == ("sin q[0]", "cos q[0]", "v[0]")
        q, v = jnp.array([[30.0]]), jnp.array([[2.0]])
        assert jnp.allclose(angle(q + 360, v), jnp.array([0.5, 0.75**0.5, 2.0]), atol=1e-5)
        ```

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `axes`: the axes considered.
    - `periods`: one for each of them, in the unit of the coordinate.
    - `translated`: those of the `axes` along which the group translates all points together.
    - `velocities`: whether the velocities are among the features.

    **Raises:**

    `ValueError` if there is not one period for each axis, or a translated axis is none of the `axes`.
    """

    points: int = eqx.field(static=True)
    space: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    periods: tuple[float, ...] = eqx.field(static=True)
    translated: tuple[int, ...] = eqx.field(static=True)
    velocities: bool = eqx.field(static=True)

    def __init__(
        self,
        points: int,
        space: int,
        axes: tuple[int, ...],
        periods: tuple[float, ...],
        translated: tuple[int, ...] = (),
        *,
        velocities: bool = True,
    ):
        if len(periods) != len(axes):
            raise ValueError(
                f"{len(axes)} axes need as many periods, but {len(periods)} are given."
            )
        if not set(translated) <= set(axes):
            raise ValueError(f"translated axes {translated} must be among the axes {axes}.")
        self.points = points
        self.space = space
        self.axes = axes
        self.periods = periods
        self.translated = translated
        self.velocities = velocities

    @property
    def num_features(self) -> int:
        n, moved = self.points, len(self.translated)
        turns = n * (len(self.axes) - moved) + (n - 1) * moved
        return 2 * turns + n * len(self.axes) * self.velocities

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        q, v = on_axes(q, v, self.points, self.space, self.axes)
        moved = np.array([axis in self.translated for axis in self.axes])
        periods = np.asarray(self.periods)
        fixed = _circle(q[:, ~moved], periods[~moved])
        relative = _circle((q[:-1] - q[-1:])[:, moved], periods[moved])
        moving = [v.ravel()] if self.velocities else []
        return jnp.concatenate([*fixed, *relative, *moving])


def _circle(q, periods):
    """Sines and cosines, each in one row."""
    angle = (q * jnp.asarray(2 * np.pi / periods, q.dtype)).ravel()
    return jnp.sin(angle), jnp.cos(angle)
