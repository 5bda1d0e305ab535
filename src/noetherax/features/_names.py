from functools import singledispatch
from itertools import combinations_with_replacement

import numpy as np

from .._summaries import counted, listed
from ._base import InvariantFeatures
from ._comoving import Comoving
from ._concatenation import Concatenation
from ._configuration import AtRest, ConfigurationFeatures
from ._contractions import TensorContractions
from ._coordinates import Coordinates
from ._determinants import Determinants
from ._periodic import PeriodicCoordinates
from ._scalar_products import ScalarProducts


@singledispatch
def feature_names(features: InvariantFeatures | ConfigurationFeatures) -> tuple[str, ...]:
    """Names of the features, in the order of their values, for tables and diagrams.

    Points count from 1, as in textbooks: q1·v2 is the product of the position of the first point with
    the velocity of the second. If there is only one point it has no number. `q[0, 2]` are the
    components of q along the axes 0 and 2; products with another metric than the identity are
    ⟨q, v⟩, and T1, T2, … invariant tensors without a name of their own. A prime says that positions are
    carried back along a screw.

    !!! example

        ```python
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(points=1)
        assert nx.feature_names(features) == ("q·q", "q·v", "v·v")
        ```

    **Arguments:**

    - `features`: invariant features, of the state or of the configuration. Register names for
        your own with `feature_names.register`; otherwise they are S1, S2, ….

    **Returns:**

    As many names as there are features.
    """
    return tuple(f"S{i + 1}" for i in range(features.num_features))


def described(features: InvariantFeatures | ConfigurationFeatures) -> str:
    """A map of features in one line: how many there are, and their names."""
    count = counted(features.num_features, "feature")
    names = feature_names(features)
    told = f": {listed(names)}" if names and names[0] != "S1" else ""
    return f"{type(features).__name__}({count}{told})"


@feature_names.register(Concatenation)
@feature_names.register(AtRest)
def _(features: Concatenation | AtRest):
    return tuple(name for part in features.parts for name in feature_names(part))


@feature_names.register
def _(features: Comoving):
    names = feature_names(features.inner)
    return tuple(f"{names[i]}'" for i in features.kept)


@feature_names.register
def _(features: ScalarProducts):
    labels = features.vectors.labels()
    pattern = "{}·{}" if features.metric is None else "⟨{}, {}⟩"
    among = features.vectors.num_differences

    def name(i: int, j: int) -> str:
        if i < j < among:
            between = features.vectors.label_between(i, j)
            return pattern.format(between, between)
        return pattern.format(labels[i], labels[j])

    count = range(len(labels))
    return tuple(name(i, j) for i, j in combinations_with_replacement(count, 2))


@feature_names.register
def _(features: Determinants):
    labels = features.vectors.labels()
    return tuple(f"det({', '.join(labels[i] for i in chosen)})" for chosen in features.subsets)


@feature_names.register
def _(features: TensorContractions):
    labels = features.vectors.labels()
    return tuple(
        f"T{index}({', '.join(labels[i] for i in chosen)})"
        for index, tuples in enumerate(features.slots, 1)
        for chosen in tuples
    )


@feature_names.register
def _(features: Coordinates):
    n = features.points
    numbers = [str(i + 1) for i in range(n)] if n > 1 else [""]
    everything = np.eye(len(features.axes))
    groups = (
        ([f"q{i}" for i in numbers], features.fixed),
        ([f"(q{i}-q{n})" for i in numbers[:-1]], features.translated),
        ([f"v{i}" for i in numbers if features.velocities], everything),
    )
    return tuple(
        vector + _direction(direction, features.axes)
        for vectors, directions in groups
        for vector in vectors
        for direction in directions
    )


@feature_names.register
def _(features: PeriodicCoordinates):
    n = features.points
    numbers = [str(i + 1) for i in range(n)] if n > 1 else [""]
    fixed = [axis for axis in features.axes if axis not in features.translated]
    positions = (
        [f"q{i}[{axis}]" for i in numbers for axis in fixed],
        [f"(q{i}-q{n})[{axis}]" for i in numbers[:-1] for axis in features.translated],
    )
    turns = [f"{name} {x}" for group in positions for name in ("sin", "cos") for x in group]
    moving = numbers if features.velocities else []
    return (*turns, *(f"v{i}[{axis}]" for i in moving for axis in features.axes))


def _direction(direction, axes: tuple[int, ...]) -> str:
    """The component along a direction: of an axis, or with the unit vector."""
    direction = np.asarray(direction)
    chosen = np.flatnonzero(direction)
    if len(chosen) == 1 and direction[chosen[0]] == 1:
        return f"[{axes[chosen[0]]}]"
    terms = ", ".join(f"{x:.2g}" for x in direction)
    return f"[{', '.join(map(str, axes))}]·({terms})"
