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

    They are what a screw leaves unchanged: positions in axes that turn with the height. They are
    invariant under ξ if the advance grows along it at the rate ℓ·ξ = 1, and under any other part of
    the group that leaves S and ℓ·q_n alone. Usually obtained from `group.configuration_features`, where
    the group has a screw.

    !!! example

        A screw, which turns by one radian while it rises by one:

        ```python
        import jax.numpy as jnp
        import noetherax as nx
        import numpy as np


        class Screw(nx.AffineGroup):
            def algebra(self):
                spin = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]])
                return spin, np.array([[0.0, 0, 1]])


        features = Screw().configuration_features(points=1)
        assert nx.feature_names(features) == ("q[0]'", "q[1]'")
        s = 0.7  # a point that the screw has carried along
        assert jnp.allclose(
            features(jnp.array([[jnp.cos(s), jnp.sin(s), s]])), jnp.array([1.0, 0.0])
        )
        ```

    **Arguments:**

    - `inner`: S, [`noetherax.ConfigurationFeatures`][] that are invariant under the rest of the group.
    - `advance`: ℓ, `space` numbers.
    - `centre`, `drift`: `space` numbers each; ξ(x) = A (x − centre) + drift, with A drift = 0.
    - `turns`: the terms whose sum is exp(−τ A), each of a `rate`, a `frequency` and two matrices.
    - `kept`: indices of the features of S to keep, all by default; others are the same everywhere.
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
