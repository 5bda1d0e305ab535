"""Polynomials through short windows of observations."""

import numpy as np
from numpy.polynomial import legendre


def derivatives(degree: int, places, half: float) -> np.ndarray:
    """Values, slopes and curvatures of the Legendre polynomials up to a degree.

    **Arguments:**

    - `places`: where, from −1 to 1.
    - `half`: time from the middle of the window to its end, the unit of `places`.

    **Returns:**

    An array of shape `(3, places, degree + 1)`, in float64.
    """
    units = np.eye(degree + 1)
    orders = [legendre.legder(units, order, axis=1) / half**order for order in range(3)]
    return np.stack([legendre.legval(places, units.T).T for units in orders])
