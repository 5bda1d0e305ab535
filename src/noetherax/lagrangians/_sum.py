from collections.abc import Callable
from typing import final

from jaxtyping import Array, Float

from .._types import Configuration, Velocity
from ._base import Lagrangian


@final
class LagrangianSum(Lagrangian):
    """L = L₁ + L₂ + …, for instance a known law and a neural correction to it.

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
