from typing import NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._precision import PRECISION
from .._types import Configuration, check_array
from ._configuration import ConfigurationFeatures

Matrix = tuple[tuple[float, ...], ...]


@final
class Turn(NamedTuple):
    """One term e^{−rate τ} (cos(frequency τ) `even` + sin(frequency τ) `odd`) of exp(−τ A)."""

    rate: float
    frequency: float
    even: Matrix
    odd: Matrix


@final
class Comoving(ConfigurationFeatures):
    """Features of the configuration, carried back along a motion ξ to where the last point began:

        S(exp(−τ ξ)·q)   with the advance τ = ℓ·q_n of the last point.

    They are what a screw leaves unchanged: positions in axes that turn with the height. Invariant under
    ξ if it advances at the rate ℓ·ξ = 1, and under all else if S is and ℓ·q_n does not change.

    **Arguments:**

    - `inner`: S, invariant under the rest of the group.
    - `advance`: ℓ, shape `(space,)`.
    - `centre`, `drift`: ξ(x) = A (x − centre) + drift, with A drift = 0.
    - `turns`: the terms of exp(−τ A).
    - `kept`: indices of the features that are not the same everywhere.
    """

    inner: ConfigurationFeatures
    advance: tuple[float, ...] = eqx.field(static=True)
    centre: tuple[float, ...] = eqx.field(static=True)
    drift: tuple[float, ...] = eqx.field(static=True)
    turns: tuple[Turn, ...] = eqx.field(static=True)
    kept: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        inner: ConfigurationFeatures,
        advance: tuple[float, ...],
        centre: tuple[float, ...],
        drift: tuple[float, ...],
        turns: tuple[Turn, ...],
        kept: tuple[int, ...] | None = None,
    ):
        self.inner = inner
        self.advance = advance
        self.centre = centre
        self.drift = drift
        self.turns = turns
        self.kept = tuple(range(inner.num_features)) if kept is None else kept

    def only(self, kept: tuple[int, ...]) -> "Comoving":
        """The same with fewer features."""
        return Comoving(self.inner, self.advance, self.centre, self.drift, self.turns, kept)

    @property
    def num_features(self) -> int:
        return len(self.kept)

    def __call__(self, q: Configuration) -> Float[Array, " features"]:
        check_array("q", q, len(self.advance))
        q = jnp.asarray(q)
        centre, drift, advance = (
            jnp.asarray(x, q.dtype) for x in (self.centre, self.drift, self.advance)
        )
        time = jnp.sum(q[-1] * advance)
        back = jnp.zeros((q.shape[1], q.shape[1]), q.dtype)
        for turn in self.turns:
            even, odd = (jnp.asarray(x, q.dtype) for x in (turn.even, turn.odd))
            angle = turn.frequency * time
            term = jnp.cos(angle) * even + jnp.sin(angle) * odd
            back = back + (jnp.exp(-turn.rate * time) * term if turn.rate else term)
        moved = jnp.matmul(q - centre, back.T, precision=PRECISION) + centre - time * drift
        return self.inner(moved)[np.array(self.kept, int)]
