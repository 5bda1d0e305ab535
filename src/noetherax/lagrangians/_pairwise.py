from collections.abc import Callable
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import ExchangeFeatures, Unit
from ._attributes import (
    Attributes,
    are_to_come,
    attributes_of_points,
    checked_column,
    symmetric_attributes,
    symmetric_size,
    values_for,
)
from ._base import Lagrangian
from ._local_networks import LocalNetwork, check_local, check_no_vertex
from ._masses import Masses, masses_of_points, point_masses
from ._pairs import Neighbourhood, Pairs, over_pairs


@final
class PairwiseLagrangian(Lagrangian):
    """L = Σ_i m_i v_i²/2 − Σ_i U(S(q_i), c_i) − Σ_{i<j} φ(S(q_i, q_j), c_i, c_j) for any number of
    points, with neural potentials U and φ of invariant features S and of attributes c of the points.

    One network for all pairs and one for all points, so that the same weights serve any number of
    them: what is learned from six holds for thousands. Acceleration, energy and momentum cost as much
    as there are pairs; no matrix over all coordinates is made.

    - **Symmetry.** For any weights, φ and U are invariant under the declared group, and the charges
      follow as long as the group keeps Σ m_i v_i²: translations, rotations and reflections do. The
      features of two points are made symmetric, see
      [`ExchangeFeatures`][noetherax.features.ExchangeFeatures], and so are their
      attributes: points with the same attributes may be numbered in any way.
    - **Kinetic energy.** It is assumed, with masses that are given or learned. Forces that depend on
      velocity are none of this L: add [`noetherax.Friction`][] of pairs or other forces to it.
    - **Attributes.** Known numbers (masses, charges, a one for each kind of point), or learned from
      where they start. A number of columns says that they come with the data, as inputs u of shape
      `(points·columns,)`, other ones for every system, or from [`noetherax.with_attributes`][]. Where
      such inputs change in time, as the mass of a rocket does, L and its equations of motion change
      with them; of a batch of states without a rate they count as constant. Masses that are learned as
      an attribute may have any sign.
    - **Neighbours.** With a `cutoff` r_c, φ is multiplied by (1 − r²/r_c²)³, twice continuously
      differentiable, and pairs beyond are never evaluated. In a periodic `box`, pairs see each other's
      nearest image, and U depends on no axis that closes. A box needs a cut-off: at half a side the
      nearest image is another one, and the force would jump. A rotation turns the sides of a box, too:
      in one, L and its charges keep the translations of the group alone, and angular momentum changes.

    !!! example

        The same weights for two and for five points, with forces that sum up to none:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        model = nx.PairwiseLagrangian(nx.Euclidean(3), width=8, key=jax.random.key(0))
        for points in (2, 5):
            q, v = jax.random.normal(jax.random.key(1), (2, points, 3))
            a = nx.acceleration(model, q, v)
            assert jnp.allclose(jnp.sum(a, axis=0), 0, atol=1e-3)
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][]: its `configuration_features` of one and of two points
        are what the potentials see.
    - `width`, `depth`, `activation`, `dtype`, `key`: of each network, as in
        [`noetherax.NeuralLagrangian`][].
    - `masses`: a number, or one for each point.
    - `train_masses`: whether these are where training starts.
    - `mass_attribute`: the column of the attributes that holds the masses, instead.
    - `strength`: the column of the attributes whose product c_i c_j multiplies φ, and which φ then does
        not see: the mass under gravity, or the charge.
    - `attributes`: `None`, an array of shape `(points, columns)`, or the number of columns of those to
        come.
    - `train_attributes`: whether the attributes given are where training starts.
    - `attribute_unit`: the size of each column, if they are to come or differ much from those given;
        by default the largest of those given, or, of those to come, in the data of the first
        [`noetherax.fit`][]; units of one throughout are taken for none given.
    - `cutoff`: distance beyond which points do not see each other.
    - `box`: lengths of the axes of a periodic box, infinite for those that do not close. It breaks
        the symmetry under rotations that move its axes.
    - `neighbours`: most neighbours within the cut-off, in the mean over points.

    **Raises:**

    `ValueError` or `TypeError` if the group has no invariants of two points, masses are not positive,
    attributes have no such shape, or cut-off or box break the symmetry of the features.
    """

    pair: LocalNetwork
    vertex: LocalNetwork | None
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
        if isinstance(group, type) or not hasattr(group, "configuration_features"):
            raise TypeError(
                "A PairwiseLagrangian is made from a group, such as noetherax.Euclidean(3), whose "
                f"invariants of one and of two points it takes, but got {group!r:.200}."
            )
        self.space = group.space
        self.neighbourhood = Neighbourhood(self.space, cutoff, box, neighbours)
        told = attributes_of_points(attributes, attribute_unit, train_attributes, dtype)
        self.attributes, self.learned, columns = told
        self.mass_attribute = checked_column("mass_attribute", mass_attribute, columns)
        self.strength = checked_column("strength", strength, columns)
        self.masses = point_masses(masses, train_masses, self.mass_attribute, dtype)
        keys = jax.random.split(key)
        seen = columns - (self.strength is not None)
        of_pairs = ExchangeFeatures(group.configuration_features(2), self.space)
        check_local(of_pairs, self.space, self.neighbourhood)
        options: dict[str, Any] = dict(width=width, depth=depth, activation=activation, dtype=dtype)
        self.pair = LocalNetwork(of_pairs, symmetric_size(seen), key=keys[0], **options)
        of_points = group.configuration_features(1)
        check_no_vertex(of_points, self.space, self.neighbourhood)
        self.vertex = None
        if of_points.num_features:
            self.vertex = LocalNetwork(of_points, columns, key=keys[1], **options)
        self.energy_unit = Unit.of("energy", 1.0, dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v, self.space)
        q, v = jnp.asarray(q), jnp.asarray(v)
        masses = jnp.asarray(self.mass_of(len(q)), v.dtype)
        kinetic = jnp.sum(masses[:, None] * jnp.square(v)) / 2
        return kinetic - self.potential(q)

    def potential(self, q: Configuration) -> Float[Array, ""]:
        """Evaluates the potential energy of a configuration, a scalar."""
        q = jnp.asarray(q)
        known = self.known_attributes(len(q))

        def added(total, pairs: Pairs):
            first, second, present = pairs
            states, apart = self.neighbourhood.states(q[first], q[second])
            attributes, strength = self.of_pairs(known[first], known[second])
            taper = self.neighbourhood.taper(jnp.sum(jnp.square(apart), axis=1))
            values = strength * taper * self.pair(states, attributes)
            return total + jnp.sum(values if present is None else jnp.where(present, values, 0))

        with full_precision():
            start = jnp.zeros((), jnp.result_type(q, self.energy_unit.value))
            total = over_pairs(added, start, self.neighbourhood, q)
            if self.vertex is not None:
                total += jnp.sum(self.vertex(q[:, None], known))
            return self.energy_unit.value * total

    @property
    def takes_attributes(self) -> bool:
        """Whether the attributes are inputs, and none are there."""
        return self.learned is None and are_to_come(self.attributes)

    def of_pairs(self, first, second) -> tuple[Array, Array]:
        """What the network sees of the attributes of pairs, and by what its value is multiplied."""
        if self.strength is None:
            return symmetric_attributes(first, second), jnp.ones((), first.dtype)
        strength = first[..., self.strength] * second[..., self.strength]
        seen = np.delete(np.arange(first.shape[-1]), self.strength)
        return symmetric_attributes(first[..., seen], second[..., seen]), strength

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
