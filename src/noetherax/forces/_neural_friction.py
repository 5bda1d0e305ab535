from collections.abc import Callable
from typing import Any, Literal, SupportsIndex, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from .._programs import at_once
from ..features import (
    ConfigurationFeatures,
    Standardisation,
    WithoutVelocity,
    standardisation_of,
    standardised_part,
)
from ._dissipation import Dissipation, check_features
from ._networks import ConvexNetwork, perceptron
from ._scale import ForceScale, Motions, is_unscaled, scaled_force

Form = Literal["linear", "convex"]

RANK = 8
"""Most columns of the factor B of a linear friction, since a network has features × columns outputs."""


@final
class Friction(Dissipation):
    """Friction to be learned that keeps every charge of a group, for any weights.

    Rayleigh's function is, with the standardised invariants x of configuration and their rates ẋ,

    - `"linear"`: R = ½ ẋᵀ B(x) B(x)ᵀ ẋ, with B from a network: viscous, and different from place to
        place;
    - `"convex"`: R = g(x, ẋ) − g(x, 0) − ∂g/∂ẋ(x, 0) · ẋ, with a network g that is convex in ẋ: dry,
        viscous, turbulent, or different in one direction and the other.

    In both cases it is least at ẋ = 0 and convex, so that no energy is ever gained, and the force has
    no part along the generators of the group, so that no charge changes: exactly in continuous time,
    and, for affine groups in float64, to rounding with a variational solver. See
    [`noetherax.Dissipation`][] for the mathematics.

    !!! example

        Two bodies that lose the energy of their relative motion, and keep momentum and angular
        momentum:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.Euclidean(2)
        keys = jax.random.split(jax.random.key(0))
        law = nx.NeuralLagrangian(group.invariant_features(2), width=8, key=keys[0])
        friction = nx.Friction(group.configuration_features(2), width=8, key=keys[1])
        model = nx.Forced(law, friction)
        q, v = jax.random.normal(jax.random.key(1), (2, 2, 2))
        force = friction(q, v)
        assert jnp.sum(force * v) < 0  # the power
        assert jnp.allclose(force[0], -force[1])
        ```

    **Arguments:**

    - `features`: from `group.configuration_features(points)`.
    - `form`: `"linear"` or `"convex"` in the rates.
    - `width`, `depth`: of the network.
    - `activation`: as in [`noetherax.NeuralLagrangian`][]; of a convex one that of its dependence on x.
    - `dtype`: of the weights; JAX's default floating dtype if not given.
    - `key`: random key for the weights.

    **Raises:**

    `ValueError` if there are no features, or `form`, `width` or `depth` is none of these.
    """

    features: ConfigurationFeatures
    standardisation: Standardisation
    scale: ForceScale
    network: eqx.nn.MLP | ConvexNetwork
    form: Form = eqx.field(static=True)

    def __init__(
        self,
        features: ConfigurationFeatures,
        form: Any = "linear",
        width: SupportsIndex = 32,
        depth: SupportsIndex = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        count = check_features(features, "Friction")
        if form not in get_args(Form):
            raise ValueError(f"form must be one of {get_args(Form)}, but it is {form!r}.")
        dtype = jnp.result_type(float) if dtype is None else jnp.dtype(dtype)
        self.features = features
        self.standardisation = Standardisation.identity(count, dtype)
        self.scale = ForceScale.identity(count, dtype)
        self.form = form
        if form == "linear":
            outputs = count * min(count, RANK)
            self.network = perceptron(count, outputs, width, depth, activation, dtype, key)
        else:
            self.network = ConvexNetwork(count, count, width, depth, activation, dtype, key)

    def resistance(self, values, rates):
        return rayleigh_slope(self, values, rates)


def rayleigh_slope(part: Any, values: Array, rates: Array, *further: Array) -> Array:
    """∂R/∂Ṡ of a friction with a network of standardised values, and of what else it sees."""
    x, slope = part.standardisation(values), part.standardisation.slope(values)
    unit = slope / part.scale.rates
    y, seen = unit * rates, jnp.concatenate([x, *(z.astype(x.dtype) for z in further)])
    if isinstance(part.network, ConvexNetwork):
        resistance = part.network.resistance(seen, y)
    else:
        factor = part.network(seen).reshape(len(x), -1)
        resistance = factor @ (y @ factor)
    return part.scale.power * unit * resistance


@standardisation_of.register
def _(part: Friction):
    return part.standardisation


@standardised_part.register
def _(part: Friction, q, v, bend):
    fitted = Standardisation.fit(WithoutVelocity(part.features), q, v, bend=None)
    return eqx.tree_at(lambda x: x.standardisation, part, fitted)


@is_unscaled.register
def _(force: Friction) -> bool:
    return not bool(force.scale.fitted)


@scaled_force.register
def _(force: Friction, motions: Motions):
    found = standardised_rates(force, jnp.asarray(motions.q), jnp.asarray(motions.v))
    return eqx.tree_at(lambda x: x.scale, force, force.scale.of(motions, found))


def standardised_rates(force: Any, q, v):
    """How fast the standardised features of a force change along motions."""
    return at_once(_rates, force.features, force.standardisation, q, v)


def _rates(features, standardisation, q, v):
    def at(q, v):
        values, rates = jax.jvp(features, (q,), (v,))
        return standardisation.slope(values) * rates

    return jax.vmap(at)(q, v)
