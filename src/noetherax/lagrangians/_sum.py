from collections.abc import Callable
from typing import final

from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import Lagrangian


@final
class LagrangianSum(Lagrangian):
    """L = L₁ + L₂ + …, for instance a known law and a neural correction to it.

    !!! example

        A known pendulum, and a network for what it leaves out:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        def pendulum(q, v):
            return jnp.sum(v**2) / 2 + jnp.sum(jnp.cos(q))


        features = nx.Periodic(1).invariant_features(points=1)
        rest = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        model = nx.LagrangianSum(pendulum, rest)
        q, v = jnp.array([[0.3]]), jnp.array([[1.0]])
        assert jnp.allclose(model(q, v), pendulum(q, v) + rest(q, v))
        ```

    **Arguments:**

    - `terms`: the Lagrangians to add, at least one: [`noetherax.Lagrangian`][]s or any functions
        `(q, v) -> scalar`.

    **Raises:**

    `ValueError` if there is none.
    """

    terms: tuple[Callable, ...]

    def __init__(self, *terms: Callable):
        if not terms:
            raise ValueError("LagrangianSum needs at least one Lagrangian, but got none.")
        self.terms = terms

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, ""]:
        total = self.terms[0](q, v)
        for term in self.terms[1:]:
            total = total + term(q, v)
        return total
