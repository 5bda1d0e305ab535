from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import AtRest, RelativeVelocities, Unit, WithoutVelocity
from ._attributes import (
    Attributes,
    are_to_come,
    attributes_of_points,
    checked_column,
    values_for,
)
from ._base import Lagrangian
from ._local_networks import check_local, check_no_vertex
from ._masses import Masses, masses_of_points, point_masses
from ._moving_networks import MovingNetwork, check_kinetic
from ._pairs import Neighbourhood, Pairs, over_pairs


@final
class GeneralPairwiseLagrangian(Lagrangian):
    """L = Σ_i m_i v_i²/2 + Σ_i ψ(S(q_i, v_i), c_i) + Σ_{i<j} φ(S(q_i, q_j, v_i, v_j), c_i, c_j) for any
    number of points, with networks ψ and φ of the invariants S of *states* and of attributes c.

    As [`noetherax.PairwiseLagrangian`][], whose potentials see positions alone, but for forces that
    depend on velocities and derive from a Lagrangian: charges with Darwin's interaction, masses joined
    by inerters, bodies that drag a fluid along, relativistic corrections. Where there are none, that
    type is the one to take: its acceleration is a division.

    - **Symmetry.** For any weights ψ and φ are invariant under the declared group, which has to keep
      |v|²: the charges follow. φ is the mean over both orders of a pair, so that it may be any
      function of the two points and their attributes that is the same for both.
    - **Boosts.** With `relative_velocities`, pairs see their relative velocity alone, and ψ no
      velocity: then L changes by dK/dt under a Galilean boost, with K = Σ m_i q_i as for free points.
    - **Acceleration.** The masses m make ∂²L/∂v² regular from the start. Many points are solved for
      without a matrix, by conjugate gradients in units of these masses, and few by elimination.
    - **What data tell.** Accelerations of systems of one number of *equal* masses leave φ free by a
      multiple of |v_i − v_j|², which together only scales their relative motion, and then the law does
      not hold for other numbers. Unequal masses, or those that differ from system to system
      (`mass_attribute`), decide.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        law = nx.GeneralPairwiseLagrangian(
            nx.Euclidean(2), width=4, relative_velocities=True, key=jax.random.key(0)
        )
        q, v = jax.random.normal(jax.random.key(1), (2, 3, 2))
        a = nx.acceleration(law, q, v)
        assert jnp.allclose(jnp.sum(a, axis=0), 0, atol=1e-3)  # momentum stays
        # One velocity more of all points changes no force.
        assert jnp.allclose(nx.acceleration(law, q, v + 1.0), a, atol=1e-3)
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][]: its `invariant_features` of one and of two points are
        what the networks see.
    - `relative_velocities`: whether pairs see each other's relative velocity alone.
    - `width`, `depth`, `masses`, `train_masses`, `mass_attribute`, `strength`, `attributes`,
        `train_attributes`, `attribute_unit`, `cutoff`, `box`, `neighbours`, `activation`, `dtype`,
        `key`: as in [`noetherax.PairwiseLagrangian`][].

    **Raises:**

    `ValueError` or `TypeError` as there, or if the group does not keep |v|².
    """

    pair: MovingNetwork
    vertex: MovingNetwork | None
    energy_unit: Unit
    masses: Masses
    attributes: Attributes | None
    learned: Float[Array, "points columns"] | None
    neighbourhood: Neighbourhood
    mass_attribute: int | None = eqx.field(static=True)
    strength: int | None = eqx.field(static=True)
    space: int = eqx.field(static=True)

    def __init__(
        self,
        group: Any,
        width: SupportsIndex = 64,
        depth: SupportsIndex = 2,
        *,
        relative_velocities: Any = False,
        masses: Any = 1.0,
        train_masses: bool = False,
        mass_attribute: int | None = None,
        strength: int | None = None,
        attributes: Any = None,
        train_attributes: bool = False,
        attribute_unit: Any = None,
        cutoff: Any = None,
        box: Any = None,
        neighbours: int = 64,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        if isinstance(group, type) or not hasattr(group, "invariant_features"):
            raise TypeError(
                "A GeneralPairwiseLagrangian is made from a group, such as noetherax.Euclidean(3), "
                f"whose invariants of one and of two points it takes, but got {group!r:.200}."
            )
        if not isinstance(relative_velocities, bool | np.bool_):
            raise TypeError(
                f"relative_velocities must be True or False, but it is {relative_velocities!r}."
            )
        check_kinetic(group)
        self.space = group.space
        self.neighbourhood = Neighbourhood(self.space, cutoff, box, neighbours)
        told = attributes_of_points(attributes, attribute_unit, train_attributes, dtype)
        self.attributes, self.learned, columns = told
        self.mass_attribute = checked_column("mass_attribute", mass_attribute, columns)
        self.strength = checked_column("strength", strength, columns)
        self.masses = point_masses(masses, train_masses, self.mass_attribute, dtype)
        of_pairs = group.invariant_features(2)
        check_local(AtRest(2, self.space, (of_pairs,)), self.space, self.neighbourhood)
        if relative_velocities:
            of_pairs = RelativeVelocities(of_pairs, 2, self.space)
            of_points = WithoutVelocity(group.configuration_features(1))
        else:
            of_points = group.invariant_features(1)
        check_no_vertex(AtRest(1, self.space, (of_points,)), self.space, self.neighbourhood)
        keys = jax.random.split(key)
        options: dict[str, Any] = dict(width=width, depth=depth, activation=activation, dtype=dtype)
        seen = columns - (self.strength is not None)
        self.pair = MovingNetwork(of_pairs, 2 * seen, key=keys[0], **options)
        self.vertex = None
        if of_points.num_features:
            self.vertex = MovingNetwork(of_points, columns, key=keys[1], **options)
        self.energy_unit = Unit.of("energy", 1.0, dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v, self.space)
        q, v = jnp.asarray(q), jnp.asarray(v)
        known = self.known_attributes(len(q))

        def added(total, pairs: Pairs):
            values = self.of_pairs(*self.pair_states(q, v, known, pairs))
            present = pairs.present
            return total + jnp.sum(values if present is None else jnp.where(present, values, 0))

        with full_precision():
            masses = jnp.asarray(self.mass_of(len(q)), v.dtype)
            kinetic = jnp.sum(masses[:, None] * jnp.square(v)) / 2
            start = jnp.zeros((), jnp.result_type(q, self.energy_unit.value))
            total = over_pairs(added, start, self.neighbourhood, q)
            if self.vertex is not None:
                total += jnp.sum(self.vertex(q[:, None], v[:, None], known[:, None]))
            return kinetic + self.energy_unit.value * total

    def pair_states(self, q, v, known, pairs: Pairs) -> tuple[Array, Array, Array]:
        """States and attributes of pairs, shape `(pairs, 2, ...)`, in a box of nearest images."""
        first, second, _ = pairs
        places, _ = self.neighbourhood.states(q[first], q[second])
        moving, attributes = (jnp.stack([x[first], x[second]], axis=1) for x in (v, known))
        return places, moving, attributes

    def of_pairs(self, q, v, known) -> Float[Array, " pairs"]:
        """φ of many pairs, with its cut-off and strength."""
        return self.weight(q, known) * self.pair(q, v, self.seen(known))

    def seen(self, known: Float[Array, "pairs 2 columns"]) -> Float[Array, "pairs 2 seen"]:
        """The attributes of pairs that the network sees."""
        return known if self.strength is None else jnp.delete(known, self.strength, axis=-1)

    def weight(self, q: Float[Array, "pairs 2 space"], known) -> Float[Array, " pairs"]:
        """What the network's value is multiplied by, of pairs."""
        taper = self.neighbourhood.taper(jnp.sum(jnp.square(q[:, 1] - q[:, 0]), axis=1))
        if self.strength is None:
            return taper
        charge = known[..., self.strength]
        return charge[:, 0] * charge[:, 1] * taper

    @property
    def takes_attributes(self) -> bool:
        """Whether the attributes are inputs, and none are there."""
        return self.learned is None and are_to_come(self.attributes)

    def mass_of(self, points: int) -> Any:
        """The masses of so many points, shape `(*batch, points)`."""
        if self.mass_attribute is not None:
            return self.attribute_values(points)[..., self.mass_attribute]
        return masses_of_points(self.masses, points)

    def attribute_values(self, points: int) -> Float[Array, "*batch points columns"]:
        """The attributes of the points, in their own units."""
        if self.attributes is None:
            return jnp.zeros((points, 0), self.energy_unit.value.dtype)
        return values_for(self.attributes, self.learned, points)

    def known_attributes(self, points: int) -> Float[Array, "*batch points columns"]:
        """The same in units of each column, as networks see them."""
        values = self.attribute_values(points)
        return values if self.attributes is None else values / self.attributes.unit
