from collections.abc import Callable
from typing import SupportsIndex, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._programs import run
from .._types import Configuration, FloatArray, Velocity, check_state
from ..features import Bend, InvariantFeatures, Standardisation
from ..groups import SymmetryGroup
from ..lagrangians import linear_output
from ._law import AccelerationLaw
from ._units import acceleration_units, check_data, check_sizes, constant

STATES = 256
"""At which gradients of features are measured."""

FLOOR = 0.1
"""Least size of a feature's gradient, relative to the largest one: one that nearly vanishes on the data
is not to be blown up."""

ORTHOGONAL = 1e-4
"""Of a generator: its largest symmetric part. Rounding of float32 is far below, a group of other maps
far above."""


@final
class EquivariantODE(AccelerationLaw):
    """A second-order neural ODE with the symmetry of a group,

        a = Σ_k c_k(S) ∂S_k/∂q + d_k(S) ∂S_k/∂v,

    with a network (c, d) of the group's invariants S, the same that a [`noetherax.NeuralLagrangian`][]
    sees. Beside it stands what the symmetry alone is worth: a force that turns as the state does, but
    no charges, since a second-order equation need not come from a Lagrangian.

    Gradients of invariants are vectors that turn as the state does if the group acts by rotations,
    reflections and translations: by a matrix h that is orthogonal, a gradient is taken to h⁻ᵀ of
    itself, and h⁻ᵀ = h. Other groups, such as the Lorentz group, are refused. For a group with further
    components it is taken for granted that they are orthogonal, too.

    !!! example

        Turned states have turned accelerations, before any training:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 256, 1, 2))
        model = nx.EquivariantODE(nx.Rotations(2), q, v, -q, width=8, key=jax.random.key(1))
        turn = jnp.array([[0.0, 1.0], [-1.0, 0.0]])  # by a right angle
        turned = nx.acceleration(model, q @ turn, v @ turn)
        assert jnp.allclose(turned, nx.acceleration(model, q, v) @ turn, atol=1e-4)
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][] that acts by rotations, reflections and translations.
    - others as for [`noetherax.NeuralODE`][].

    **Raises:**

    `ValueError` if the group acts by other maps, which says how far they are from orthogonal;
    `ValueError` or `TypeError` as [`noetherax.NeuralODE`][].
    """

    features: InvariantFeatures
    standardisation: Standardisation
    network: eqx.nn.MLP
    units: Standardisation

    def __init__(
        self,
        group: SymmetryGroup,
        q: Float[FloatArray, "samples points space"],
        v: Float[FloatArray, "samples points space"],
        a: Float[FloatArray, "samples points space"] | None = None,
        *,
        width: SupportsIndex = 128,
        depth: SupportsIndex = 2,
        activation: Callable = jax.nn.softplus,
        bend: Bend = "logarithm",
        key: PRNGKeyArray,
    ):
        check_data(q, v, a)
        width, depth = check_sizes(width, depth)
        q, v = jnp.asarray(q), jnp.asarray(v)
        _check_orthogonal(group, q[0])
        self.features = group.invariant_features(points=q.shape[1])
        self.standardisation = Standardisation.fit(self.features, q, v, bend=bend)
        count = self.features.num_features
        sizes = count, 2 * count, width, depth
        self.network = eqx.nn.MLP(*sizes, activation, linear_output, dtype=q.dtype, key=key)
        stride = -(-len(q) // STATES)
        states = q[::stride], v[::stride]
        slopes = run(_slopes, self.features, self.standardisation, *states)
        size = np.sqrt(np.mean(np.square(acceleration_units(q, v, a))))
        self.units = constant(size / np.concatenate([_sizes(x) for x in slopes]), q.dtype)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v)

        def standardised(q, v):
            return self.standardisation(self.features(q, v))

        values, pull_back = jax.vjp(standardised, q, v)
        along_q, along_v = jnp.split(self.units.unit * self.network(values), 2)
        return pull_back(along_q)[0] + pull_back(along_v)[1]


def _slopes(features, standardisation, q, v):
    """∂S/∂q and ∂S/∂v of standardised features, each `(states, features, points, space)`."""

    def standardised(q, v):
        return standardisation(features(q, v))

    return jax.vmap(jax.jacrev(standardised, argnums=(0, 1)))(q, v)


def _sizes(slopes) -> np.ndarray:
    """Root mean square of the length of each feature's gradient, with a floor."""
    squares = np.sum(np.square(np.asarray(slopes, np.float64)), axis=(2, 3))
    sizes = np.sqrt(np.mean(squares, axis=0))
    largest = np.max(sizes)
    return np.maximum(sizes, FLOOR * largest) if largest > 0 else np.ones_like(sizes)


def _check_orthogonal(group: SymmetryGroup, q) -> None:
    """Raises unless the generators are antisymmetric matrices, but for a shift."""
    slopes = np.asarray(jax.jacfwd(group.generators)(q), np.float64)
    matrices = slopes.reshape(len(slopes), q.size, q.size)
    for index, matrix in enumerate(matrices):
        symmetric, size = np.abs(matrix + matrix.T).max() / 2, np.abs(matrix).max()
        if symmetric > ORTHOGONAL * size:
            raise ValueError(
                f"{type(group).__name__} does not act by rotations, reflections and translations "
                f"alone: generator {index} has a symmetric part of {symmetric:.2g} beside entries of "
                f"{size:.2g}. Gradients of its invariants do not turn as states do, and so make no "
                "equivariant acceleration. Take nx.NeuralLagrangian, which needs no such thing, or "
                "the part of the group that is orthogonal."
            )
