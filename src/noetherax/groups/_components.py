from functools import singledispatch

import numpy as np


@singledispatch
def component_representatives(group) -> np.ndarray:
    """Linear maps of the space that, with the identity component, generate the whole group.

    Generators only know the elements that are connected to the identity. A group may have more, such as
    reflections; features that change under them are no invariants, and they have no charges. A
    [`noetherax.AffineGroup`][] gives one map for every further component where it gives its generators,
    as the third part of `algebra()`. Any other type of group registers them:

        @noetherax.component_representatives.register
        def _(group: MyGroup):
            return np.array([np.diag([1.0, 1.0, -1.0])])

    !!! example

        ```python
        import noetherax as nx

        (mirror,) = nx.component_representatives(nx.Orthogonal(2))
        assert mirror.tolist() == [[-1.0, 0.0], [0.0, 1.0]]
        assert len(nx.component_representatives(nx.Rotations(2))) == 0
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].

    **Returns:**

    An array of shape `(maps, space, space)`; none, unless the group says so.
    """
    return np.zeros((0, group.space, group.space))
