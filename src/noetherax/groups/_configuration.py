from functools import singledispatch

from ..features import ConfigurationFeatures


@singledispatch
def derived_configuration_features(
    group, points: int, determinants: bool, max_degree: int
) -> ConfigurationFeatures:
    """What the generators of a type of group say of its invariants of the configuration alone.

    Raises a `TypeError` that says what to write, for groups of which nothing can be derived.
    """
    name = type(group).__name__
    raise TypeError(
        f"{name} is no AffineGroup, so that its invariants of the configuration cannot be derived "
        "from its generators. Write a subclass of noetherax.ConfigurationFeatures with num_features "
        "and __call__(q), functions S with ∂S/∂q · ξ = 0 for every generator ξ, return it from "
        f"{name}.configuration_features(points), and check it with "
        "noetherax.testing.check_configuration_features."
    )
