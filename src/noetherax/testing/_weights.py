"""Strategy for models whose weights are drawn afresh."""

from collections.abc import Sequence
from typing import TypeVar

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from ..training import trainable

_Model = TypeVar("_Model")

WEIGHT_DECADES = (-2.0, 2.0)
"""Powers of ten of weights, in units of the size that they have."""


def weights(model: _Model, *, special: Sequence[float] = ()) -> st.SearchStrategy[_Model]:
    """Strategy for models with the weights of `model` drawn afresh: as they are; normal, of the size
    that they have (one where they are zero); of sizes over decades; whole numbers; and special values.
    What is no weight ([`noetherax.trainable`][]) stays, such as arrays of integers; an array that
    stands at several places gets the same new values at all of them.

    !!! example

        A neural Lagrangian is invariant for every choice of its weights:

        ```python
        import hypothesis
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=4, key=jax.random.key(0))
        q, v = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])
        turned = jnp.array([[-2.0, 1.0]]), jnp.array([[-4.0, 3.0]])  # by a right angle


        @hypothesis.settings(max_examples=10, deadline=None)
        @hypothesis.given(nx.testing.weights(model))
        def test_invariance(drawn):
            assert jnp.isclose(drawn(q, v), drawn(*turned), rtol=1e-4)


        test_invariance()  # pytest does this
        ```

    **Arguments:**

    - `model`: any PyTree; a plain function has no weights and is returned as it is.
    - `special`: values that weights are drawn at.

    **Returns:**

    A Hypothesis strategy.
    """
    parameters, constants = eqx.partition(model, trainable(model))
    leaves, structure = jax.tree.flatten(parameters)
    if not leaves:
        return st.just(model)
    sizes = [
        float(np.sqrt(np.mean(np.square(np.asarray(x, float))))) if x.size else 0.0 for x in leaves
    ]

    def draw(seed: int) -> _Model:
        rng = np.random.default_rng(seed)
        kind = rng.random()
        if kind < 0.15:
            return model
        drawn: dict[int, jax.Array] = {}
        for leaf, size in zip(leaves, sizes, strict=True):
            if id(leaf) in drawn:
                continue
            noise = rng.normal(size=leaf.shape) * (size if size > 0 else 1.0)
            if kind < 0.35:
                noise = noise * 10.0 ** rng.uniform(*WEIGHT_DECADES)
            elif kind < 0.45:
                noise = np.rint(3 * noise / (size if size > 0 else 1.0))
            elif kind < 0.55 and special:
                chosen = rng.choice(special, size=leaf.shape) * rng.choice([-1.0, 1.0])
                noise = np.where(rng.random(leaf.shape) < 0.5, chosen, noise)
            drawn[id(leaf)] = jnp.asarray(noise, leaf.dtype)
        return eqx.combine(structure.unflatten([drawn[id(leaf)] for leaf in leaves]), constants)

    return st.integers(0, 2**32 - 1).map(draw)
