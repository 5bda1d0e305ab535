"""What tells points apart: their masses, charges, kinds."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

NO_ATTRIBUTES = (
    "The attributes of the points are inputs of this model, and there are none: pass them as u, of "
    "shape (points·columns,), bind them with noetherax.with_attributes(model, attributes), or give "
    "them as inputs in the data."
)


@final
class Attributes(eqx.Module):
    """Numbers that belong to each point and stay the same, unless they are inputs. They never train.

    - `values`: shape `(*batch, points, columns)`; `None` until a model is given them as inputs.
    - `unit`: the size of each column, shape `(columns,)`: networks see values in these units.
    """

    values: Float[Array, "*batch points columns"] | None
    unit: Float[Array, " columns"]

    @classmethod
    def of(cls, given: Any, unit: Any, dtype) -> "Attributes":
        """From an array of shape `(points, columns)`, or the number of columns of inputs to come.

        Raises `ValueError` or `TypeError` if they are neither, or `unit` does not belong to them.
        """
        if isinstance(given, int | np.integer) and not isinstance(given, bool):
            if given < 1:
                raise ValueError(f"There must be a column of attributes at least, but got {given}.")
            values, size = None, np.ones(int(given))
        elif isinstance(given, Tracer):
            raise TypeError(
                "A model is made with attributes that are known. For traced ones give the number of "
                "columns, attributes=2 say, and then noetherax.with_attributes(model, attributes)."
            )
        else:
            array = checked_attributes(given)
            values, size = jnp.asarray(array, dtype), np.max(np.abs(array), axis=0)
        if unit is not None:
            size = np.asarray(unit, float)
            expected = (given,) if values is None else values.shape[1:]
            if size.shape != expected or not np.all(np.isfinite(size) & (size > 0)):
                raise ValueError(
                    f"attribute_unit must be {expected[0]} positive number(s), one for each column, "
                    f"but it is {unit!r}."
                )
        return cls(values, jnp.asarray(np.where(size > 0, size, 1), dtype))

    @property
    def columns(self) -> int:
        return self.unit.shape[0]

    def measured(self, u: Any) -> "Attributes":
        """In units of those that come with data, of shape `(samples, points·columns)`, if they are to
        come, and no unit was given."""
        if self.values is not None or np.shape(u)[-1] % self.columns or np.any(self.unit != 1):
            return self
        size = np.max(np.abs(np.asarray(u).reshape(-1, self.columns)), axis=0)
        usable = np.isfinite(size) & (size > 0)
        return Attributes(None, jnp.asarray(np.where(usable, size, 1), self.unit.dtype))


def checked_attributes(given: Any) -> Any:
    """Attributes as an array of shape `(points, columns)`, a traced one as it is."""
    if isinstance(given, Tracer):
        if given.ndim != 2:
            raise ValueError(f"attributes must have shape (points, columns), not {given.shape}.")
        return given
    try:
        array = np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"attributes must be numbers, but they are {given!r}.") from error
    if array.ndim != 2 or not array.size:
        hint = " One column is attributes[:, None]." if array.ndim == 1 else ""
        raise ValueError(
            f"attributes must have shape (points, columns), but they have {array.shape}.{hint}"
        )
    if not np.all(np.isfinite(array)):
        i, j = (int(x) for x in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"attributes must be finite, but that of point {i}, column {j} is not.")
    return array


def attributes_of_points(
    given: Any, unit: Any, trained: Any, dtype
) -> tuple[Attributes | None, Array | None, int]:
    """The attributes of a model of any number of points; in their units what they train from, or
    `None` if they do not train; and how many columns there are."""
    attributes = None if given is None else Attributes.of(given, unit, dtype)
    if not isinstance(trained, bool | np.bool_):
        raise TypeError(f"train_attributes must be True or False, but it is {trained!r}.")
    columns = 0 if attributes is None else attributes.columns
    if not trained:
        return attributes, None, columns
    if attributes is None or attributes.values is None:
        raise ValueError("train_attributes=True needs the attributes that training starts from.")
    return attributes, attributes.values / attributes.unit, columns


def checked_column(name: str, column: Any, columns: int) -> int | None:
    """A column of attributes by its number, or `None`. Raises a `ValueError` if there is none."""
    if column is None:
        return None
    if isinstance(column, bool) or column not in range(columns):
        raise ValueError(
            f"{name} must be one of {columns} column(s) of attributes, but it is {column!r}."
        )
    return int(column)


def are_to_come(attributes: Attributes | None) -> bool:
    """Whether there are attributes, but no values of theirs yet."""
    return attributes is not None and attributes.values is None


def values_for(attributes: Attributes, learned: Array | None, points: int) -> Array:
    """The attributes of so many points, in their own units, shape `(*batch, points, columns)`."""
    if learned is not None:
        values = learned * attributes.unit
    elif attributes.values is None:
        raise ValueError(NO_ATTRIBUTES)
    else:
        values = attributes.values
    if values.shape[-2] != points:
        raise ValueError(
            f"There are attributes of {values.shape[-2]} points, but the configuration has "
            f"{points}. noetherax.with_attributes(model, attributes) gives those of other points."
        )
    return values


def symmetric_attributes(first, second) -> Array:
    """Sums, and products of differences, of the attributes of two points, shape `(..., columns)` each:
    what does not tell which of them is the first."""
    rows, columns = np.triu_indices(first.shape[-1])
    odd = first - second
    return jnp.concatenate([first + second, odd[..., rows] * odd[..., columns]], axis=-1)


def symmetric_size(columns: int) -> int:
    """Their number."""
    return columns + columns * (columns + 1) // 2
