from typing import final

import equinox as eqx
import numpy as np

from ._affine import AffineGroup
from ._axes import select_axes


@final
class Translations(AffineGroup):
    """Translations of all points together along `axes`; the charge is the total momentum Σ_i p_i.

    (Müller 2023, Eqs. 26 and 32.)

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.Translations(1)
        features = group.invariant_features(points=2)
        assert nx.feature_names(features) == ("(q1-q2)[0]", "v1[0]", "v2[0]")
        masses = jnp.array([[1.0], [3.0]])
        charge = group.noether_charge(lambda q, v: jnp.sum(masses * v**2) / 2)
        q, v = jnp.zeros((2, 1)), jnp.array([[2.0], [-1.0]])
        assert charge(q, v).tolist() == [-1.0]  # 1 · 2 − 3 · 1
        ```

    **Arguments:**

    - `space`: number of coordinates of one point.
    - `axes`: the axes along which to translate, all by default.

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
        return np.zeros((len(self.axes), self.ambient, self.ambient)), shift
