"""From an affine algebra to its invariants of the configuration alone."""

import numpy as np

from ..algebras import AffineAlgebra, CheckedAlgebra, checked_algebra
from ..features import AtRest, ConfigurationFeatures
from ._affine import invariant_parts
from ._comoving import comoving_invariants
from ._errors import IllConditioned, Incomplete


def affine_configuration_invariants(
    algebra: CheckedAlgebra,
    points: int,
    name: str,
    determinants: bool,
    max_degree: int,
    periods: np.ndarray,
) -> ConfigurationFeatures:
    """Features of `points` points at rest, for the arguments of `affine_invariants`; there may be none.

    Those of a group with a screw, which are no polynomials, are polynomials in axes that turn with it.
    """
    options = points, name, determinants, max_degree, periods
    try:
        parts = invariant_parts(algebra, *options, velocities=False)
    except (IllConditioned, Incomplete):

        def of_ideal(ideal: AffineAlgebra) -> ConfigurationFeatures:
            return affine_configuration_invariants(checked_algebra(ideal, name), *options)

        found = comoving_invariants(algebra, points, periods, of_ideal)
        if found is None:
            raise
        return found
    return AtRest(points, len(periods), tuple(part for part in parts if part.num_features))
