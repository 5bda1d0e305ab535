import abc
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import Configuration, check_array, check_static
from ._base import InvariantFeatures


class ConfigurationFeatures(eqx.Module):
    """Invariant features S(q) of the configuration alone, which a symmetry group leaves unchanged,

        S(h·q) = S(q)   for every group element h.

    Friction made of them and of their rates dS/dt keeps every charge of the group: its force
    Q = −(∂R/∂Ṡ) ∂S/∂q has no part along a generator, since ∂S/∂q · ξ_a = 0.

    Usually obtained from [`SymmetryGroup.configuration_features`][noetherax.SymmetryGroup]. To write
    your own, define `num_features` and `__call__`. They never train: constants that a subclass holds
    as array fields are left alone by [`noetherax.fit`][]. There may be none, as of one point under
    all translations.

    !!! example

        The square of a distance. Friction along it takes energy, but no momentum:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Distance(nx.ConfigurationFeatures):
            num_features: int = 1

            def __call__(self, q):
                return jnp.sum((q[0] - q[1]) ** 2)[None]


        friction = nx.LinearFriction(Distance(), 0.5)
        q, v = jnp.array([[0.0, 0.0], [1.0, 0.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
        force = friction(q, v)
        assert jnp.all(force[0] == -force[1]) and jnp.sum(force * v) < 0
        ```
    """

    num_features: eqx.AbstractVar[int]
    """Number of features, zero or more."""

    def __check_init__(self):
        check_static(self)

    def __repr__(self) -> str:
        from ._names import described

        return described(self)

    @abc.abstractmethod
    def __call__(self, q: Configuration) -> Float[Array, " features"]:
        """Evaluates the features.

        **Arguments:**

        - `q`: configuration, shape `(points, space)`.

        **Returns:**

        The features, shape `(num_features,)`. First and second derivatives, forward and reverse, must
        be finite wherever the system can be.
        """


@final
class AtRest(ConfigurationFeatures):
    """Features of the state at rest, S(q, 0), as features of the configuration.

    They are invariant if S(q, v) is and the group takes states at rest to states at rest, as every
    affine one does. They are cheap if S leaves velocities aside, such as products of
    [`noetherax.StateVectors`][] with `velocities=False`.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        between = nx.StateVectors(2, 3, relative=True, velocities=False)  # q1 − q2
        distance = nx.AtRest(2, 3, (nx.ScalarProducts(between),))
        q = jnp.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]])
        assert distance(q)[0] == 25.0
        ```

    **Arguments:**

    - `points`, `space`: shape of the configuration.
    - `parts`: any number of [`noetherax.InvariantFeatures`][], one after the other.
    """

    points: int = eqx.field(static=True)
    space: int = eqx.field(static=True)
    parts: tuple[InvariantFeatures, ...]

    def __init__(self, points: int, space: int, parts: tuple[InvariantFeatures, ...]):
        self.points = points
        self.space = space
        self.parts = parts

    @property
    def num_features(self) -> int:
        return sum(part.num_features for part in self.parts)

    def __call__(self, q: Configuration) -> Float[Array, " features"]:
        check_array("q", q, self.space)
        if q.shape[0] != self.points:
            raise ValueError(
                f"These features are for {self.points} point(s), but q has shape {q.shape}."
            )
        q = jnp.asarray(q)
        rest, nothing = jnp.zeros_like(q), jnp.zeros((0,), q.dtype)
        return jnp.concatenate([nothing, *(part(q, rest) for part in self.parts)])
