import functools
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, Velocity
from ._base import InvariantFeatures
from ._vectors import StateVectors


@final
class TensorContractions(InvariantFeatures):
    """Contractions T(x_{i₁}, …, x_{i_k}) of invariant tensors with the vectors of a state.

    Polynomial invariants of any linear group, degree k = rank of T. A tensor is stored once and
    contracted with every listed tuple of vectors.

    !!! example

        The area form T(a, b) = a₀ b₁ − a₁ b₀ of position and velocity:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        vectors = nx.StateVectors(points=1, space=2)  # q is number 0, v is number 1
        form = (0.0, 1.0, -1.0, 0.0)
        area = nx.TensorContractions(vectors, tensors=(form,), slots=(((0, 1),),))
        q, v = jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]])
        assert area(q, v).tolist() == [-4.0]
        ```

    **Arguments:**

    - `vectors`: which vectors of the state to contract with.
    - `tensors`: invariant tensors of rank k ≥ 1 over `vectors.dim` axes, as flat tuples in C order.
    - `slots`: for each tensor, the tuples of vector indices that it is contracted with.
    """

    vectors: StateVectors
    tensors: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    slots: tuple[tuple[tuple[int, ...], ...], ...] = eqx.field(static=True)

    def __init__(
        self,
        vectors: StateVectors,
        tensors: tuple[tuple[float, ...], ...],
        slots: tuple[tuple[tuple[int, ...], ...], ...],
    ):
        self.vectors = vectors
        self.tensors = tensors
        self.slots = slots

    @property
    def num_features(self) -> int:
        return sum(len(tuples) for tuples in self.slots)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, " features"]:
        x = self.vectors(q, v)
        einsum = functools.partial(jnp.einsum, precision=PRECISION)
        features = [jnp.zeros((0,), x.dtype)]
        for tensor, tuples in zip(self.tensors, self.slots, strict=True):
            index = np.asarray(tuples)
            tensor = jnp.asarray(np.reshape(tensor, (x.shape[1],) * index.shape[1]), x.dtype)
            features.append(contract(tensor, [x[column] for column in index.T], einsum))
        return jnp.concatenate(features)


def contract(tensor, factors, einsum):
    """T(x_1[f], …, x_k[f]) for each row f; `factors` is a list of k arrays `(features, dim)`.

    Slot by slot from the last, so that the largest array is `(features, dim^(k-1))`.
    """
    result = einsum("...a,fa->f...", tensor, factors[-1])
    for factor in reversed(factors[:-1]):
        result = einsum("f...a,fa->f...", result, factor)
    return result
