from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..features import (
    Bend,
    ConfigurationFeatures,
    InvariantFeatures,
    Standardisation,
    Unit,
    check_bend,
    standardisation_of,
    standardised_part,
)
from ..forces import ForceScale, Inputs
from ..groups import SymmetryGroup
from ..lagrangians import Attributes

CONSTANT_TYPES = (
    Attributes,
    Inputs,
    ForceScale,
    InvariantFeatures,
    ConfigurationFeatures,
    Standardisation,
    Unit,
    SymmetryGroup,
)
"""Types whose arrays are part of the declaration, not parameters."""


def trainable(model: PyTree) -> PyTree:
    """Which leaves of a model are parameters: floating-point arrays, but those of features, groups,
    standardisations, units and inputs, which are constants however they are stored.

    !!! example

        ```python
        import equinox as eqx
        import jax
        import noetherax as nx

        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(0))
        chosen = nx.trainable(model)
        weights, constants = eqx.partition(model, chosen)
        assert not any(jax.tree.leaves(chosen.features))  # the symmetry is no parameter
        assert len(jax.tree.leaves(weights)) == 5  # matrices and biases of three layers
        ```

    **Arguments:**

    - `model`: any PyTree of Equinox modules.

    **Returns:**

    A PyTree of booleans of the same structure, as `equinox.partition` takes it.
    """

    def mark(node: Any):
        constant = isinstance(node, CONSTANT_TYPES)
        return jax.tree.map(lambda leaf: not constant and eqx.is_inexact_array(leaf), node)

    return jax.tree.map(mark, model, is_leaf=lambda node: isinstance(node, CONSTANT_TYPES))


def chosen_leaves(model: PyTree, chosen: PyTree | None) -> PyTree:
    """The leaves to train: those of `chosen`, booleans or a prefix of them; `trainable` if `None`."""
    if chosen is None:
        return trainable(model)
    for leaf in jax.tree.leaves(chosen):
        if not isinstance(leaf, bool | np.bool_):
            raise TypeError(
                "mask must be a PyTree of booleans, or a prefix of one, such as "
                f"noetherax.trainable(lagrangian), but it holds {leaf!r}."
            )
    try:
        leaves = jax.tree.map(
            lambda wanted, part: jax.tree.map(lambda x: wanted and eqx.is_inexact_array(x), part),
            chosen,
            model,
        )
    except ValueError as error:
        raise ValueError(
            "mask must have the structure of the model, or be a prefix of it, such as "
            f"noetherax.trainable(lagrangian) with some leaves replaced: {error}"
        ) from error
    if not any(jax.tree.leaves(leaves)):
        raise ValueError(
            "mask chooses nothing to train: no floating-point array of the model is true in it."
        )
    return leaves


def standardise(model: PyTree, q, v, *, bend: Bend = "logarithm") -> PyTree:
    """Sets the standardisation of every neural part of `model` from data, where it is not set.

    [`noetherax.fit`][] does this once. It replaces the identity by median and spread of the features
    over the samples, and bends those of position that span much, see
    [`noetherax.Standardisation`][]; a standardisation that has been fitted is left alone. Lagrangians
    whose kinetic energy is a part of its own also take the units of their networks from it. Types of
    yours take part if they [register for it](../lagrangians.md#a-model-that-looks-at-the-data-first).

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        model = nx.standardise(model, 1e6 * q, v)  # positions in another unit
        found = nx.features.standardisation_of(model)
        assert found.fitted and found.unit.shape == (3,)  # q·q, q·v, v·v
        ```

    **Arguments:**

    - `model`: a [`noetherax.Lagrangian`][], or any PyTree that contains neural ones.
    - `q`, `v`: states, shape `(samples, points, space)`.
    - `bend`: how they may be bent: `"logarithm"`, `"inverse"` or `None`.

    **Returns:**

    The model with the standardisation set.

    **Raises:**

    `ValueError` if the states are empty, not finite, or of the wrong shape.
    """
    check_bend(bend)
    return standardised(model, q, v, lambda fitted: fitted(bend))


def standardised(model: PyTree, q, v, choose: Callable[[Callable[[Bend], Any]], Any]) -> PyTree:
    """A model whose new neural parts are replaced by `choose(fitted)`, where `fitted(bend)` is
    one of them, standardised."""
    for name, array in {"q": q, "v": v}.items():
        if np.ndim(array) != 3 or np.shape(array) != np.shape(q) or not np.size(array):
            raise ValueError(
                f"{name} must have shape (samples, points, space), the same for q and v and not empty, "
                f"but it has shape {np.shape(array)}."
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(
                f"{name} is not finite, so that features cannot be standardised by it."
            )

    def set_from_data(node: Any):
        standardisation = standardisation_of(node)
        if standardisation is None or not _unfitted(node):
            return node
        dtype = standardisation.unit.dtype
        states = jnp.asarray(q, dtype), jnp.asarray(v, dtype)

        return choose(lambda bend: standardised_part(node, *states, bend))

    return jax.tree.map(set_from_data, model, is_leaf=is_standardised)


def with_attribute_units(model: PyTree, u) -> PyTree:
    """A model whose new neural parts see attributes that come with the data, `u`, in units of their
    size."""

    def measured(node: Any):
        if not _unfitted(node):
            return node
        return jax.tree.map(
            lambda x: x.measured(u) if isinstance(x, Attributes) else x,
            node,
            is_leaf=lambda x: isinstance(x, Attributes),
        )

    return jax.tree.map(measured, model, is_leaf=is_standardised)


def needs_standardisation(model: PyTree) -> bool:
    """Whether a model holds a part whose standardisation has not been fitted."""
    return any(_unfitted(node) for node in standardised_parts(model))


def is_new(model: PyTree) -> bool:
    """Whether no part of a model has seen data."""
    return all(_unfitted(node) for node in standardised_parts(model))


def standardised_parts(model: PyTree) -> list:
    """The parts of a model that take a standardisation from data."""
    return [x for x in jax.tree.leaves(model, is_leaf=is_standardised) if is_standardised(x)]


def is_standardised(node: Any) -> bool:
    """Whether it has a standardisation, fitted or not."""
    return standardisation_of(node) is not None


def _unfitted(node: Any) -> bool:
    standardisation = standardisation_of(node)
    if standardisation is None:
        return False
    fitted = standardisation.fitted
    if np.ndim(fitted):
        raise ValueError(
            f"The model is an ensemble of {len(fitted)} members, where one model is expected. Train "
            "all of them with noetherax.fit_ensemble, or take one after the other, such as "
            "jax.tree.map(lambda x: x[0] if equinox.is_array(x) else x, ensemble)."
        )
    return not bool(fitted)
