from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, FloatArray, Velocity, check_state
from ._base import Lagrangian

CLOSURE = 1e-9
"""How far a product of two matrices may be from an element of the group."""


@final
class AveragedLagrangian(Lagrangian):
    """The average of a Lagrangian over a finite group, invariant under it for any weights,

        L̄(q, v) = (1/|G|) Σ_g L(g q, g v),    (g q)_i = R_g q_{π_g(i)}

    (the Reynolds operator). A discrete symmetry has no Noether charge, but a law that respects it
    has less to learn. What L has of continuous symmetry L̄ keeps, if every g maps that symmetry to
    itself, as a permutation of points does with one that acts on all points alike. It costs |G|
    evaluations of L.

    !!! example

        A ring of four points, the same after every shift along it:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Translations(1).invariant_features(points=4)
        plain = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        shifts = [(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)]
        ring = nx.AveragedLagrangian(plain, permutations=shifts)
        q, v = jax.random.normal(jax.random.key(1), (2, 4, 1))
        moved = q[jnp.array(shifts[1])], v[jnp.array(shifts[1])]
        assert jnp.allclose(ring(*moved), ring(q, v))
        assert not jnp.allclose(plain(*moved), plain(q, v))
        ```

    **Arguments:**

    - `lagrangian`: L, of any type; its weights are the only ones.
    - `permutations`: π_g of every element, each a sequence of all the points `0, …, points − 1`.
    - `matrices`: R_g of every element, shape `(elements, space, space)`.

    Give one or both; with both, entries of the same index belong together. What is not given is the
    identity.

    **Raises:**

    `ValueError` if the elements do not form a group, with the product or inverse that is missing.
    """

    lagrangian: Lagrangian
    permutations: tuple[tuple[int, ...], ...] | None = eqx.field(static=True)
    matrices: tuple[tuple[tuple[float, ...], ...], ...] | None = eqx.field(static=True)

    def __init__(
        self,
        lagrangian: Lagrangian,
        permutations: Sequence[Sequence[int]] | np.ndarray | None = None,
        matrices: Any = None,
    ):
        check_finite_group(permutations, matrices)
        self.lagrangian = lagrangian
        self.permutations = None
        self.matrices = None
        if permutations is not None:
            self.permutations = tuple(tuple(int(i) for i in one) for one in permutations)
        if matrices is not None:
            rows = np.asarray(matrices, np.float64).tolist()
            self.matrices = tuple(tuple(map(tuple, matrix)) for matrix in rows)

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        check_state(q, v)
        return jnp.mean(jax.vmap(self.lagrangian)(self.images(q), self.images(v)))

    def images(
        self, x: Float[FloatArray, "*batch points space"]
    ) -> Float[Array, "*batch elements points space"]:
        """g x for every element g; velocities transform as positions do."""
        x = jnp.asarray(x)
        if self.permutations is None:
            x = x[..., None, :, :]
        else:
            if len(self.permutations[0]) != x.shape[-2]:
                raise ValueError(
                    f"The permutations are of {len(self.permutations[0])} points, but the state has "
                    f"shape {x.shape}."
                )
            x = x[..., np.array(self.permutations), :]
        if self.matrices is None:
            return x
        return jnp.einsum(
            "...gps,gts->...gpt", x, jnp.asarray(self.matrices, x.dtype), precision=PRECISION
        )

    def pull_back(
        self, x: Float[FloatArray, "*batch elements points space"]
    ) -> Float[Array, "*batch elements points space"]:
        """gᵀ x_g for every element g, as the gradient of L(g q) has it; the transpose of `images`."""
        x = jnp.asarray(x)
        if self.matrices is not None:
            x = jnp.einsum(
                "...gps,gst->...gpt", x, jnp.asarray(self.matrices, x.dtype), precision=PRECISION
            )
        if self.permutations is not None:
            inverse = np.argsort(np.array(self.permutations), axis=1)
            index = inverse.reshape((1,) * (x.ndim - 3) + (*inverse.shape, 1))
            x = jnp.take_along_axis(x, index, axis=-2)
        return x


def check_finite_group(permutations: Any, matrices: Any) -> None:
    """Raises a `ValueError` unless the elements are a group: a finite set with all its products and
    inverses."""
    if permutations is None and matrices is None:
        raise ValueError("Give permutations, matrices or both: the elements of a finite group.")
    counts = [len(x) for x in (permutations, matrices) if x is not None]
    if len(set(counts)) > 1 or counts[0] == 0:
        raise ValueError(
            "permutations and matrices must list the same elements, at least one, but their numbers "
            f"are {counts}."
        )
    given = [(0,)] * counts[0] if permutations is None else permutations
    orders = [tuple(int(i) for i in one) for one in given]
    for order in orders:
        if sorted(order) != list(range(len(orders[0]))):
            raise ValueError(f"{order} is not a permutation of {len(orders[0])} points.")
    stack = np.ones((counts[0], 1, 1)) if matrices is None else np.asarray(matrices, np.float64)
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2] or not np.all(np.isfinite(stack)):
        raise ValueError(
            "matrices must be finite, of shape (elements, space, space), but their shape is "
            f"{stack.shape}."
        )

    def find(order, matrix) -> list[int]:
        near = np.abs(stack - matrix).max(axis=(1, 2)) < CLOSURE
        return [k for k in range(counts[0]) if near[k] and orders[k] == order]

    for k, (order, matrix) in enumerate(zip(orders, stack, strict=True)):
        if find(order, matrix) != [k]:
            raise ValueError(
                f"An element is listed twice: entries {find(order, matrix)} are equal."
            )
    identity = find(tuple(range(len(orders[0]))), np.eye(stack.shape[1]))
    for j, (first, left) in enumerate(zip(orders, stack, strict=True)):
        products = []
        for k, (second, right) in enumerate(zip(orders, stack, strict=True)):
            # g (h q) has R_g R_h and, since it reads q at π_h(π_g(i)), permutes by π_h ∘ π_g.
            found = find(tuple(second[i] for i in first), left @ right)
            if not found:
                raise ValueError(
                    f"The elements must form a group, but the product of entries {j} and {k} is not "
                    "among them."
                )
            products += found
        if not set(identity) & set(products):
            raise ValueError(
                f"The elements must form a group, but the inverse of entry {j} is not among them."
            )
