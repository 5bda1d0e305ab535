from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from ..features import InvariantFeatures, Standardisation
from ..groups import SymmetryGroup
from ..lagrangians import NeuralLagrangian

CONSTANT_TYPES = (InvariantFeatures, Standardisation, SymmetryGroup)
"""Types whose arrays are part of the declaration, not parameters."""


def trainable(model: PyTree) -> PyTree:
    """Which leaves of a model are parameters: floating-point arrays, but those of features, groups
    and standardisations, which are constants however they are stored.

    **Arguments:**

    - `model`: any PyTree of Equinox modules.

    **Returns:**

    A PyTree of booleans of the same structure, as `equinox.partition` takes it.
    """

    def mark(node: Any):
        constant = isinstance(node, CONSTANT_TYPES)
        return jax.tree.map(lambda leaf: not constant and eqx.is_inexact_array(leaf), node)

    return jax.tree.map(mark, model, is_leaf=lambda node: isinstance(node, CONSTANT_TYPES))


def standardise(model: PyTree, q, v) -> PyTree:
    """Sets the standardisation of every neural Lagrangian in `model` from data, where it is not set.

    [`noetherax.fit`][] does this once. It replaces the identity by mean and deviation of the features
    over the samples; a standardisation that has been fitted is left alone.

    **Arguments:**

    - `model`: a [`noetherax.Lagrangian`][], or any PyTree that contains neural ones.
    - `q`, `v`: states, shape `(samples, points, space)`.

    **Returns:**

    The model with the standardisation set.
    """

    def set_from_data(node: Any):
        if not isinstance(node, NeuralLagrangian) or bool(node.standardisation.fitted):
            return node
        fitted = Standardisation.fit(node.features, q, v)
        return eqx.tree_at(lambda neural: neural.standardisation, node, fitted)

    return jax.tree.map(
        set_from_data, model, is_leaf=lambda node: isinstance(node, NeuralLagrangian)
    )
