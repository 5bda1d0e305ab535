"""What a part of a model takes from the data before it trains: three functions for its type.

`noetherax.fit`, `noetherax.standardise` and `noetherax.regular_start` walk through a model and prepare
every part, a Lagrangian or anything else, for which `standardisation_of` is registered.
"""

from functools import singledispatch
from typing import Any

from jaxtyping import Array, Float

from .._types import FloatArray
from ._standardisation import Bend, Standardisation


@singledispatch
def standardisation_of(part: Any) -> Standardisation | None:
    """The standardisation that a part of a model keeps, fitted or not.

    !!! example

        A type of your own registers it:

        ```python
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import noetherax as nx


        class Stage(eqx.Module):
            standardisation: nx.Standardisation
            weights: jax.Array


        @nx.features.standardisation_of.register
        def _(part: Stage):
            return part.standardisation


        stage = Stage(nx.Standardisation.identity(3, jnp.float32), jnp.ones(3))
        assert not nx.features.standardisation_of(stage).fitted
        assert nx.features.standardisation_of(stage.weights) is None
        ```

    **Arguments:**

    - `part`: anything.

    **Returns:**

    The standardisation; `None` for what has none, and so takes nothing from data.
    """
    return None


@singledispatch
def standardised_part(
    part: Any,
    q: Float[FloatArray, "samples points space"],
    v: Float[FloatArray, "samples points space"],
    bend: Bend,
) -> Any:
    """The part with its standardisation, and whatever other units it has, set from states.

    !!! example

        [`noetherax.standardise`][] calls it for every part of a model that has data to look at:

        ```python
        import jax
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        law = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
        q, v = jax.random.normal(jax.random.key(1), (2, 32, 1, 2))
        ready = nx.features.standardised_part(law, q, v, None)
        assert ready.standardisation.fitted and not law.standardisation.fitted
        ```

    **Arguments:**

    - `part`: one for which [`standardisation_of`][noetherax.features.standardisation_of] is registered.
    - `q`, `v`: states in the precision of the part, finite.
    - `bend`: how features may be bent. A part that is no Lagrangian has no motion by which it can
        be tried with and without, and leaves this aside.

    **Returns:**

    Another part of the same type, whose standardisation is fitted.
    """
    raise TypeError(
        f"{type(part).__name__} has a standardisation, but does not say how it is set from data: "
        f"register noetherax.features.standardised_part for it, beside standardisation_of."
    )


@singledispatch
def linear_weights(part: Any) -> list[Array]:
    """The weights that a part of a model is linear in, such as the last layer of a network, and which
    least squares may set: see [`noetherax.regular_start`][].

    !!! example

        ```python
        import jax
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        law = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
        (last,) = nx.features.linear_weights(law)
        assert last.shape == (1, 4)  # of the last layer, which has no bias
        ```

    **Arguments:**

    - `part`: one for which [`standardisation_of`][noetherax.features.standardisation_of] is registered.

    **Returns:**

    The arrays, which are leaves of the part. None for a type that registers nothing.
    """
    return []
