"""Which invariant tensors to contract with which vectors: new ones only, degree by degree."""

import itertools
from collections import Counter
from typing import NamedTuple, final

import numpy as np

from ..algebras._algebra import AffineAlgebra
from ..features import StateVectors, TensorContractions
from ._frame import Frame, centre
from ._regularity import generic_rank
from ._representation import NEARLY, IllConditioned, invariant_tensors

LEFT_ALONE = 1e4
"""Units of rounding by which a generator may seem to change a feature, as in `noetherax.testing`."""


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
            slots = _by_multiplicity(multiset)
            pattern = tuple((m, id(self.kinds[vector])) for vector, m in Counter(slots).items())
            # Vectors of one kind are interchangeable: the same tensors serve all of them.
            if pattern not in self.patterns:
                self.patterns[pattern] = self._new_tensors(slots)
            if len(self.patterns[pattern]):
                new[slots] = self.patterns[pattern]
        self.found |= new

    def rank(self) -> int:
        """Rank of the features' Jacobian at a generic state."""
        jacobian, _ = self._jacobian()
        size = np.linalg.norm(jacobian, axis=1, keepdims=True)
        if not len(jacobian):
            return 0
        return int(np.linalg.matrix_rank(jacobian / np.maximum(size, 1e-300), tol=self.small))

    def change(self) -> float:
        """The largest Lie derivative of a feature along a generator at a generic state, in units of
        their sizes."""
        jacobian, (q, v) = self._jacobian()
        count = len(self.block.shift)
        if not count or not len(jacobian):
            return 0.0
        moved_q = np.einsum("aij,pj->api", self.block.linear, q) + self.block.shift[:, None]
        moved_v = np.einsum("aij,pj->api", self.block.linear, v)
        moved = np.concatenate([moved_q, moved_v], axis=1).reshape(count, 2 * q.size)
        derivative = np.abs(jacobian @ moved.T)
        scale = np.linalg.norm(jacobian, axis=1)[:, None] * np.linalg.norm(moved, axis=1)
        return float((derivative / np.maximum(scale, 1e-300)).max())

    def verify(self) -> None:
        """Generators must leave every feature alone, but for rounding."""
        worst, dim = self.change(), self.block.shift.shape[1]
        bound = min(10 * self.block.tolerance * dim, LEFT_ALONE * self.block.precision)
        if worst > bound:
            raise IllConditioned(
                f"The generators change a feature by {worst:.2g} of its slope times theirs, where "
                f"rounding explains {bound:.1g}. {NEARLY}"
            )

    def velocity_rank(self) -> int:
        """Generic rank of ∂²L/∂v² for Lagrangians of the invariants found."""
        vectors = self.vectors
        dim, n = len(vectors.axes), vectors.points
        x = self.rng.normal(size=(vectors.num_vectors, vectors.dim))
        if vectors.homogeneous:
            x[:, -1] = np.eye(len(x))[-1]
        velocity = {n - vectors.relative + i: i for i in range(n)}
        slopes = []
        for slots, tensors in self.found.items():
            slope = np.zeros((len(tensors), n, dim))
            for place, vector in enumerate(slots):
                if vector in velocity:
                    part = _contract(tensors, x, slots, [place])
                    slope[:, velocity[vector]] += part[:, :dim]
            slopes.append(slope.reshape(len(tensors), n * dim))

        def curvature(weights):
            total, start = np.zeros((n, dim, n, dim)), 0
            for slots, tensors in self.found.items():
                weighted = weights[None, start : start + len(tensors)] @ tensors
                start += len(tensors)
                for first, second in itertools.permutations(range(len(slots)), 2):
                    i, j = velocity.get(slots[first]), velocity.get(slots[second])
                    if i is not None and j is not None:
                        part = _contract(weighted, x, slots, [first, second])[0]
                        total[i, :, j, :] += part[:dim, :dim]
            return total.reshape(n * dim, n * dim)

        return generic_rank(np.concatenate([np.zeros((0, n * dim)), *slopes]), curvature)

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
        values = _monomials([x[vector] for vector in slots]) @ candidates.T
        size = np.linalg.norm(values, axis=0)
        chosen = []
        for index in np.flatnonzero(size > self.small):
            rest = values[:, index] / size[index]
            for _ in range(2):
                rest = rest - span @ (span.T @ rest)
            new = float(np.linalg.norm(rest))
            if self.small < new < min(CLEARLY_NEW, 1e3 * self.small):
                raise IllConditioned(
                    f"An invariant of degree {len(slots)} is a polynomial in others but for a part "
                    f"of {new:.2g}, where rounding explains {self.small:.1g}: it is neither new nor "
                    f"known. {NEARLY}"
                )
            if new > self.small:
                span = np.concatenate([span, rest[:, None] / np.linalg.norm(rest)], axis=1)
                chosen.append(index)
        return candidates[chosen]

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
            slots: _monomials([x[vector] for vector in slots]) @ self.found[slots].T
            for slots in used
        }
        columns = np.ones((samples, len(products)))
        for column, factors in enumerate(products):
            for slots, index in factors:
                columns[:, column] *= values[slots][:, index]
        columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        left, singular, _ = np.linalg.svd(columns, full_matrices=False)
        return left[:, singular > self.small * singular.max(initial=0.0)]

    def _jacobian(self):
        """Derivatives of all invariants at a generic state, by complex-step differentiation."""
        dim, points = len(self.vectors.axes), self.vectors.points
        q, v = self.rng.normal(size=(2, points, dim))
        step = 1e-30
        state = np.concatenate([q.ravel(), v.ravel()])
        x = self._evaluate(state[:, None] + 1j * step * np.eye(len(state)))
        rows = [
            np.imag(_monomials([x[vector] for vector in slots]) @ tensors.T).T / step
            for slots, tensors in self.found.items()
        ]
        return np.concatenate([np.zeros((0, len(state))), *rows]), (q, v)

    def _evaluate(self, states: np.ndarray) -> np.ndarray:
        """`StateVectors` in units of the analysis, for complex states in columns, `(vectors, columns,
        dim)`."""
        vectors, n = self.vectors, self.vectors.points
        q, v = states.T.reshape(-1, 2, n, len(vectors.axes)).transpose(1, 2, 0, 3)
        if self.centre is not None:
            q = q - self.centre
        parts = [q[:-1] - q[-1:] if vectors.relative else q, v]
        if vectors.anchored:
            parts.append(q[-1:])
        result = np.concatenate(parts)
        if vectors.homogeneous:
            last = np.zeros((*result.shape[:2], 1), complex)
            last[-1] = 1.0
            result = np.concatenate([result, last], axis=2)
        return result


def _monomials(factors: list[np.ndarray]) -> np.ndarray:
    """All products of one entry of each factor, `(rows, dim^k)` from k factors `(rows, dim)`."""
    product = factors[0]
    for factor in factors[1:]:
        width = product.shape[1] * factor.shape[1]
        product = (product[:, :, None] * factor[:, None, :]).reshape(len(product), width)
    return product


def _contract(tensors: np.ndarray, x: np.ndarray, slots: tuple[int, ...], free: list[int]):
    """Tensors `(tensors, dim^k)` with a vector in every slot but those left `free`, in that order."""
    result = tensors.reshape(len(tensors), *(x.shape[1],) * len(slots))
    for place in reversed(range(len(slots))):
        if place not in free:
            result = np.tensordot(result, x[slots[place]], axes=(place + 1, 0))
    return result if free == sorted(free) else np.swapaxes(result, 1, 2)


def _by_multiplicity(multiset: tuple[int, ...]) -> tuple[int, ...]:
    """The multiset with the most frequent vectors first, so that equal patterns line up."""
    counts = Counter(multiset)
    return tuple(sorted(multiset, key=lambda vector: (-counts[vector], vector)))
