"""The sizes that rounding is relative to, axis by axis: no unit of one axis or of the velocity enters
that of another."""

from functools import cached_property
from typing import final

import numpy as np

from ._actions import Moves
from ._elements import TURNING, turning
from ._evidence import Drawn

FILL_SEED = 2
"""Of the numbers that take the place of special ones."""

DIRECTION_SEED = 1
"""Of the directions along which derivatives are compared with differences."""


@final
class Units:
    """The size of the drawn states as they are; nothing in it is zero."""

    def __init__(self, cases: Drawn):
        self.cases = cases

    @cached_property
    def state(self) -> np.ndarray:
        """The size of the states; where an axis is zero, what it is in other states beside the size of
        the whole, or what these are."""
        state = np.abs(self.cases.state)
        size = np.broadcast_to(largest(state), state.shape)
        whole = state.max(axis=(2, 3), keepdims=True)
        share = np.divide(size, whole, where=size > 0, out=np.full(size.shape, np.nan))
        usual = np.nanmedian(np.where(np.isnan(share).all(axis=0), 1, share), axis=0)
        size = np.where(size > 0, size, usual * whole)
        usual = np.median(whole, axis=0, keepdims=True)
        return np.where(size > 0, size, np.where(usual > 0, usual, 1))

    @cached_property
    def filled(self) -> np.ndarray:
        """The states, with random numbers of their size in place of zeros and of numbers that occur
        again: vectors of such are parallel, or vanish, and with them much that rounding is relative
        to."""
        state = self.cases.state
        random = np.random.default_rng(FILL_SEED).uniform(0.25, 1.0, size=state.shape)
        return np.where(self.special, self.state * random, state).astype(state.dtype)

    @cached_property
    def special(self) -> np.ndarray:
        """Where a state has zeros, or numbers that occur again up to their sign."""
        rows = np.abs(self.cases.state).reshape(*self.cases.state.shape[:2], -1)
        order = np.argsort(rows, axis=-1)
        again = np.diff(np.take_along_axis(rows, order, axis=-1), axis=-1, prepend=np.nan) == 0
        found = np.zeros(rows.shape, bool)
        np.put_along_axis(found, order, again, axis=-1)
        return (found | (rows == 0)).reshape(self.cases.state.shape)

    @cached_property
    def directions(self) -> np.ndarray:
        """Random changes of the states, of their size."""
        state = self.cases.state
        random = np.random.default_rng(DIRECTION_SEED).normal(size=state.shape)
        return (self.state * random).astype(state.dtype)


@final
class Sizes:
    """The size of the drawn states with all that a group adds to it, shape `(cases, 2, 1, space)`."""

    def __init__(self, cases: Drawn, moves: Moves):
        self.cases, self.moves = cases, moves

    @cached_property
    def state(self) -> np.ndarray:
        """Of the states: entries, and distances from the group's centre."""
        return np.maximum(largest(self.cases.state), self.centre)

    @cached_property
    def mixed(self) -> np.ndarray:
        """Of the states, with what group elements mix in from other axes: rounding of an element is
        relative to all of them, however small it is."""
        slopes = self.moves.here["slopes"][0, :, 0, :, 0].astype(float)
        turns, entries = turning(slopes)
        slopes = np.abs(slopes)
        rate = np.where(turns > TURNING * entries, turns, np.where(entries > 0, entries, 1))
        # The matrix of an element is a series in that of the generator: what one product brings to an
        # axis, a second carries on. Without generators, nothing is mixed in.
        mixing = (slopes / rate[:, None, None]).max(axis=0, initial=0.0)
        once = self.state @ mixing.T
        return self.state + once + once @ mixing.T

    @cached_property
    def moved(self) -> np.ndarray:
        """As above, with what the drawn elements make of a state, and c ξ before and after: an angle of
        a thousand is rounded by a thousand ε."""
        size = self.mixed + largest(self.moves.here["moved"])
        for fields in (self.moves.here["fields"], self.moves.fields_there):
            step = np.einsum("na,naxpi->nxpi", np.abs(self.cases.coefficients), np.abs(fields))
            size = size + largest(step)
        return size

    @cached_property
    def centre(self) -> np.ndarray:
        """Where the generators vanish, as far as they can: rounding of A(q − c) is relative to c."""
        count, space = len(self.cases.q), self.cases.q.shape[-1]
        if not self.cases.coefficients.shape[1]:
            return np.zeros((count, 2, 1, space))
        known = self.moves.here
        linear = known["slopes"][:, :, 0, :, 0].astype(float)
        at_zero = known["fields"][:, :, 0, 0] - np.einsum(
            "naij,nj->nai", linear, self.cases.q[:, 0]
        )
        flat = linear.reshape(count, -1, space)
        centre = np.linalg.pinv(flat, rcond=1e-8) @ -at_zero.reshape(count, -1, 1)
        q = np.abs(centre[:, None, :, 0])
        return np.stack([q, np.zeros_like(q)], axis=1)

    @cached_property
    def reach(self) -> np.ndarray:
        """What the lifted generators are sums of: |∂ξ/∂q| times |q − c| and |v|; the shape is that of
        the generators, `(cases, generators, 2, points, space)`."""
        size = np.broadcast_to(self.state, self.cases.state.shape)
        return np.einsum("napibj,nxbj->naxpi", np.abs(self.moves.here["slopes"]), size)


def largest(state: np.ndarray) -> np.ndarray:
    """Over points, axis by axis."""
    return np.abs(np.asarray(state, float)).max(axis=-2, keepdims=True)
