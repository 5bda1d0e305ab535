"""A function of the state at the cases: its values, slopes and second derivatives, and their sizes."""

from functools import cached_property
from typing import final

import jax
import numpy as np

from ._evidence import Drawn
from ._programs import Program
from ._sizes import Sizes, Units


@final
class Values:
    """Evaluates a function at any states, with the weights of the cases, a batch at a time.

    **Arguments:**

    - `program`: of parameters, state, size, direction, acceleration and time; see `function_of`.
    - `cases`, `sizes`, `units`: the drawn cases and how large they are.
    """

    def __init__(self, program: Program, cases: Drawn, sizes: Sizes, units: Units):
        self.program, self.cases, self.sizes, self.units = program, cases, sizes, units

    @cached_property
    def any_acceleration(self) -> np.ndarray:
        """Of no motion: for what is asked at any acceleration, or at none."""
        return self.cases.q - self.cases.v

    def at(
        self, state, size=None, direction=None, index=None, acceleration=None, cases=None
    ) -> dict:
        """The function at any number of states, with the weights, times and accelerations of the cases
        `index` (all of them, in order, if not given); `cases` may have other times."""
        count = len(self.cases.q)
        index = np.arange(count) if index is None else index
        zero = np.zeros_like(state)
        size = zero if size is None else np.broadcast_to(size, state.shape)
        direction = zero if direction is None else direction
        acceleration = self.any_acceleration if acceleration is None else acceleration
        drawn = self.cases if cases is None else cases
        of_case = drawn.parameters, acceleration, drawn.t
        parts = []
        for first in range(0, len(index), count):
            chunk = np.arange(first, min(first + count, len(index)))
            full = np.resize(chunk, count)
            parameters, a, t = jax.tree.map(lambda x, case=index[full]: x[case], of_case)
            known = self.program(parameters, state[full], size[full], direction[full], a, t)
            parts.append({name: x[: len(chunk)] for name, x in known.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def some(self, share: int) -> np.ndarray:
        """Every so many of the cases, for what takes many evaluations of each."""
        count = len(self.cases.q)
        return np.arange(0, count, min(share, max(1, count // 8)))

    @cached_property
    def here(self) -> dict:
        """At the drawn states."""
        return self.at(self.cases.state, self.sizes.state, self.units.directions)

    @cached_property
    def filled(self) -> dict:
        """At the drawn states with numbers of the state's size in place of zeros and of those that
        occur again. Where entries vanish or vectors are parallel, so may the terms that rounding is
        relative to."""
        index = np.flatnonzero(np.any(self.units.special, axis=(1, 2, 3)))
        if not len(index):
            return self.here
        known = {name: x.copy() for name, x in self.here.items()}
        full, size = self.units.filled[index], self.units.state[index]
        for name, x in self.at(full, size, index=index).items():
            known[name][index] = x
        return known

    def terms(self, known: dict, size: np.ndarray) -> np.ndarray:
        """|f| + |∂f/∂x| x + |∂²f/∂x²| x x, for every component, at states x of the given size."""
        count = len(known["value"])
        size = np.broadcast_to(size, (count, *self.cases.state.shape[1:])).reshape(count, 1, -1)
        of_change = ((np.abs(known["slope"]) + known["bend"]) * size).sum(axis=-1)
        if "explicit_size" in known:  # of a Lagrangian, which may depend on time
            of_change = of_change + known["explicit_size"][:, None]
        return np.abs(known["value"]) + of_change

    @cached_property
    def scale(self) -> np.ndarray:
        """These terms at the drawn states, and at the same without zeros."""
        size = self.sizes.state
        return np.fmax(self.terms(self.here, size), self.terms(self.filled, size))
