"""What a group does: to any states, and to the drawn ones with the drawn elements."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

import hypothesis.strategies as st
import numpy as np

from ._cases import Batch
from ._elements import elements_of
from ._evidence import Drawn
from ._programs import Program


@final
class Action:
    """A group's generators and finite elements, by one program. It is compiled when first asked: a
    group without generators may never be.

    **Arguments:**

    - `group`: the group.
    - `function`: what is evaluated, of one case: `moves_of` or `group_of` of the group.
    - `batch`: the cases.
    """

    def __init__(self, group: Any, function: Callable, batch: Batch):
        self.group, self.function, self.batch = group, function, batch

    @cached_property
    def _program(self) -> Program:
        coefficients = self.batch.array(self.group.dimension)
        position = self.batch.array(*self.batch.shape)
        time = self.batch.array()
        return Program(self.function, coefficients, coefficients, position, position, time)

    def __call__(self, coefficients, direction, state, t) -> dict:
        return self._program(coefficients, direction, state[:, 0], state[:, 1], t)

    @property
    def special(self) -> tuple[float, ...]:
        return self._program.special

    def elements(self, special: Sequence[float]) -> st.SearchStrategy:
        """Elements sized by what the generators do at the corners of a cube."""
        batch, dimension = self.batch, self.group.dimension
        if not dimension:
            return no_elements(batch)
        shape = batch.size, *batch.shape
        corners = np.random.default_rng(0).choice([-1.0, 1.0], size=shape)
        zero = np.zeros((batch.size, dimension))
        known = self(zero, zero, np.stack([corners, corners], axis=1), np.zeros(batch.size))
        fields, slopes = known["fields"][:, :, 0, :1], known["slopes"][:, :, :1, :, :1]
        return elements_of(fields[:16], slopes[:16], 1.0, (*self.special, *special), batch.dtype)


def no_elements(batch: Batch) -> st.SearchStrategy:
    """Elements where there is no group, or one without generators."""
    return st.just(np.zeros(0, batch.dtype))


@final
class Moves:
    """What a group does at the drawn states, and where the drawn elements lead."""

    def __init__(self, action: Action, cases: Drawn):
        self.action, self.cases = action, cases

    def at(self, coefficients, direction, state) -> dict:
        """Elements at other states than the drawn ones, or other elements, at the drawn times."""
        return self.action(coefficients, direction, state, self.cases.t)

    def at_zero(self, direction) -> dict:
        """At the identity, and the rate at which elements grow from there along `direction`."""
        return self.at(np.zeros_like(self.cases.coefficients), direction, self.cases.state)

    @cached_property
    def here(self) -> dict:
        """The drawn elements at the drawn states, and the rate at which they grow."""
        coefficients = self.cases.coefficients
        return self.at(coefficients, coefficients, self.cases.state)

    @cached_property
    def fields_there(self) -> np.ndarray:
        """The generators where the drawn elements lead."""
        none = np.zeros_like(self.cases.coefficients)
        return self.at(none, none, self.here["moved"])["fields"]


def flattened(fields: np.ndarray) -> np.ndarray:
    """Generators, or their sizes, with the entries of a state in one axis: `(cases, generators, 2 *
    points * space)`."""
    return fields.reshape(*fields.shape[:2], math.prod(fields.shape[2:]))
