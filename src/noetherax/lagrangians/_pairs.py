"""Which pairs of points see each other."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._checks import check_count, check_number
from .._programs import HostError

MARGIN = 1e-5
"""By how much farther neighbours are looked for than the cut-off, relative: more than single precision
can round a distance. What is beyond the cut-off counts nothing."""

CHUNK = 16_384
"""Pairs that are looked at together: what a network of usual width makes of them stays in the cache of
a processor, and the memory of a step does not grow with their number."""


class Pairs(NamedTuple):
    """Pairs of points by their numbers, each once.

    - `first`, `second`: shape `(pairs,)`.
    - `present`: which entries are pairs; `None` if all are.
    """

    first: Int[Array | np.ndarray, " pairs"]
    second: Int[Array | np.ndarray, " pairs"]
    present: Bool[Array, " pairs"] | None


@final
class Neighbourhood(eqx.Module):
    """Which pairs act on each other, and in what space: all of them, or those within a cut-off, in a
    box whose opposite sides are one, or in none.

    Neighbours are found by a k-d tree of SciPy, on the host, at every evaluation: no list that may be
    out of date, at a cost that grows as the number of points. Where all pairs are no more than the
    neighbours allowed, all are taken.

    - `cutoff`: distance beyond which points do not see each other, or `None`.
    - `box`: length of every axis, infinite where it does not close; `None` for no box.
    - `neighbours`: most neighbours of a point, in the mean over points.
    """

    cutoff: float | None = eqx.field(static=True)
    box: tuple[float, ...] | None = eqx.field(static=True)
    neighbours: int = eqx.field(static=True)

    def __init__(self, space: int, cutoff: Any, box: Any, neighbours: Any):
        self.cutoff = None if cutoff is None else check_number("cutoff", cutoff)
        self.neighbours = check_count("neighbours", neighbours)
        self.box = None if box is None else _checked_box(space, box)
        if self.box is None:
            return
        if self.cutoff is None:
            raise ValueError(
                "In a box points see each other's nearest image, and at half a side that is another "
                f"one: the force would jump. Give a cutoff of at most {min(self.box) / 2:.4g}."
            )
        if self.cutoff > min(self.box) / 2:
            raise ValueError(
                f"cutoff must be at most half the shortest side of the box, {min(self.box) / 2:.4g}, "
                f"so that a point sees no other one twice, but it is {self.cutoff:.4g}."
            )

    def takes_all(self, points: int) -> bool:
        """Whether all pairs of so many points are looked at."""
        return self.cutoff is None or points - 1 <= self.neighbours

    def near(self, q: Float[Array, "points space"]) -> Pairs:
        """The pairs of a configuration within the cut-off.

        Raises an error that tells their number if there are more than `neighbours` allows.
        """
        points = len(q)
        room = math.ceil(points * self.neighbours / 2)
        shape = jax.ShapeDtypeStruct((room, 2), jnp.int32), jax.ShapeDtypeStruct((), jnp.int32)
        found, count = jax.pure_callback(
            self._found, shape, jax.lax.stop_gradient(q), vmap_method="sequential"
        )
        return Pairs(found[:, 0], found[:, 1], jnp.arange(room, dtype=count.dtype) < count)

    def _found(self, q) -> tuple[np.ndarray, np.int32]:
        from scipy.spatial import KDTree  # loaded by those who have a cut-off alone

        cutoff = check_number("cutoff", self.cutoff)
        q = np.asarray(q, float)
        room = math.ceil(len(q) * self.neighbours / 2)
        none = np.zeros((room, 2), np.int32)
        if not np.all(np.isfinite(q)):  # such a motion has ended; what it has become says so
            return none, np.int32(0)
        periods = None
        if self.box is not None:
            sides = np.asarray(self.box)
            closed = np.isfinite(sides)
            periods = np.where(closed, sides, 0)
            q = np.where(closed, np.mod(q, np.where(closed, sides, 1)), q)
            q = np.where(closed & (q >= sides), 0, q)
        tree = KDTree(q, boxsize=periods)
        found = tree.query_pairs(cutoff * (1 + MARGIN), output_type="ndarray")
        if len(found) > room:
            raise HostError(
                f"There are {len(found)} pairs of {len(q)} points within the cut-off "
                f"{cutoff:.4g}, {2 * len(found) / len(q):.3g} neighbours of a point, but room for "
                f"{self.neighbours} only: pass neighbours={2 * len(found) // len(q) + 2} or more."
            )
        none[: len(found)] = found
        return none, np.int32(len(found))

    def states(self, x: Float[Array, "pairs space"], y: Float[Array, "pairs space"]):
        """Pairs as states of two points, the second in a box by its nearest image, shape
        `(pairs, 2, space)`, and y − x."""
        apart = y - x
        if self.box is None:
            return jnp.stack([x, y], axis=1), apart
        closed = np.isfinite(self.box)
        sides = jnp.asarray(np.where(closed, self.box, 1), apart.dtype)
        turns = jnp.where(closed, jnp.round(jax.lax.stop_gradient(apart) / sides), 0)
        apart = apart - turns * sides
        return jnp.stack([x, x + apart], axis=1), apart

    def taper(self, square):
        """(1 − r²/r_c²)³ within the cut-off r_c and 0 beyond, of r²: twice continuously
        differentiable."""
        if self.cutoff is None:
            return jnp.ones_like(square)
        return jnp.maximum(1 - square / self.cutoff**2, 0) ** 3


def over_pairs(
    added: Callable[[Any, Pairs], Any], start: Any, neighbourhood: Neighbourhood, q: Array
) -> Any:
    """What `added(total, pairs)` makes of a start and of all pairs, so many at a time."""
    points = len(q)
    if neighbourhood.takes_all(points):
        size = points * (points - 1) // 2
        if size + CHUNK > np.iinfo(np.int32).max:
            raise ValueError(f"{points} points have {size} pairs, too many for all: give a cutoff.")
        if size <= CHUNK:
            return added(start, Pairs(*np.triu_indices(points, 1), None))

        def numbered(total, chunk):
            # Every point with the next one, then with that after it, and so on around the circle: no
            # list of all pairs is kept.
            number = chunk * CHUNK + jnp.arange(CHUNK, dtype=jnp.int32)
            first = number % points
            second = (first + number // points + 1) % points
            return added(total, Pairs(first, second, number < size)), None

        return jax.lax.scan(numbered, start, jnp.arange(-(-size // CHUNK), dtype=jnp.int32))[0]
    pairs = neighbourhood.near(q)
    first, second, present = pairs
    size = len(first)
    if size <= CHUNK:
        return added(start, pairs)
    # The last chunk is filled up with pairs that are none.
    rest = -size % CHUNK
    columns = first, second, jnp.asarray(present)
    chunks = [jnp.pad(x, (0, rest)).reshape(-1, CHUNK) for x in columns]
    total, _ = jax.lax.scan(lambda total, chunk: (added(total, Pairs(*chunk)), None), start, chunks)
    return total


def _checked_box(space: int, box: Any) -> tuple[float, ...]:
    try:
        sides = np.asarray(box, float)
    except (TypeError, ValueError):
        sides = np.asarray(np.nan)
    if sides.ndim > 1 or sides.size not in (1, space) or not np.all(sides > 0):
        raise ValueError(
            f"box must be a positive number or {space} of them, one for each axis and infinite where "
            f"the box does not close, but it is {box!r}."
        )
    if not np.any(np.isfinite(sides)):
        raise ValueError("No side of the box is finite: leave box out.")
    return tuple(float(x) for x in np.broadcast_to(sides, space))
