import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._programs import at_once
from .._types import (
    Configuration,
    FloatArray,
    Generators,
    Time,
    Velocity,
    check_array,
    check_state,
)
from ..algebras import (
    AffineAlgebra,
    CheckedAlgebra,
    affine_exponential,
    check_precision,
    checked_algebra,
    read_algebra,
)
from ..features import ConfigurationFeatures, InvariantFeatures
from ..invariants import affine_configuration_invariants, affine_invariants
from ._base import SymmetryGroup
from ._components import component_representatives
from ._configuration import derived_configuration_features
from ._periods import periods


class AffineGroup(SymmetryGroup):
    """A group of affine maps x → M x + b, the same at every point. Declared by `algebra()` alone.

    !!! example

        Rotations about the z axis and translations along it:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Cylindrical(nx.AffineGroup):
            def algebra(self):
                spin = jnp.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]], jnp.zeros((3, 3))])
                lift = jnp.array([[0.0, 0, 0], [0, 0, 1]])
                return spin, lift


        found = nx.describe(Cylindrical(), points=1)
        assert found.charges == ("q[0] p[1] − q[1] p[0]", "p[2]")
        ```

    **Raises:**

    `ValueError`, at construction and with the evidence, if the generators have wrong shapes, are
    redundant, or do not close under the bracket, or if further components do not normalise the group.
    """

    @abc.abstractmethod
    def algebra(self) -> tuple[Any, Any] | tuple[Any, Any, Any]:
        """The generators ξ_a(q_i) = A_a q_i + b_a of the group, and its further components if any.

        **Returns:**

        The matrices A, shape `(generators, space, space)`, and the shifts b, shape
        `(generators, space)`, as NumPy or JAX arrays. A group that is not connected, such as one with
        reflections, also returns linear maps that reach its other components, shape
        `(maps, space, space)`: features that change under them are dropped. They have no charges.
        """

    def __check_init__(self):
        _checked(self)

    @property
    def space(self) -> int:
        return declared_algebra(self).shift.shape[1]

    @property
    def dimension(self) -> int:
        return declared_algebra(self).shift.shape[0]

    def generators(self, q: Configuration, t: Time = 0.0) -> Generators:
        algebra = _checked(self)
        given = algebra.given
        check_array("q", q, given.shift.shape[1])
        q = jnp.asarray(q)
        check_precision(algebra, q.dtype, type(self).__name__)
        linear, shift = (jnp.asarray(x, q.dtype) for x in (given.linear, given.shift))
        return jnp.einsum("aij,pj->api", linear, q, precision=PRECISION) + shift[:, None, :]

    def act(
        self,
        coefficients: Float[FloatArray, " generators"],
        q: Configuration,
        v: Velocity,
        t: Time = 0.0,
    ) -> tuple[Float[Array, "points space"], Float[Array, "points space"]]:
        algebra = _checked(self)
        count, space = algebra.given.shift.shape
        check_state(q, v, space)
        q, v, coefficients = jnp.asarray(q), jnp.asarray(v), jnp.asarray(coefficients)
        if jnp.shape(coefficients) != (count,):
            raise ValueError(
                f"coefficients must have shape ({count},), one for each generator of "
                f"{type(self).__name__}, but they have shape {jnp.shape(coefficients)}."
            )
        check_precision(algebra, q.dtype, type(self).__name__)
        return at_once(_moved, _written(algebra.given), coefficients, q, v)

    def invariant_features(
        self, points: int, *, determinants: bool = True, max_degree: int = 4
    ) -> InvariantFeatures:
        """Invariant features of `points` points, derived from the generators.

        Axes that the group does not mix are treated apart. Translated ones give relative positions;
        a full orthogonal algebra, of any metric, gives products and determinants of the vectors of
        the state, a full special linear one determinants; any other group the contractions of its
        invariant tensors, found degree by degree until they are complete: as many independent ones
        as the state has coordinates beyond the group's orbits. From there on up to
        min(axes, `max_degree`) those are added that are no polynomials in the ones found; they tell
        apart what the others leave ambiguous, as determinants tell SO(D) from O(D). Coordinates of
        very different size (a speed of light of 3e8) are balanced for the analysis. Coordinates with
        a period ([`noetherax.Periodic`][]) enter by sine and cosine.

        Order: by axes; positions before velocities, then by points; products
        x_i·x_j for i ≤ j, with the squares of differences of relative positions in the place of
        their products, then determinants. For `Rotations(3)` and one point: q·q, q·v, v·v.

        **Arguments:**

        - `points`: number of points.
        - `determinants`: whether to list determinants. Without them features of rotations are
            invariant under reflections too; their number is binomial(2·points, space).
        - `max_degree`: largest degree of the polynomials tried by the general route.

        **Returns:**

        The feature map, a [`noetherax.InvariantFeatures`][].

        **Raises:**

        `ValueError` if `points` is no positive integer, if a coordinate with a period is mixed with
        others, or if polynomials up to `max_degree`, or with tensors of up to 4096 entries, are not
        complete: the message says how many independent invariants were found and are needed. A
        `UserWarning` if the group forces a singular ∂²L/∂v² on so few points, whatever the Lagrangian
        of its invariants.
        """
        if not isinstance(points, int | np.integer) or points < 1:
            raise ValueError(f"points must be a positive integer, but it is {points!r}.")
        return affine_invariants(
            _checked(self),
            int(points),
            type(self).__name__,
            determinants,
            max_degree,
            periods(self),
        )


def declared_algebra(group: AffineGroup) -> AffineAlgebra:
    """What `group.algebra()` returns, brought into shape. Raises if it is no algebra."""
    name = type(group).__name__
    if component_representatives.dispatch(type(group)) is not _components:
        raise TypeError(
            f"component_representatives are registered for {name}, which is an affine group: return "
            f"them from {name}.algebra() instead, as the third part beside linear and shift."
        )
    with jax.ensure_compile_time_eval():
        result = group.algebra()
    return read_algebra(result, name)


def _checked(group: AffineGroup) -> CheckedAlgebra:
    return checked_algebra(declared_algebra(group), type(group).__name__)


@component_representatives.register
def _components(group: AffineGroup) -> np.ndarray:
    return declared_algebra(group).components


@derived_configuration_features.register
def _configuration(
    group: AffineGroup, points: int, determinants: bool, max_degree: int
) -> ConfigurationFeatures:
    return affine_configuration_invariants(
        _checked(group), points, type(group).__name__, determinants, max_degree, periods(group)
    )


def _written(algebra: AffineAlgebra) -> tuple:
    """The numbers of an algebra, by which a program is found whatever class the group is of."""
    return tuple((np.shape(x), np.asarray(x, float).tobytes()) for x in algebra)


def _moved(written: tuple, coefficients, q, v):
    parts = (np.frombuffer(numbers).reshape(shape) for shape, numbers in written)
    linear, shift, tolerance, components = parts
    algebra = AffineAlgebra(linear, shift, float(tolerance), components)
    with jax.default_matmul_precision(PRECISION):
        maps = affine_exponential(algebra, coefficients, q.dtype)
        moved = [(x.position(q[:, x.axes]), x.velocity(v[:, x.axes])) for x in maps]
    back = np.argsort(np.concatenate([x.axes for x in maps]))
    q, v = (jnp.concatenate(parts, axis=1)[:, back] for parts in zip(*moved, strict=True))
    return q, v
