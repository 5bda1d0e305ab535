"""Laws of points that are alike: to exchange them changes nothing but their order."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._evidence import Seen, seen
from ._force_laws import BEYOND_NUMBERS, before_and_after, carried_along
from ._force_records import ForceRecord
from ._records import FunctionRecord
from ._symmetry_laws import unchanged


def permutations_of(subject: Any) -> list[np.ndarray]:
    """Those that a subject declares. Raises a `ValueError` for what is none of its points, and a
    `TypeError` for what can be read but once: a law that comes later would see none."""
    if isinstance(subject.permutations, Iterator):
        raise TypeError("permutations is an iterator, which is empty once read. Pass a list of it.")
    found = [np.asarray(one) for one in subject.permutations]
    for one in found:
        whole = one.ndim == 1 and one.dtype.kind in "iu"
        if not whole or not np.array_equal(np.sort(one), np.arange(subject.points)):
            raise ValueError(
                f"permutations must list each of the points 0, …, {subject.points - 1} once, but one "
                f"of them is {one.tolist()}."
            )
    return found


def permutation_law(record: FunctionRecord) -> Seen:
    """f is unchanged by the declared permutations of points, also after a group element."""
    cases = record.cases
    for permutation in permutations_of(record.subject):
        evidence = np.broadcast_to(permutation, (record.batch.size, *permutation.shape))
        for state, size in (
            (cases.state, record.sizes.state),
            (record.moves.here["moved"], record.sizes.moved),
        ):
            moved = record.values.at(state[:, :, permutation], size)
            unchanged(record, "a permutation of points", moved, size, evidence)
    return Seen("permutation_law", cases.distinct)


def force_permutation_law(record: ForceRecord) -> Seen:
    """The declared permutations of points permute the force likewise, also after a group element."""
    judged = np.ones(len(record.cases.q), bool)
    for permutation in permutations_of(record.subject):
        element = np.broadcast_to(permutation, (len(judged), *permutation.shape))
        for state, size, carried in before_and_after(record):
            law = "a permutation of points permutes the force"
            state, carried = state[:, :, permutation], carried[:, permutation]
            judged &= carried_along(record, law, state, size, carried, element)
    return seen("force_permutation_law", record.cases, judged, BEYOND_NUMBERS)
