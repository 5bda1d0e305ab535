"""The general route: polynomial invariants of any affine algebra from its invariant tensors.

The polynomial invariants of degree k are the contractions of invariant tensors of rank k with the
vectors of the state. Tensors are found degree by degree; those that are polynomials in invariants of
lower degree are dropped; the result is complete when there are as many independent features as the
state has coordinates beyond the orbits of the group.
"""

import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np

from ..features import InvariantFeatures, StateVectors, TensorContractions, contract
from ._algebra import AffineAlgebra, null_space, translations
from ._representation import invariant_tensors

LARGEST_TENSOR = 4096
"""Tensors of more entries than this are not searched for."""


class _Slots(NamedTuple):
    """How covectors on one kind of vector transform: `generators` acts on coordinates in `basis`,
    whose rows are the admitted covectors in the coordinates of `StateVectors`."""

    generators: np.ndarray
    basis: np.ndarray


def tensor_invariants(
    block: AffineAlgebra,
    points: int,
    space: int,
    axes: tuple[int, ...],
    name: str,
    max_degree: int,
) -> InvariantFeatures:
    """Contractions of invariant tensors, complete up to a finite ambiguity, or else an error."""
    vectors, slots, anchor = _vectors(block, points, space, axes)
    kinds = [slots] * (vectors.num_vectors - vectors.anchored)
    if vectors.anchored:
        kinds.append(anchor)
    needed = _independent_count(block, points)
    rng = np.random.default_rng(0)
    search = _Search(block, vectors, kinds, rng)
    least = min(len(axes), max_degree)
    degree, found = 0, 0
    while degree < max_degree and (found < needed or degree < least):
        degree += 1
        if vectors.dim**degree > LARGEST_TENSOR:
            break
        search.extend(degree)
        found = search.rank(points)
    features = search.features()
    if found < needed:
        raise ValueError(
            f"On the axes {axes} of {name}, {points} point(s) have {needed} independent invariants "
            f"(2·{points}·{len(axes)} coordinates of the state minus the dimension of the orbits), "
            f"but polynomials up to degree {degree} give {found}. Raise max_degree (tensors have at "
            f"most {LARGEST_TENSOR} entries, here {vectors.dim}^degree), or, where the invariants "
            "are not polynomials, write an InvariantFeatures of your own and check it with "
            "noetherax.testing.check_features."
        )
    search.verify(points)
    return features


def _vectors(
    block: AffineAlgebra, points: int, space: int, axes: tuple[int, ...]
) -> tuple[StateVectors, _Slots, _Slots]:
    """The vectors of the state and how covectors on them transform (section 5 of the design)."""
    from ._invariants import centre

    moved, about = translations(block), centre(block)
    dim = len(axes)
    linear = -np.swapaxes(block.linear, 1, 2)
    if about is not None:
        point = tuple(about.tolist())
        relative = len(moved) > 0
        anchored = 0 < len(moved) < dim
        vectors = StateVectors(points, space, axes, point, relative=relative, anchored=anchored)
        slots = _Slots(linear, np.eye(dim))
        # The absolute position is known up to translations: only covectors that vanish on them.
        across = null_space(moved, block.tolerance)
        return vectors, slots, _Slots(across @ linear @ across.T, across)
    vectors = StateVectors(points, space, axes, None, relative=True, anchored=True)
    slots = _Slots(linear, np.eye(dim, dim + 1))
    return vectors, slots, _Slots(-np.swapaxes(block.homogeneous, 1, 2), np.eye(dim + 1))


def _independent_count(block: AffineAlgebra, points: int) -> int:
    """2·points·dim minus the dimension of a generic orbit on states."""
    count, dim = block.shift.shape
    q, v = np.random.default_rng(1).normal(size=(2, points, dim))
    orbit = np.concatenate(
        [
            (np.einsum("aij,pj->api", block.linear, q) + block.shift[:, None]).reshape(count, -1),
            np.einsum("aij,pj->api", block.linear, v).reshape(count, -1),
        ],
        axis=1,
    )
    return 2 * points * dim - int(np.linalg.matrix_rank(orbit, tol=1e3 * block.tolerance))


