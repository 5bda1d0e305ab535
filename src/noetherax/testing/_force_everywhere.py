"""Forces at the drawn states, and at states beyond them."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, final

import numpy as np

from ._force_rounding import moderate, nudges, settle, shown_instants, sizes_of, spread
from ._force_states import further_states, usual_speed
from ._sizes import Units

REMAINS = 100.0
"""Roundings of the largest force of a case, below which another has faded."""


@final
class Everywhere:
    """The forces at the drawn states, and then at further ones of the same cases."""

    def __init__(self, record: Any):
        self.record, self.values = record, record.function.values
        drawn, own = record.cases, record.subject.state_strategy is not None
        modes = record.growing if record.subject.dissipative and not own else None
        further = further_states(drawn, own, modes).astype(drawn.q.dtype)
        self.sets = np.concatenate([drawn.state[None], further])
        self.count = drawn.distinct
        self.index = np.tile(np.arange(self.count), len(self.sets))
        self.state = self.sets[:, : self.count].reshape(-1, *drawn.state.shape[1:])
        q, v = self.state[:, 0], self.state[:, 1]
        self.cases = drawn.subset(self.index)._replace(q=q, v=v)
        self.units = Units(self.cases)

    @cached_property
    def size(self) -> np.ndarray:
        """Of the states: entries, and distances from the group's centre."""
        return np.maximum(self.units.state, self.record.function.sizes.centre[self.index])

    @cached_property
    def here(self) -> dict:
        return self.values.at(self.state, self.size, index=self.index)

    @cached_property
    def evidence(self) -> dict:
        """What a report shows beside the state."""
        return shown_instants(self.cases.t, self.record.inputs[self.index])

    @cached_property
    def judged(self) -> np.ndarray:
        """Where the value can be judged: not beyond numbers, nor faded."""
        return self.record.usable[self.index] & moderate(self.here) & ~self.faded

    @cached_property
    def faded(self) -> np.ndarray:
        """Where a force with its terms, or of points that move the force itself, is rounding of what it
        is elsewhere in the same case: remains of a network that is saturated there."""
        terms = self._rounding(self._terms(self.here, self.size))
        moving = np.any(self.cases.v != 0, axis=(1, 2))
        return terms | (moving & self._rounding(sizes_of(self.here["value"])))

    def _rounding(self, entries: np.ndarray) -> np.ndarray:
        """Where the largest of all entries is rounding of what it is elsewhere in the same case."""
        size = np.where(moderate(self.here), entries.max(axis=1), 0)
        largest = size.reshape(len(self.sets), self.count).max(axis=0)
        return size < REMAINS * float(np.finfo(self.state.dtype).eps) * largest[self.index]

    @cached_property
    def faded_when_drawn(self) -> np.ndarray:
        """The same of the drawn states, all cases of the batch."""
        cases = np.arange(len(self.record.cases.q)) % self.count
        return self.faded[cases]

    @cached_property
    def force(self) -> np.ndarray:
        """Shape `(cases, forces, points, space)`."""
        value = np.where(self.judged[:, None], self.here["value"], 0)
        return self.record.of_forces(value.astype(float))

    @cached_property
    def slope(self) -> np.ndarray:
        """The slopes of every entry with what rounding of them is relative to."""
        known = [np.abs(x["slope"]) + x["bend"] for x in (self.here, self._filled)]
        return np.fmax(*(sizes_of(x) for x in known))

    def settle(self, check: Callable) -> None:
        """Calls `check` with what rounding of the forces is relative to."""
        settle(check, lambda: self.of_here, lambda: self.terms)

    @cached_property
    def of_here(self) -> np.ndarray:
        """The terms of the forces at the states as they are."""
        return self.record.of_forces(self._terms(self.here, self.size))

    @cached_property
    def noise_of_slopes(self) -> np.ndarray:
        """By how much slopes change where states change by some roundings, in the units of a scale, and
        what rounding of the forces makes of them."""
        dtype = self.state.dtype
        near = [(self.state * x).astype(dtype) for x in nudges(self.state.shape, dtype)]
        slopes = [self.values.at(x, index=self.index)["slope"] for x in near]
        noise = spread([self.here["slope"], *slopes], dtype)
        # Which entries of a force show it is chance, and along which coordinates: for each in its size.
        size = np.broadcast_to(self.size, self.state.shape).reshape(len(noise), 2, -1).astype(float)
        along = noise.sum(axis=1).reshape(size.shape) * size
        # And rounding of rounding of the largest slopes of a case anywhere, as of the forces below.
        terms = self.slope.max(axis=1).reshape(size.shape) * size
        largest = terms.reshape(len(self.sets), self.count, -1).max(axis=(0, 2))
        along = along + float(np.finfo(dtype).eps) * largest[self.index][:, None, None]
        size = np.where(size > 0, size, np.inf)
        along = along.max(axis=2, keepdims=True) / size
        terms = self.terms.reshape(len(noise), -1, 1) / size.reshape(len(noise), 1, -1)
        return along.reshape(len(noise), 1, -1) + terms

    @cached_property
    def terms(self) -> np.ndarray:
        """What rounding of the forces is relative to: their terms there, at the same without zeros, and
        at the usual speed. What is a difference at high speed is one at low speed, too."""
        here, filled = self.of_here.reshape(len(self.state), -1), self._filled
        entries = np.fmax(here, self._terms(filled, self.size))
        v = self.units.filled[:, 1]
        largest = np.abs(v).max(axis=(1, 2), keepdims=True)
        faster = np.maximum(usual_speed(self.record.cases) / largest, 1).astype(v.dtype)
        state = np.stack([self.state[:, 0], v * faster], axis=1)
        size = self.size * np.stack([np.ones_like(faster), faster], axis=1)
        known = self.values.at(state, size, index=self.index)
        entries = np.fmax(entries, self._terms(known, size))
        noise = self.record.noise(self.sets)[:, : self.count].reshape(entries.shape)
        return self.record.of_forces(entries + noise + self._faded(entries))

    def _faded(self, entries: np.ndarray) -> np.ndarray:
        """Rounding of rounding of the largest terms that a case has anywhere: a network may fade to
        nothing, with slopes that are remains."""
        largest = entries.max(axis=1).reshape(len(self.sets), self.count).max(axis=0)
        return float(np.finfo(self.state.dtype).eps) * largest[self.index][:, None]

    @cached_property
    def _filled(self) -> dict:
        return self.values.at(self.units.filled, self.size, index=self.index)

    def _terms(self, known: dict, size: np.ndarray) -> np.ndarray:
        size = np.broadcast_to(size, self.state.shape).reshape(len(size), 1, -1)
        change = (sizes_of(known["slope"]) + sizes_of(known["bend"])) * size
        return sizes_of(known["value"]) + change.sum(axis=-1)

    @cached_property
    def moves(self) -> dict:
        """What the generators do there: `fields` on states, and `slopes` on q."""
        moves, none = self.record.function.moves, np.zeros_like(self.record.cases.coefficients)
        known = [moves.at(none, none, states) for states in self.sets]
        return {
            name: np.concatenate([x[name][: self.count] for x in known]).astype(float)
            for name in ("fields", "slopes")
        }

    @cached_property
    def reach(self) -> np.ndarray:
        """What the lifted generators are sums of, in their shape."""
        return np.einsum("napibj,nxbj->naxpi", np.abs(self.moves["slopes"]), self.size)
