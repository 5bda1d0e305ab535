from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes
from ._rotations import rotation_generators


@final
class Lorentz(AffineGroup):
    """Boosts and rotations of spacetime, the connected Lorentz group SO⁺(D − 1, 1).

    It leaves x·x − c² t² alone, with time t the last of the axes. Generators: the boosts
    δx_j = t, δt = x_j/c², then the rotations as [`noetherax.Rotations`][] lists them; charges: the
    motion of the centre of energy, and the angular momentum. Invariants: the Minkowski products
    x·y − c² t_x t_y of the vectors of a state, and determinants.

    A state is a configuration over a parameter (not time) with its derivative, as in
    L = ½ m ẋ·ẋ with Minkowski's product.

    !!! example

        A boost of rapidity ½ takes an event one unit ahead in time to (sinh ½, cosh ½):

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.Lorentz(2)  # x and t
        event = jnp.array([[0.0, 1.0]])
        moved, _ = group.act(jnp.array([0.5]), event, jnp.zeros((1, 2)))
        assert jnp.allclose(moved, jnp.array([[jnp.sinh(0.5), jnp.cosh(0.5)]]))
        assert jnp.allclose(moved[0, 0] ** 2 - moved[0, 1] ** 2, -1.0)
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes of spacetime, time last; all by default.
    - `speed_of_light`: c, in the units of the coordinates.

    **Raises:**

    `ValueError` if there are fewer than two distinct axes of the space, or the speed of light is not
    positive and finite.
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
        linear = lorentz_generators(self.ambient, self.axes, self.speed_of_light)
        return linear, np.zeros(linear.shape[:2])


def check_spacetime(axes: tuple[int, ...], speed_of_light: float) -> float:
    """The speed of light as a float. Raises if there is no spacetime of these axes."""
    if len(axes) < 2:
        raise ValueError(f"Spacetime needs a spatial axis and one of time, but axes are {axes}.")
    if not 1e-150 < speed_of_light < 1e150:  # its square and the inverse must be numbers
        raise ValueError(
            f"speed_of_light must be positive, from 1e-150 to 1e150, but it is {speed_of_light!r}."
        )
    return float(speed_of_light)


def lorentz_generators(space: int, axes: tuple[int, ...], speed_of_light: float) -> np.ndarray:
    """Boosts along each spatial axis, then rotations of the spatial axes."""
    *spatial, time = axes
    boosts = np.zeros((len(spatial), space, space))
    for generator, axis in enumerate(spatial):
        boosts[generator, axis, time] = 1.0
        boosts[generator, time, axis] = speed_of_light**-2
    return np.concatenate([boosts, rotation_generators(space, tuple(spatial))])
