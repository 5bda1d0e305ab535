"""What follows from the declaration of a group, in words and formulas."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, final

import equinox as eqx
import numpy as np

from ._checks import check_count
from ._summaries import counted
from .features import (
    Concatenation,
    InvariantFeatures,
    ScalarProducts,
    TensorContractions,
    feature_names,
)
from .groups import AffineGroup, SymmetryGroup, component_representatives, declared_algebra, periods

SMALL = 1e-12
"""Relative to the largest coefficient of a formula: below it is rounding, and is not shown."""


@final
class GroupDescription(eqx.Module):
    """What [`noetherax.describe`][] found. Printed, it is a table.

    - `group`: the group in one line.
    - `points`, `space`: of the configuration.
    - `features`: names of the invariant features, as [`noetherax.feature_names`][] gives them.
    - `generators`: ξ at one point, a formula for each generator.
    - `charges`: p · ξ, the part of one point in each charge; a charge is the sum over all points.
    - `notes`: what the signs in these formulas mean, and what else is kept or has to be known.

    !!! example

        ```python
        import noetherax as nx

        found = nx.describe(nx.Translations(1), points=2)
        assert found.features == ("(q1-q2)[0]", "v1[0]", "v2[0]")
        assert found.generators == ("(1)",) and found.charges == ("p[0]",)
        assert "the sum of this formula over all points" in found.notes[-1]
        ```
    """

    group: str
    points: int
    space: int
    features: tuple[str, ...]
    generators: tuple[str, ...]
    charges: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [
            self.group,
            f"{counted(self.points, 'point')}: (q, v) has {2 * self.points * self.space} components, "
            f"of which {counted(len(self.features), 'invariant feature')} may be used, and "
            f"{counted(len(self.charges), 'charge')} kept",
        ]
        lines += _rows("feature", [(name,) for name in self.features])
        lines += _rows(
            "charge", list(zip(self.charges, self.generators, strict=True)), "   of ξ = "
        )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def describe(group: Any, points: int) -> GroupDescription:
    """The invariant features and the charges of a group, by name: the first table of Müller (2023), for
    any group.

    !!! example

        ```python
        import noetherax as nx

        found = nx.describe(nx.Rotations(2), points=1)
        assert found.charges == ("q[0] p[1] − q[1] p[0]",)
        assert found.features == ("q·q", "q·v", "v·v", "det(q, v)")
        print(found)
        ```

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].
    - `points`: number of points.

    **Returns:**

    A [`noetherax.GroupDescription`][], which prints as a table.

    **Raises:**

    `TypeError` if `group` is no group, `ValueError` if `points` is no positive integer, and as
    `group.invariant_features` does.
    """
    points = check_count("points", points)
    if isinstance(group, type) or not hasattr(group, "invariant_features"):
        raise TypeError(
            f"describe takes a group, such as noetherax.Rotations(3), but got {group!r:.100}."
        )
    features = group.invariant_features(points)
    generators, charges = _formulas(group)
    return GroupDescription(
        repr(group),
        points,
        group.space,
        feature_names(features),
        generators,
        charges,
        (*_legend(features), *_more(group, points)),
    )


@singledispatch
def _formulas(group: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ξ and p · ξ of one point; of a field that is no affine map only the numbers are known."""
    numbers = range(1, group.dimension + 1)
    return tuple(f"ξ{i}(q, t)" for i in numbers), tuple(f"p·ξ{i}(q, t)" for i in numbers)


@_formulas.register
def _(group: AffineGroup):
    algebra = declared_algebra(group)
    generators, charges = [], []
    for linear, shift in zip(algebra.linear, algebra.shift, strict=True):
        linear, shift = np.asarray(linear), np.asarray(shift)
        of_space = range(len(shift))
        rows = [{f"q[{j}]": linear[i, j] for j in of_space} | {"": shift[i]} for i in of_space]
        generators.append(f"({', '.join(_sum(row) for row in rows)})")
        terms = {f"q[{j}] p[{i}]": linear[i, j] for j in of_space for i in of_space}
        charges.append(_sum(terms | {f"p[{i}]": shift[i] for i in of_space}))
    return tuple(generators), tuple(charges)


def _sum(terms: dict[str, float]) -> str:
    """`2 q[0] − q[1] + 1`, without what is zero."""
    least = SMALL * max(map(abs, terms.values()), default=0.0)
    text = ""
    for name, value in terms.items():
        if abs(value) <= least:
            continue
        size = f"{abs(value):.4g}"
        factor = name if name and size == "1" else f"{size} {name}".strip()
        sign = ("−" if value < 0 else "") if not text else (" − " if value < 0 else " + ")
        text += sign + factor
    return text or "0"


@singledispatch
def _legend(features: InvariantFeatures) -> tuple[str, ...]:
    """What names of features mean that are not plain products."""
    return ()


@_legend.register
def _(features: Concatenation):
    return tuple(dict.fromkeys(note for part in features.parts for note in _legend(part)))


@_legend.register
def _(features: ScalarProducts):
    if features.metric is None:
        return ()
    return (f"⟨x, y⟩ = {_form(np.asarray(features.metric))}",)


@_legend.register
def _(features: TensorContractions):
    notes = []
    for number, (tensor, slots) in enumerate(zip(features.tensors, features.slots, strict=True), 1):
        rank = len(slots[0]) if slots else 0
        if rank in (1, 2):
            shaped = np.reshape(tensor, (-1,) * 1 if rank == 1 else (features.vectors.dim,) * 2)
            inside = "x" if rank == 1 else "x, y"
            notes.append(f"T{number}({inside}) = {_form(shaped)}")
        elif rank:
            notes.append(f"T{number} is an invariant tensor of rank {rank}, in `features.tensors`")
    return tuple(notes)


def _form(tensor: np.ndarray) -> str:
    """A linear or bilinear form in components of its arguments."""
    return _sum(
        {
            " ".join(f"{letter}[{i}]" for letter, i in zip("xy", index, strict=False)): value
            for index, value in np.ndenumerate(tensor)
        }
    )


def _more(group: SymmetryGroup, points: int) -> list[str]:
    notes = ["the energy is kept as well, of every Lagrangian without explicit time"]
    if points > 1 and group.dimension:
        notes.append("a charge is the sum of this formula over all points")
    if count := len(component_representatives(group)):
        maps = counted(count, "further map")
        notes.append(f"{maps}, such as reflections: features that change under them are left out")
    found = periods(group)
    angles = ", ".join(f"q[{i}] by {x:.6g}" for i, x in enumerate(found) if np.isfinite(x))
    if angles:
        notes.append(f"coordinates with a period: {angles}")
    return notes


def _rows(name: str, rows: Sequence[tuple[str, ...]], between: str = "") -> list[str]:
    width = max((len(row[0]) for row in rows), default=0)
    places = len(str(len(rows)))
    return [
        f"  {name} {i:{places}}  {between.join([row[0].ljust(width), *row[1:]])}".rstrip()
        for i, row in enumerate(rows, 1)
    ]