class _Search:
    """Invariants found so far, by the multiset of vectors they are contracted with."""

    def __init__(self, block, vectors: StateVectors, kinds: list[_Slots], rng):
        self.block, self.vectors, self.kinds, self.rng = block, vectors, kinds, rng
        self.found: dict[tuple[int, ...], list[np.ndarray]] = {}
        self.patterns: dict[tuple, list[np.ndarray]] = {}

    def extend(self, degree: int) -> None:
        """Adds the invariants of one degree that are not polynomials in lower ones."""
        count = self.vectors.num_vectors
        for multiset in itertools.combinations_with_replacement(range(count), degree):
            slots = _by_multiplicity(multiset)
            pattern = tuple(
                (multiplicity, id(self.kinds[vector]))
                for vector, multiplicity in _multiplicities(slots)
            )
            # Vectors of one kind are interchangeable: the same tensors serve all of them.
            if pattern not in self.patterns:
                self.patterns[pattern] = self._new_tensors(slots)
            if self.patterns[pattern]:
                self.found[slots] = self.patterns[pattern]

    def _new_tensors(self, slots: tuple[int, ...]) -> list[np.ndarray]:
        kinds = [self.kinds[vector] for vector in slots]
        candidates = invariant_tensors([kind.generators for kind in kinds], self.block.tolerance)
        tensors = [_embed(tensor, kinds) for tensor in candidates]
        if not tensors:
            return []
        # Values at random vectors decide which are new: polynomials agree there iff they agree.
        samples = 4 * (len(tensors) + 16)
        used = sorted(set(slots))
        x = {vector: self.rng.normal(size=(samples, self.vectors.dim)) for vector in used}
        if self.vectors.homogeneous:
            last = self.vectors.num_vectors - 1
            for vector in used:
                x[vector][:, -1] = float(vector == last)
        span = self._products(slots, x, samples)
        chosen = []
        for tensor in tensors:
            values = contract(tensor, [x[vector] for vector in slots], np.einsum)
            size = np.linalg.norm(values)
            if size <= np.sqrt(self.block.tolerance):
                continue
            rest = values / size
            for _ in range(2):
                rest = rest - span @ (span.T @ rest)
            if np.linalg.norm(rest) > np.sqrt(self.block.tolerance):
                span = np.concatenate([span, rest[:, None] / np.linalg.norm(rest)], axis=1)
                chosen.append(tensor)
        return chosen

    def _products(self, slots: tuple[int, ...], x, samples: int) -> np.ndarray:
        """Orthonormal basis of the values of all products of lower invariants of the same slots."""
        degree = Counter(slots)
        lower = []
        for other, tensors in self.found.items():
            part = Counter(other)
            if len(other) < len(slots) and not part - degree:
                for tensor in tensors:
                    values = contract(tensor, [x[vector] for vector in other], np.einsum)
                    lower.append((part, values))
        columns: list[np.ndarray] = []

        def multiply(remaining: Counter, start: int, values: np.ndarray) -> None:
            if not remaining or not +remaining:
                columns.append(values / max(np.linalg.norm(values), 1e-300))
                return
            if self.vectors.homogeneous and set(+remaining) == {self.vectors.num_vectors - 1}:
                # The last homogeneous coordinate is 1: lower degrees in the position are included.
                columns.append(values / max(np.linalg.norm(values), 1e-300))
            for index in range(start, len(lower)):
                part, factor = lower[index]
                if not part - remaining:
                    multiply(remaining - part, index, values * factor)

        multiply(degree, 0, np.ones(samples))
        if not columns:
            return np.zeros((samples, 0))
        left, singular, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
        return left[:, singular > np.sqrt(self.block.tolerance) * singular[0]]

    def features(self) -> TensorContractions:
        """All invariants found; equal tensors are stored once."""
        grouped: dict[bytes, tuple[np.ndarray, list[tuple[int, ...]]]] = {}
        for slots, tensors in self.found.items():
            for tensor in tensors:
                key = bytes([tensor.ndim]) + tensor.tobytes()
                grouped.setdefault(key, (tensor, []))[1].append(slots)
        return TensorContractions(
            self.vectors,
            tuple(tuple(tensor.ravel().tolist()) for tensor, _ in grouped.values()),
            tuple(tuple(tuples) for _, tuples in grouped.values()),
        )

    def rank(self, points: int) -> int:
        """Rank of the features' Jacobian at a generic state, by complex-step differentiation."""
        jacobian, _ = self._jacobian(points)
        if not len(jacobian):
            return 0
        size = np.linalg.norm(jacobian, axis=1, keepdims=True)
        return int(np.linalg.matrix_rank(jacobian / size, tol=np.sqrt(self.block.tolerance)))

    def verify(self, points: int) -> None:
        """The Lie derivative of every feature along every generator must vanish at a generic state."""
        jacobian, (q, v) = self._jacobian(points)
        count = len(self.block.shift)
        moved = np.concatenate(
            [
                (
                    np.einsum("aij,pj->api", self.block.linear, q) + self.block.shift[:, None]
                ).reshape(count, -1),
                np.einsum("aij,pj->api", self.block.linear, v).reshape(count, -1),
            ],
            axis=1,
        )
        derivative = np.abs(jacobian @ moved.T)
        scale = np.linalg.norm(jacobian, axis=1)[:, None] * np.linalg.norm(moved, axis=1)
        worst = float((derivative / np.maximum(scale, 1e-300)).max(initial=0.0))
        if worst > np.sqrt(self.block.tolerance):
            raise ValueError(
                f"An invariant tensor was found only to {worst:.2g}: the generators are too "
                "ill-conditioned. Scale the coordinates so that their entries are of similar size."
            )

    def _jacobian(self, points: int):
        dim = len(self.vectors.axes)
        q, v = self.rng.normal(size=(2, points, dim))
        step = 1e-30
        state = np.concatenate([q.ravel(), v.ravel()])
        directions = state[:, None] + 1j * step * np.eye(len(state))
        vectors = _evaluate(self.vectors, directions)
        rows = []
        for slots, tensors in self.found.items():
            for tensor in tensors:
                factors = [vectors[vector] for vector in slots]
                rows.append(contract(tensor.astype(complex), factors, np.einsum).imag / step)
        return np.array(rows).reshape(len(rows), len(state)), (q, v)


