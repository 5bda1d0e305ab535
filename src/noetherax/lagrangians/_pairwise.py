from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, FloatArray, Velocity, check_state
from ..features import (
    ExchangeFeatures,
    Unit,
    linear_weights,
    standardisation_of,
    standardised_part,
)
from ._attributes import (
    NO_ATTRIBUTES,
    Attributes,
    checked_attributes,
    symmetric_attributes,
    symmetric_size,
)
from ._base import Lagrangian
from ._local_networks import LocalNetwork, check_local, check_no_vertex
from ._masses import Masses
from ._pairs import Neighbourhood, Pairs, over_pairs

MOST = 100_000
"""Most pairs by whose features a standardisation is set."""


@final
class PairwiseLagrangian(Lagrangian):
    """L = Σ_i m_i v_i²/2 − Σ_i U(S(q_i), c_i) − Σ_{i<j} φ(S(q_i, q_j), c_i, c_j) for any number of
    points, with neural potentials U and φ of invariant features S and of attributes c of the points.

    One network for all pairs and one for all points, so that the same weights serve any number of
    them: what is learned from six holds for thousands. Acceleration, energy and momentum cost as much
    as there are pairs; no matrix over all coordinates is ever made.

    - **Symmetry.** For any weights, φ and U are invariant under the declared group, and the charges
      follow as long as the group keeps Σ m_i v_i²: translations, rotations and reflections do. The
      features of two points are made symmetric, see
      [`ExchangeFeatures`][noetherax.features.ExchangeFeatures], and so are their
      attributes: points with the same attributes may be numbered in any way.
    - **Kinetic energy.** It is assumed, with masses that are given or learned. Forces that depend on
      velocity are none of this L: add [`noetherax.Friction`][] of pairs or other forces to it.
    - **Attributes.** Known numbers (masses, charges, a one for each kind of point), or learned from
      where they start. A number of columns says that they come with the data, as inputs u of shape
      `(points·columns,)`, other ones for every system, or from [`noetherax.with_attributes`][].
    - **Neighbours.** With a `cutoff` r_c, φ is multiplied by (1 − r²/r_c²)³, twice continuously
      differentiable, and pairs beyond are never evaluated. In a periodic `box`, pairs see each other's
      nearest image, and U depends on no axis that closes.

    !!! example

        ```python
        import jax
        import noetherax as nx

        model = nx.PairwiseLagrangian(nx.Euclidean(3), width=16, key=jax.random.key(0))
        for points in (2, 5):
            q, v = jax.random.normal(jax.random.key(1), (2, points, 3))
            a = nx.acceleration(model, q, v)
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
        the largest of those given, or one, by default.
    - `cutoff`: distance beyond which points do not see each other.
    - `box`: lengths of the axes of a periodic box, infinite for those that do not close.
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
        width: int = 64,
        depth: int = 2,
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
        self.attributes = (
            None if attributes is None else Attributes.of(attributes, attribute_unit, dtype)
        )
        columns = 0 if self.attributes is None else self.attributes.columns
        self.learned = _learned(self.attributes, train_attributes)
        self.mass_attribute = _checked_column("mass_attribute", mass_attribute, columns)
        self.strength = _checked_column("strength", strength, columns)
        if mass_attribute is not None and (train_masses or np.ndim(masses) or masses != 1.0):
            raise ValueError("Give masses, or mass_attribute, but not both.")
        self.masses = Masses(masses, train_masses, dtype)
        if np.ndim(self.masses.given) > 1:
            raise ValueError(
                "masses must be a number or one for each point, but they are a matrix."
            )
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
        q, v = self.checked(q, v)
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
        if self.attributes is None or self.learned is not None:
            return False
        return self.attributes.values is None

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
        masses = self.masses()
        if np.shape(masses) not in ((), (points,)):
            raise ValueError(
                f"These masses are of {len(masses)} points, but the configuration has {points}."
            )
        library = jnp if isinstance(masses, jax.Array) else np
        return library.broadcast_to(masses, (points,))

    def attribute_values(self, points: int) -> Float[Array, "*batch points columns"]:
        """The attributes of the points, in their own units."""
        if self.attributes is None:
            return jnp.zeros((points, 0), self.energy_unit.value.dtype)
        if self.learned is not None:
            values = self.learned * self.attributes.unit
        elif self.attributes.values is None:
            raise ValueError(NO_ATTRIBUTES)
        else:
            values = self.attributes.values
        if values.shape[-2] != points:
            raise ValueError(
                f"There are attributes of {values.shape[-2]} points, but the configuration has "
                f"{points}. noetherax.with_attributes(model, attributes) gives those of other points."
            )
        return values

    def known_attributes(self, points: int) -> Float[Array, "*batch points columns"]:
        """The same in units of each column, as networks see them."""
        values = self.attribute_values(points)
        return values if self.attributes is None else values / self.attributes.unit

    def checked(self, q, v) -> tuple[Array, Array]:
        """A state as JAX arrays, if it has the right number of axes."""
        check_state(q, v, self.space)
        return jnp.asarray(q), jnp.asarray(v)


def with_attributes(
    model: PairwiseLagrangian, attributes: Float[FloatArray, "points columns"]
) -> PairwiseLagrangian:
    """The same law for other points: the weights stay, the attributes are new.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        model = nx.PairwiseLagrangian(nx.Euclidean(2), 8, attributes=1, key=jax.random.key(0))
        charged = nx.with_attributes(model, jnp.array([[1.0], [-1.0], [1.0]]))
        energy = nx.energy(charged, jnp.eye(3, 2), jnp.zeros((3, 2)))
        ```

    **Arguments:**

    - `model`: a [`noetherax.PairwiseLagrangian`][] that has attributes.
    - `attributes`: of each point, shape `(points, columns)`.

    **Returns:**

    A model for as many points.

    **Raises:**

    `ValueError` or `TypeError` if the attributes are not finite numbers of that shape.
    """
    if not isinstance(model, PairwiseLagrangian) or model.attributes is None:
        raise TypeError(
            "with_attributes takes a PairwiseLagrangian that was made with attributes, but got "
            f"{type(model).__name__}."
        )
    values = checked_attributes(attributes)
    if values.shape[1] != model.attributes.columns:
        raise ValueError(
            f"The model has {model.attributes.columns} column(s) of attributes, but these have "
            f"{values.shape[1]}."
        )
    return _with_values(model, jnp.asarray(values, model.attributes.unit.dtype))


def with_inputs(model: PairwiseLagrangian, u: Array | None) -> PairwiseLagrangian:
    """A model whose attributes are inputs, with those, of shape `(*batch, points·columns)`."""
    if u is None or model.attributes is None:
        raise ValueError(NO_ATTRIBUTES)
    columns = model.attributes.columns
    if u.shape[-1] % columns:
        raise ValueError(
            f"Inputs must hold {columns} attribute(s) of each point, (..., points·{columns}), but they "
            f"have shape {u.shape}."
        )
    values = u.reshape(*u.shape[:-1], -1, columns)
    return _with_values(model, values.astype(model.attributes.unit.dtype))


def _with_values(model: Any, values: Array) -> PairwiseLagrangian:
    return eqx.tree_at(
        lambda x: (x.attributes.values, x.learned),
        model,
        (values, None),
        is_leaf=lambda x: x is None,
    )


def _learned(attributes: Attributes | None, trained: Any) -> Array | None:
    if not isinstance(trained, bool | np.bool_):
        raise TypeError(f"train_attributes must be True or False, but it is {trained!r}.")
    if not trained:
        return None
    if attributes is None or attributes.values is None:
        raise ValueError("train_attributes=True needs the attributes that training starts from.")
    return attributes.values / attributes.unit


def _checked_column(name: str, column: Any, columns: int) -> int | None:
    if column is None:
        return None
    if isinstance(column, bool) or column not in range(columns):
        raise ValueError(
            f"{name} must be one of {columns} column(s) of attributes, but it is {column!r}."
        )
    return int(column)


@standardisation_of.register
def _(lagrangian: PairwiseLagrangian):
    return lagrangian.pair.standardisation


@standardised_part.register
def _(lagrangian: PairwiseLagrangian, q, v, bend):
    samples, points, space = np.shape(q)
    q, v = (np.asarray(x) for x in (q, v))
    first, second = np.triu_indices(points, 1)
    most = max(1, MOST // max(len(first), 1))
    chosen = slice(None, None, -(-samples // most))
    at, moving = q[chosen], v[chosen]
    if not len(first):
        raise ValueError(f"A PairwiseLagrangian needs two points at least, but q is {np.shape(q)}.")
    of_pairs = (jnp.asarray(at[:, k].reshape(-1, space)) for k in (first, second))
    states, apart = (np.asarray(x) for x in lagrangian.neighbourhood.states(*of_pairs))
    rates = np.stack([moving[:, first], moving[:, second]], axis=2).reshape(-1, 2, space)
    cutoff = lagrangian.neighbourhood.cutoff
    if cutoff is not None:
        distances = np.linalg.norm(apart, axis=1)
        if not np.any(distances < cutoff):
            raise ValueError(
                f"No two points of {len(at)} configurations of the data are within the cut-off "
                f"{cutoff:.4g}: the nearest are {np.min(distances):.4g} apart."
            )
        states, rates = states[distances < cutoff], rates[distances < cutoff]
    pair = lagrangian.pair.standardised(states, rates, bend)
    vertex = lagrangian.vertex
    if vertex is not None:
        vertex = vertex.standardised(at.reshape(-1, 1, space), moving.reshape(-1, 1, space), bend)
    size = _kinetic_size(lagrangian, v)
    unit = Unit.of("energy", size, lagrangian.energy_unit.value.dtype)
    return eqx.tree_at(
        lambda x: (x.pair, x.vertex, x.energy_unit),
        lagrangian,
        (pair, vertex, unit),
        is_leaf=lambda x: x is None,
    )


def _kinetic_size(lagrangian: PairwiseLagrangian, v) -> float:
    """The mean of m v² over points and samples, of velocities about their mean, in float64. Masses that
    come with the data count as one unit of theirs."""
    points = v.shape[1]
    column = lagrangian.mass_attribute
    attributes: Any = lagrangian.attributes
    if column is not None and attributes.values is None:
        masses = np.full(points, float(attributes.unit[column]))
    else:
        masses = np.asarray(lagrangian.mass_of(points), float)
    v = np.asarray(v, float)
    spread = v - np.mean(v, axis=0)
    spread = spread if np.any(spread) else v
    return float(np.mean(masses * np.sum(np.square(spread), axis=-1)))


@linear_weights.register
def _(lagrangian: PairwiseLagrangian):
    parts = (lagrangian.pair, lagrangian.vertex)
    return [part.network.layers[-1].weight for part in parts if part is not None]
