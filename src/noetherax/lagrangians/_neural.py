from collections.abc import Callable
from functools import singledispatch
from typing import Any, SupportsIndex, final

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._precision import full_precision
from .._types import Configuration, Velocity, check_state
from ..features import (
    InvariantFeatures,
    Standardisation,
    Unit,
    linear_weights,
    standardisation_of,
    standardised_part,
)
from ._base import Lagrangian
from ._perceptron import perceptron


@final
class NeuralLagrangian(Lagrangian):
    """A neural network of invariant features, L = f ∘ S (Müller 2023, section 2.2).

    L is invariant under the group that S belongs to, and so has its Noether charges, exactly in
    continuous time and for any weights. Features pass through a standardisation that is the identity
    until [`noetherax.fit`][] sets it from the data, once; it is part of the model and never trains.
    Nor does the unit of L, which is one where L has a free scale: beside forces that are known `fit`
    sets it, so that weights are of order one in any unit of mass.

    !!! example

        A network that nobody has trained keeps the angular momentum already:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        group = nx.Rotations(2)
        features = group.invariant_features(points=1)
        law = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 1, 2))
        motion = v, nx.acceleration(law, q, v)
        _, rate = jax.jvp(group.noether_charge(law), (q, v), motion)
        assert jnp.allclose(rate, 0, atol=1e-4)
        ```

    **Arguments:**

    - `features`: the invariant features, from `group.invariant_features(points)` or your own.
    - `width`: units of each hidden layer.
    - `depth`: number of hidden layers, at least one.
    - `activation`: a smooth function that acts on each number by itself. Twice differentiable: with a
        piecewise linear one (`relu`) ∂²L/∂v² would not see the curvature of the network. An
        `equinox.Module` with arrays of its own trains them, one set for each unit of each layer.
    - `dtype`: of the weights; JAX's default floating dtype if not given.
    - `key`: random key for the weights.

    Weights start as in the paper, section 3.1: normal with standard deviation 2/√width in the first
    layer, 1/√width in the others, √width in the last, which has no bias; biases start at zero. The
    network is an `equinox.nn.MLP`, whose weights can be replaced with `equinox.tree_at`.

    **Raises:**

    `ValueError` if `width` or `depth` is not a positive integer, there are no features, or the
    activation does not act on each number by itself.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP
    unit: Unit

    def __init__(
        self,
        features: InvariantFeatures,
        width: SupportsIndex = 128,
        depth: SupportsIndex = 2,
        *,
        activation: Callable = jax.nn.softplus,
        dtype: Any = None,
        key: PRNGKeyArray,
    ):
        network = perceptron(features, width, depth, activation=activation, dtype=dtype, key=key)
        dtype = network.layers[0].weight.dtype
        self.features = features
        self.standardisation = Standardisation.identity(features.num_features, dtype)
        self.network = network
        self.unit = Unit.of("the Lagrangian", 1.0, dtype)

    @property
    def scaled_network(self) -> eqx.nn.MLP:
        """The network with the unit of L in its last layer."""

        scaled = self.unit.value * self.network.layers[-1].weight  # it has no bias
        return eqx.tree_at(lambda x: x.layers[-1].weight, self.network, scaled)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v)
        with full_precision():
            return self.unit.value * self.network(self.standardisation(self.features(q, v)))


@standardisation_of.register
def _(lagrangian: NeuralLagrangian):
    return lagrangian.standardisation


@standardised_part.register
def _(lagrangian: NeuralLagrangian, q, v, bend):
    fitted = Standardisation.fit(lagrangian.features, q, v, bend=bend)
    return eqx.tree_at(lambda neural: neural.standardisation, lagrangian, fitted)


@linear_weights.register
def _(lagrangian: NeuralLagrangian):
    return [lagrangian.network.layers[-1].weight]


@singledispatch
def in_unit_of(part: Any, before: Any) -> Any:
    """A part of a model whose last layer was set anew, with a unit of L in which its weights are as
    large as before. A part that has no unit of its own stays as it is."""
    return part


@in_unit_of.register
def _(part: NeuralLagrangian, before: NeuralLagrangian):
    new, old = (
        float(np.linalg.norm(np.asarray(x.network.layers[-1].weight, float)))
        for x in (part, before)
    )
    if not (old > 0 and 0 < new < np.inf):
        return part
    factor = float(np.exp2(np.round(np.log2(new / old))))  # by which no division rounds
    unit = Unit.of("the Lagrangian", float(part.unit.value) * factor, part.unit.value.dtype)
    weight = part.network.layers[-1].weight / factor
    return eqx.tree_at(lambda x: (x.unit, x.network.layers[-1].weight), part, (unit, weight))
