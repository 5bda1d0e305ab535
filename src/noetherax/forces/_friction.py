"""Friction by a known law, with constants to be found."""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._checks import check_number
from .._programs import at_once
from .._types import Time
from ..features import ConfigurationFeatures
from ._dissipation import Dissipation, check_features
from ._scale import SHARE, Motions, is_unscaled, scaled_force


@final
class Constants(eqx.Module):
    """Constants of friction, positive for any parameters.

    - `logarithms`: what trains.
    - `fitted`: whether they were given, or have been set from data.
    """

    logarithms: Float[Array, " features"]
    fitted: Bool[Array, ""]

    def __init__(self, features: ConfigurationFeatures, constants: Any, name: str):
        count = check_features(features, name)
        try:
            numbers = np.asarray(1.0 if constants is None else constants, float)
        except (TypeError, ValueError):
            numbers = np.asarray(np.nan)
        if numbers.shape not in ((), (count,)) or not np.all((numbers > 0) & np.isfinite(numbers)):
            raise ValueError(
                f"constants of {name} must be positive, one number or one for each of {count} "
                f"features, but they are {constants!r}."
            )
        dtype = jnp.result_type(float)
        self.logarithms = jnp.log(jnp.asarray(np.broadcast_to(numbers, count), dtype))
        self.fitted = jnp.array(constants is not None)

    def __call__(self) -> Float[Array, " features"]:
        return jnp.exp(self.logarithms)


@final
class LinearFriction(Dissipation):
    """Viscous friction: R = ½ Σ_m c_m Ṡ_m² of the invariants S of configuration, Q = −Σ c_m Ṡ_m
    ∂S_m/∂q.

    With the coordinates themselves as invariants, those of the group `Trivial`, it is Q = −c v.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        friction = nx.LinearFriction(nx.Trivial(1).configuration_features(1), 0.1)
        damped = nx.Forced(lambda q, v: jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2, friction)
        q, v = jnp.array([[1.0]]), jnp.array([[2.0]])
        assert jnp.allclose(nx.acceleration(damped, q, v), -1.0 - 0.1 * 2.0)
        assert jnp.allclose(friction.constants, 0.1)
        ```

    **Arguments:**

    - `features`: S, from `group.configuration_features(points)`.
    - `constants`: c, positive, one for all or one for each feature, where training starts; if not
        given, one, until [`noetherax.fit`][] sets it to a tenth of the power of the data. They stay
        positive.

    **Raises:**

    `ValueError` or `TypeError` if there are no features, or a constant is not positive.
    """

    features: ConfigurationFeatures
    strength: Constants

    def __init__(self, features: ConfigurationFeatures, constants: Any = None):
        self.features = features
        self.strength = Constants(features, constants, type(self).__name__)

    @property
    def constants(self) -> Float[Array, " features"]:
        """c, in units of power by those of Ṡ²."""
        return self.strength()

    def resistance(self, values, rates):
        return self.constants.astype(rates.dtype) * rates


@final
class QuadraticFriction(Dissipation):
    """Friction that grows with the square of the rates, as in air: R = ⅓ Σ_m c_m |Ṡ_m|³,
    Q = −Σ c_m |Ṡ_m| Ṡ_m ∂S_m/∂q.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        air = nx.QuadraticFriction(nx.Trivial(1).configuration_features(1), 0.5)
        q, v = jnp.zeros((1, 1)), jnp.array([[-4.0]])
        assert jnp.allclose(air(q, v), 8.0)  # −0.5 · 4 · (−4)
        ```

    **Arguments:** as [`noetherax.LinearFriction`][].
    """

    features: ConfigurationFeatures
    strength: Constants

    def __init__(self, features: ConfigurationFeatures, constants: Any = None):
        self.features = features
        self.strength = Constants(features, constants, type(self).__name__)

    @property
    def constants(self) -> Float[Array, " features"]:
        """c, in units of power by those of |Ṡ|³."""
        return self.strength()

    def resistance(self, values, rates):
        return self.constants.astype(rates.dtype) * jnp.abs(rates) * rates


@final
class DryFriction(Dissipation):
    """Friction whose size does not depend on the rates (Coulomb), made smooth where they change sign:
    R = Σ_m c_m w log cosh(Ṡ_m/w), Q = −Σ c_m tanh(Ṡ_m/w) ∂S_m/∂q.

    Below the width w it is linear, so that nothing sticks for good. Steps of a rollout must resolve w.

    !!! example

        A slider feels the same force at any speed:

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Trivial(1).configuration_features(1)
        dry = nx.DryFriction(features, 0.3, width=0.01)
        q = jnp.zeros((1, 1))
        assert jnp.allclose(dry(q, jnp.array([[5.0]])), -0.3)
        assert jnp.allclose(dry(q, jnp.array([[0.1]])), -0.3)
        assert dry(q, q) == 0  # at rest
        ```

    **Arguments:**

    - `features`, `constants`: as [`noetherax.LinearFriction`][].
    - `width`: w, in units of Ṡ: well below the rates of the motion, and above their noise.
    """

    features: ConfigurationFeatures
    strength: Constants
    width: float = eqx.field(static=True)

    def __init__(self, features: ConfigurationFeatures, constants: Any = None, *, width: Time):
        self.features = features
        self.strength = Constants(features, constants, type(self).__name__)
        self.width = check_number("width", width)

    @property
    def constants(self) -> Float[Array, " features"]:
        """c, in units of power by those of Ṡ."""
        return self.strength()

    def resistance(self, values, rates):
        return self.constants.astype(rates.dtype) * jnp.tanh(rates / self.width)


Known = LinearFriction | QuadraticFriction | DryFriction


@is_unscaled.register
def _(force: Known) -> bool:
    return not bool(force.strength.fitted)


@scaled_force.register
def _(force: Known, motions: Motions):
    q, v = jnp.asarray(motions.q), jnp.asarray(motions.v)
    start = force.strength.logarithms
    one = eqx.tree_at(lambda x: x.strength.logarithms, force, jnp.zeros_like(start))
    taken = np.mean(np.asarray(at_once(_powers, one, q, v), float), axis=0)
    share = SHARE * motions.power / len(taken)
    constants = np.where(taken > 0, share / np.where(taken > 0, taken, 1), bool(share))
    with np.errstate(divide="ignore"):  # of a force that is to vanish
        found = jnp.asarray(np.log(constants), start.dtype)
    values = found, jnp.array(True)
    return eqx.tree_at(lambda x: (x.strength.logarithms, x.strength.fitted), force, values)


def _powers(force, q, v):
    def power(q, v):
        values, rates = jax.jvp(force.features, (q,), (v,))
        return rates * force.resistance(values, rates)

    return jax.vmap(power)(q, v)
