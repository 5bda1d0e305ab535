import abc
from typing import TYPE_CHECKING, final, overload

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from .._summaries import counted, fields
from .._types import Configuration, FloatArray, Generators, Time, Velocity, check_static
from ..charges import MomentumMap, NoetherCharge
from ..features import ConfigurationFeatures, InvariantFeatures
from ._configuration import derived_configuration_features

if TYPE_CHECKING:
    from ._affine import AffineGroup


class SymmetryGroup(eqx.Module):
    """A Lie group that acts on configurations point by point.

    The one declaration from which the rest is derived: the invariant features that make a neural
    Lagrangian symmetric, and the Noether charges of any Lagrangian. To declare a group that acts by
    affine maps, subclass [`noetherax.AffineGroup`][] instead, which needs its matrices only.

    !!! example

        Galilean boosts of points on a line, ξ = t. They change L = m v²/2 by the time derivative of
        K = m q:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Boosts(nx.SymmetryGroup):
            space: int = 1
            dimension: int = 1

            def generators(self, q, t=0.0):
                return jnp.full((1, *q.shape), t)

            def act(self, coefficients, q, v, t=0.0):
                return q + t * coefficients, v + coefficients

            def invariant_features(self, points):
                features = nx.Translations(1).invariant_features(points)
                return nx.features.RelativeVelocities(features, points, 1)


        def free(q, v):
            return 3.0 * jnp.sum(v**2) / 2


        def boundary(q, t):
            return 3.0 * jnp.sum(q)[None]


        charge = Boosts().noether_charge(free, boundary=boundary)
        q, v = jnp.array([[1.0]]), jnp.array([[0.5]])
        assert charge(q, v, 0.0) == charge(q + 2 * v, v, 2.0)  # where the motion started
        ```
    """

    if TYPE_CHECKING:
        # To a type checker an AbstractVar is an argument of every subclass, `AboutTheAxis()` an error.
        @property
        def space(self) -> int: ...
        @property
        def dimension(self) -> int: ...
    else:
        space: eqx.AbstractVar[int]
        """Number of coordinates of one point."""

        dimension: eqx.AbstractVar[int]
        """Number of generators."""

    def __check_init__(self):
        check_static(self)

    def __repr__(self) -> str:
        held = fields(self)
        count = f"{counted(self.dimension, 'generator')} on {counted(self.space, 'coordinate')}"
        return f"{type(self).__name__}({held}{'; ' if held else ''}{count})"

    @abc.abstractmethod
    def generators(self, q: Configuration, t: Time = 0.0) -> Generators:
        """The generators ξ_a(q, t): d/ds of the a-th one-parameter subgroup at s = 0.

        **Arguments:**

        - `q`: configuration, shape `(points, space)`.
        - `t`: time.

        **Returns:**

        Shape `(dimension, points, space)`.
        """

    @abc.abstractmethod
    def act(
        self,
        coefficients: Float[FloatArray, " generators"],
        q: Configuration,
        v: Velocity,
        t: Time = 0.0,
    ) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
        """The finite action of exp(Σ_a c_a ξ_a) on a state.

        **Arguments:**

        - `coefficients`: exponential coordinates c_a, shape `(dimension,)`.
        - `q`, `v`: configuration and velocity, shape `(points, space)`.
        - `t`: time.

        **Returns:**

        `(h·q, h_* v)`.
        """

    @abc.abstractmethod
    def invariant_features(self, points: int) -> InvariantFeatures:
        """Invariant features of `points` points, complete up to a finite ambiguity.

        **Arguments:**

        - `points`: number of points.

        **Returns:**

        The feature map, a [`noetherax.InvariantFeatures`][].
        """

    def configuration_features(
        self, points: int, *, determinants: bool = True, max_degree: int = 4
    ) -> ConfigurationFeatures:
        """Features of the configuration alone that are invariant, complete up to a finite ambiguity:
        as many independent ones as the configuration has coordinates beyond the group's orbits.

        Friction of them and of their rates keeps every charge. There may be none, such as of one point
        under all translations. An affine group derives them from its generators, by the rules of
        [`noetherax.AffineGroup.invariant_features`][] with positions in place of states; any other type
        of group has to define this method, with `points` alone.

        **Arguments:**

        - `points`: number of points.
        - `determinants`, `max_degree`: as in [`noetherax.AffineGroup.invariant_features`][].

        **Returns:**

        The feature map, a [`noetherax.ConfigurationFeatures`][].

        **Raises:**

        `TypeError` if the group is not affine and does not define them; else `ValueError`, as
        [`noetherax.AffineGroup.invariant_features`][] does.
        """
        if not isinstance(points, int | np.integer) or points < 1:
            raise ValueError(f"points must be a positive integer, but it is {points!r}.")
        return derived_configuration_features(self, int(points), determinants, max_degree)

    @final
    def noether_charge(self, lagrangian, *, boundary=None) -> NoetherCharge:
        """The Noether charges of this group for a Lagrangian, I_a = ∂L/∂v · ξ_a − K_a.

        Conserved if the Lagrangian has the symmetry. For one that does not, such as an unconstrained
        network, the same quantity measures what is lost.

        **Arguments:**

        - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
        - `boundary`: K, a function `(q, t) -> (dimension,)`, if L changes by dK/dt; else zero.

        **Returns:**

        A [`noetherax.NoetherCharge`][] `charge(q, v, t=0.0)` of shape `(dimension,)`.
        """
        return MomentumMap(lagrangian, self.generators, boundary)

    @overload
    def __mul__(self: "AffineGroup", other: "AffineGroup") -> "AffineGroup": ...
    @overload
    def __mul__(self, other: "SymmetryGroup") -> "SymmetryGroup": ...
    def __mul__(self, other: "SymmetryGroup") -> "SymmetryGroup":
        """The group generated by both, acting on the same space."""
        from ._product import product

        return product(self, other)
