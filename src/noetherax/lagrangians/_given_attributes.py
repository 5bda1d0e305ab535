"""Laws of pairs that are given their attributes: those of other points, or inputs."""

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import FloatArray
from ._attributes import NO_ATTRIBUTES, checked_attributes
from ._general_pairwise import GeneralPairwiseLagrangian
from ._pairwise import PairwiseLagrangian

NONE = (
    "with_attributes takes a law of pairs that was made with attributes, such as a PairwiseLagrangian, "
    "but got {}."
)


@singledispatch
def with_attributes(model: Callable, attributes: Float[FloatArray, "points columns"]) -> Any:
    """The same law for other points: the weights stay, the attributes are new. Types that hold another
    model register a rule.

    !!! example

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        model = nx.PairwiseLagrangian(nx.Euclidean(2), 8, attributes=1, key=jax.random.key(0))
        charged = nx.with_attributes(model, jnp.array([[1.0], [-1.0], [1.0]]))
        swapped = nx.with_attributes(model, jnp.array([[-1.0], [1.0], [1.0]]))
        q, rest = jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), jnp.zeros((3, 2))
        assert nx.energy(charged, q, rest) != nx.energy(swapped, q, rest)
        ```

    **Arguments:**

    - `model`: a [`noetherax.PairwiseLagrangian`][], [`noetherax.GeneralPairwiseLagrangian`][] or
        [`noetherax.PairFriction`][] that has attributes, or a [`noetherax.Forced`][] with such parts.
    - `attributes`: of each point, shape `(points, columns)`.

    **Returns:**

    A model for as many points.

    **Raises:**

    `ValueError` or `TypeError` if the attributes are not finite numbers of that shape.
    """
    raise TypeError(NONE.format(type(model).__name__))


@singledispatch
def takes_new_attributes(model: Any) -> bool:
    """Whether a model, or one of its parts, has attributes of points, which others may replace."""
    return False


@takes_new_attributes.register
def _(model: PairwiseLagrangian | GeneralPairwiseLagrangian) -> bool:
    return model.attributes is not None


@with_attributes.register
def _(model: PairwiseLagrangian | GeneralPairwiseLagrangian, attributes):
    return given_attributes(model, attributes)


@singledispatch
def columns_in_momentum(model: Any) -> tuple[int, ...]:
    """Of a law of pairs whose attributes are inputs, the columns with which its momentum changes at
    fixed q and v; none of any other model."""
    return ()


@columns_in_momentum.register
def _(model: PairwiseLagrangian):
    named = model.mass_attribute if model.takes_attributes else None
    return () if named is None else (named,)


@columns_in_momentum.register
def _(model: GeneralPairwiseLagrangian):
    attributes = model.attributes if model.takes_attributes else None
    return () if attributes is None else tuple(range(attributes.columns))


def given_attributes(model: Any, attributes: Any) -> Any:
    """The same for any model or force that keeps `attributes`, and may learn them."""
    if model.attributes is None:
        raise TypeError(NONE.format("one without"))
    values = checked_attributes(attributes)
    if values.shape[1] != model.attributes.columns:
        raise ValueError(
            f"The model has {model.attributes.columns} column(s) of attributes, but these have "
            f"{values.shape[1]}."
        )
    return _with_values(model, jnp.asarray(values, model.attributes.unit.dtype))


def with_inputs(model: Any, u: Array | None) -> Any:
    """A model whose attributes are inputs, with those, of shape `(*batch, points·columns)`."""
    if u is None or model.attributes is None:
        raise ValueError(NO_ATTRIBUTES)
    columns = model.attributes.columns
    if u.shape[-1] % columns:
        raise ValueError(
            f"Inputs must hold {columns} attribute(s) of each point, (..., points·{columns}), but they "
            f"have shape {u.shape}."
        )
    values = u.reshape(*u.shape[:-1], -1, columns)
    return _with_values(model, values.astype(model.attributes.unit.dtype))


def _with_values(model: Any, values: Array) -> Any:
    return eqx.tree_at(
        lambda x: (x.attributes.values, x.learned),
        model,
        (values, None),
        is_leaf=lambda x: x is None,
    )
