from functools import singledispatch

import numpy as np


@singledispatch
def periods(group) -> np.ndarray:
    """The periods of the coordinates of one point: an angle θ and θ + 2π are the same place.

    Compose a group with [`noetherax.Periodic`][] to declare periods. Its invariant features, the laws
    and [`noetherax.evaluate`][] then know of them; generators and charges stay. A type of group whose
    coordinates always have a period registers it:

        @noetherax.periods.register
        def _(group: MyGroup):
            return np.array([np.inf, 2 * np.pi])

    !!! example

        A turntable, with its angle in degrees and a slider at any height:

        ```python
        import noetherax as nx

        turntable = nx.Translations(2, axes=(1,)) * nx.Periodic(2, axes=(0,), period=360.0)
        assert nx.periods(turntable).tolist() == [360.0, float("inf")]
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].

    **Returns:**

    An array of shape `(space,)`, infinite for a coordinate that has no period.
    """
    return np.full(group.space, np.inf)