def _evaluate(vectors: StateVectors, states: np.ndarray) -> np.ndarray:
    """`StateVectors` in NumPy for complex states in columns: `(vectors, columns, dim)`."""
    n, dim = vectors.points, len(vectors.axes)
    q, v = states.T.reshape(-1, 2, n, dim).transpose(1, 2, 0, 3)
    if vectors.centre is not None:
        q = q - np.asarray(vectors.centre)
    parts = [q[:-1] - q[-1:] if vectors.relative else q, v]
    if vectors.anchored:
        parts.append(q[-1:])
    result = np.concatenate(parts)
    if vectors.homogeneous:
        last = np.zeros((*result.shape[:2], 1), complex)
        last[-1] = 1.0
        result = np.concatenate([result, last], axis=2)
    return result


def _embed(tensor: np.ndarray, kinds: list[_Slots]) -> np.ndarray:
    """A tensor in the coordinates of its slots, as one over the coordinates of `StateVectors`."""
    for kind in kinds:
        tensor = np.tensordot(tensor, kind.basis, axes=(0, 0))
    return tensor


def _multiplicities(slots: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(Counter(slots).items())


def _by_multiplicity(multiset: tuple[int, ...]) -> tuple[int, ...]:
    """The multiset with the most frequent vectors first, so that equal patterns line up."""
    counts = Counter(multiset)
    return tuple(sorted(multiset, key=lambda vector: (-counts[vector], vector)))
