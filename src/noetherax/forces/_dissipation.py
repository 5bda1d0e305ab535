import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._programs import at_once
from .._types import Configuration, Velocity, check_state
from ..features import ConfigurationFeatures
from ._base import Force


class Dissipation(Force):
    """Friction that keeps every charge of a group: the force of Rayleigh's dissipation function R of
    the group's invariants S(q) of configuration and their rates Ṡ = (∂S/∂q) v,

        Q = −(∂R/∂Ṡ) ∂S/∂q

    (Rayleigh 1873; Goldstein, Poole & Safko 2002, section 1.5).

    Since ∂S/∂q · ξ_a = 0, Q has no part along a generator and changes no charge; and since its power is
    −Ṡ · ∂R/∂Ṡ, it never adds energy if R is convex in Ṡ with its minimum at Ṡ = 0. Both hold for any
    parameters. So what such friction may take is the energy of the relative motion, never a momentum
    or an angular momentum of the group.

    To write your own, define `features` and `resistance`.

    !!! example

        A damper whose resistance grows with its extension, between two points of a line:

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        class Damper(nx.Dissipation):
            features: nx.ConfigurationFeatures

            def resistance(self, values, rates):
                return values**2 * rates


        damper = Damper(nx.Translations(1).configuration_features(points=2))  # q1 − q2
        q, v = jnp.array([[2.0], [0.0]]), jnp.array([[1.0], [-0.5]])
        assert damper(q, v).tolist() == [[-6.0], [6.0]]  # momentum stays
        ```
    """

    features: eqx.AbstractVar[ConfigurationFeatures]
    """S, usually `group.configuration_features(points)`."""

    @abc.abstractmethod
    def resistance(
        self, values: Float[Array, " features"], rates: Float[Array, " features"]
    ) -> Float[Array, " features"]:
        """∂R/∂Ṡ at S = `values` and Ṡ = `rates`, with resistance · rates ≥ 0 everywhere: the gradient
        of a function that is convex in the rates and least at zero."""

    def __call__(self, q: Configuration, v: Velocity) -> Float[Array, "points space"]:
        check_state(q, v)
        return at_once(_force, self, jnp.asarray(q), jnp.asarray(v))


def _force(friction: Dissipation, q, v):
    values, rates = jax.jvp(friction.features, (q,), (v,))
    _, pull_back = jax.vjp(friction.features, q)
    (force,) = pull_back(-friction.resistance(values, rates).astype(values.dtype))
    return force


def check_features(features: ConfigurationFeatures, name: str) -> int:
    """The number of features of a configuration, at least one."""
    if not isinstance(features, ConfigurationFeatures):
        raise TypeError(
            f"{name} takes features of the configuration, group.configuration_features(points), but "
            f"got {features!r:.200}."
        )
    if features.num_features < 1:
        raise ValueError(
            f"{name} has nothing to act on: no function of the configuration is invariant under this "
            "group. Friction that keeps all its charges does not exist for so few points; "
            "noetherax.Drag takes some of them."
        )
    return features.num_features
