"""Which invariant tensors to contract with which vectors: new ones only, degree by degree."""

import itertools
from collections import Counter
from typing import NamedTuple, final

import numpy as np

from ..algebras import AffineAlgebra
from ..features import StateVectors, TensorContractions
from ._errors import NEARLY, IllConditioned
from ._frame import Frame, centre
from ._monomials import by_multiplicity, monomials
from ._representation import invariant_tensors

CLEARLY_NEW = 0.03
"""What is left of a new invariant beside polynomials in others: far from 0, even in float32."""


class Slots(NamedTuple):
    """How covectors on one kind of vector transform: `generators` and `components` act on coordinates
    in `basis`, whose rows are the admitted covectors in the coordinates of `StateVectors`."""

    generators: np.ndarray
    components: np.ndarray
    basis: np.ndarray


@final
class Search:
    """Invariants found so far, by the multiset of vectors they are contracted with.

    Tensors are kept as rows of matrices, `(tensors, dim^degree)`, so that all of one multiset are
    evaluated by one product with the monomials of the vectors.
    """

    def __init__(self, block: AffineAlgebra, vectors: StateVectors, kinds: list[Slots]):
        self.block, self.vectors, self.kinds = block, vectors, kinds
        self.centre = None if vectors.homogeneous else centre(block)
        self.found: dict[tuple[int, ...], np.ndarray] = {}
        self.patterns: dict[tuple, np.ndarray] = {}
        self.tensors: dict[tuple, np.ndarray] = {}
        self.rng = np.random.default_rng(0)
        self.small = np.sqrt(block.tolerance)

    def extend(self, degree: int) -> None:
        """Adds the invariants of one degree that are not polynomials in lower ones."""
        count = self.vectors.num_vectors
        new = {}
        for multiset in itertools.combinations_with_replacement(range(count), degree):
            slots = by_multiplicity(multiset)
            pattern = tuple((m, id(self.kinds[vector])) for vector, m in Counter(slots).items())
            # Vectors of one kind are interchangeable: the same tensors serve all of them.
            if pattern not in self.patterns:
                self.patterns[pattern] = self._new_tensors(slots)
            if len(self.patterns[pattern]):
                new[slots] = self.patterns[pattern]
        self.found |= new

    def features(self, frame: Frame) -> TensorContractions:
        """All invariants found, in the user's coordinates; equal tensors are stored once."""
        grouped: dict[tuple, list[tuple[int, ...]]] = {}
        for slots, tensors in self.found.items():
            for row in tensors:
                tensor = frame.covariant(row.reshape((self.vectors.dim,) * len(slots)))
                grouped.setdefault((len(slots), tuple(tensor.ravel().tolist())), []).append(slots)
        return TensorContractions(
            self.vectors,
            tuple(tensor for _, tensor in grouped),
            tuple(tuple(tuples) for tuples in grouped.values()),
        )

    def _new_tensors(self, slots: tuple[int, ...]) -> np.ndarray:
        kinds = [self.kinds[vector] for vector in slots]
        order = tuple(id(kind) for kind in kinds)
        if order not in self.tensors:
            self.tensors[order] = self._tensors(kinds)
        candidates = self.tensors[order]
        if not len(candidates):
            return candidates
        # Values at random vectors decide which are new: polynomials agree there iff they agree.
        products = self._lower(slots)
        samples = len(candidates) + len(products) + 32
        x = {vector: self.rng.normal(size=(samples, self.vectors.dim)) for vector in set(slots)}
        if self.vectors.homogeneous:
            for vector in x:
                x[vector][:, -1] = float(vector == self.vectors.num_vectors - 1)
        span = self._products(products, x)
        scale = np.linalg.norm(candidates, axis=1)
        values = monomials([x[vector] for vector in slots]) @ (candidates.T / scale)
        chosen = self._picked(values, span)
        if chosen is not None:
            return candidates[chosen]
        return self._orthogonal(values, span, len(slots)) @ (candidates / scale[:, None])

    def _picked(self, values: np.ndarray, span: np.ndarray) -> list[int] | None:
        """Candidates, one after the other, that are no polynomials in what there is; `None` where one
        hardly is none."""
        size = np.linalg.norm(values, axis=0)
        chosen: list[int] = []
        for index in np.flatnonzero(size > self.small):
            rest = values[:, index] / size[index]
            for _ in range(2):
                rest = rest - span @ (span.T @ rest)
            new = float(np.linalg.norm(rest))
            if self.small < new < min(CLEARLY_NEW, 1e3 * self.small):
                return None
            if new > self.small:
                span = np.concatenate([span, rest[:, None] / np.linalg.norm(rest)], axis=1)
                chosen.append(int(index))
        return chosen

    def _orthogonal(self, values: np.ndarray, span: np.ndarray, degree: int) -> np.ndarray:
        """Combinations of candidates whose values are orthogonal to those of polynomials in what there
        is. These polynomials are combinations of candidates, too: what is not orthogonal to all of them
        is one of them, in whatever coordinates."""
        left, singular, right = np.linalg.svd(values, full_matrices=False)
        kept = singular > self.small * singular.max(initial=0.0)
        left, combinations = left[:, kept], right[kept] / singular[kept, None]
        rest = left
        for _ in range(2):
            rest = rest - span @ (span.T @ rest)
        _, sines, mixing = np.linalg.svd(rest, full_matrices=False)
        unclear = sines[(sines > self.small) & (sines < 1 - self.small)]
        if len(unclear):
            raise IllConditioned(
                f"An invariant of degree {degree} is a polynomial in others but for a part of "
                f"{unclear.min():.2g}, where rounding explains {self.small:.1g}: it is neither new nor "
                f"known. {NEARLY}"
            )
        found = mixing[sines > self.small] @ combinations
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)

    def _tensors(self, kinds: list[Slots]) -> np.ndarray:
        """All invariant tensors on slots of these kinds, in the coordinates of `StateVectors`."""
        tensors = invariant_tensors(
            [kind.generators for kind in kinds],
            [kind.components for kind in kinds],
            self.block.tolerance,
        )
        for kind in kinds:
            tensors = np.tensordot(tensors, kind.basis, axes=(1, 0))
        return tensors.reshape(len(tensors), self.vectors.dim ** len(kinds))

    def _lower(self, slots: tuple[int, ...]) -> list[list[tuple[tuple[int, ...], int]]]:
        """All products of lower invariants that use exactly these slots, each as a list of
        invariants `(slots, index)`."""
        parts = [
            (Counter(other), (other, index))
            for other, tensors in self.found.items()
            if len(other) < len(slots) and not Counter(other) - Counter(slots)
            for index in range(len(tensors))
        ]
        last = self.vectors.num_vectors - 1
        products = []

        def multiply(remaining: Counter, start: int, factors: list) -> None:
            # The last homogeneous coordinate is 1: lower degrees in the position are included.
            if not +remaining or (self.vectors.homogeneous and set(+remaining) == {last}):
                products.append(factors)
            if not +remaining:
                return
            for index in range(start, len(parts)):
                part, invariant = parts[index]
                if not part - remaining:
                    multiply(remaining - part, index, [*factors, invariant])

        multiply(Counter(slots), 0, [])
        return products

    def _products(self, products, x: dict[int, np.ndarray]) -> np.ndarray:
        """Orthonormal basis of the values of products of invariants."""
        samples = len(next(iter(x.values())))
        used = {slots for factors in products for slots, _ in factors}
        values = {
            slots: monomials([x[vector] for vector in slots]) @ self.found[slots].T
            for slots in used
        }
        columns = np.ones((samples, len(products)))
        for column, factors in enumerate(products):
            for slots, index in factors:
                columns[:, column] *= values[slots][:, index]
        columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        left, singular, _ = np.linalg.svd(columns, full_matrices=False)
        return left[:, singular > self.small * singular.max(initial=0.0)]
