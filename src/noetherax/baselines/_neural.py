from collections.abc import Callable
from typing import SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import Configuration, FloatArray, Velocity, check_state
from ..features import Bend, Coordinates, InvariantFeatures, Standardisation
from ..lagrangians import linear_output
from ._law import AccelerationLaw
from ._units import acceleration_units, check_data, check_sizes, constant


@final
class NeuralODE(AccelerationLaw):
    """A plain second-order neural ODE, a = u · network(S(q, v)): a multilayer perceptron from the state
    straight to every component of the acceleration.

    The baseline that any structure has to be better than. It is fitted to its data once, when it is
    built: inputs are standardised, and u is the size of each component of the acceleration, so that
    units of length and time have no say.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 256, 1, 2))
        a = -q
        model = nx.NeuralODE(q, v, a, width=8, key=jax.random.key(1))
        trained, history = nx.fit(
            model, (q, v, a), steps=20, key=jax.random.key(2), progress=False
        )
        loss = nx.AccelerationLoss()
        assert loss(trained, (q, v, a)) < loss(model, (q, v, a))
        ```

    **Arguments:**

    - `q`, `v`: the states that it will train on, or some of them, shape `(samples, points, space)`:
        they say what shape and size states have.
    - `a`: accelerations there, of the same shape. Without them their size is estimated as
        var(v)/std(q).
    - `features`: what the network sees, [`noetherax.InvariantFeatures`][]; the coordinates of q and v
        if not given. Of invariant features it makes no equivariant acceleration; for that there is
        [`noetherax.EquivariantODE`][].
    - `width`, `depth`: units of each hidden layer, and how many layers.
    - `activation`: of the hidden layers.
    - `bend`: how features of position that span much are bent, as in
        [`noetherax.Standardisation`][].
    - `key`: random key for the weights, which are as in `equinox.nn.MLP`, of the precision of `q`.

    **Raises:**

    `ValueError` or `TypeError` if the states are empty, not finite or of different shapes, or a size is
    no positive integer.
    """

    features: InvariantFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP
    units: Standardisation

    def __init__(
        self,
        q: Float[FloatArray, "samples points space"],
        v: Float[FloatArray, "samples points space"],
        a: Float[FloatArray, "samples points space"] | None = None,
        *,
        features: InvariantFeatures | None = None,
        width: SupportsIndex = 128,
        depth: SupportsIndex = 2,
        activation: Callable = jax.nn.softplus,
        bend: Bend = "logarithm",
        key: PRNGKeyArray,
    ):
        check_data(q, v, a)
        width, depth = check_sizes(width, depth)
        q, v = jnp.asarray(q), jnp.asarray(v)
        _, points, space = q.shape
        self.features = Coordinates(points, space) if features is None else features
        self.standardisation = Standardisation.fit(self.features, q, v, bend=bend)
        units = acceleration_units(q, v, a)
        sizes = self.features.num_features, units.size, width, depth
        self.network = eqx.nn.MLP(*sizes, activation, linear_output, dtype=q.dtype, key=key)
        self.units = constant(units, q.dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v)
        found = self.network(self.standardisation(self.features(q, v)))
        return (self.units.unit * found).reshape(q.shape)
