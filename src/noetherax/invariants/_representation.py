"""Invariant tensors of a representation: the null space of its generators on a tensor product."""

import numpy as np

from ._errors import TooManyTensors
from ._null_spaces import null_combinations, null_of_gram
from ._readable import readable_basis
from ._tensor_action import derivative, transformed

WELL_CONDITIONED = 1e4
"""Eigenvectors of a random generator with a smaller condition number are used for the reduction."""

MIXTURES = 2
"""Random combinations of generators tried before all of them; two generate any semisimple algebra."""

LOST = 1e-9
"""What vanishes on a basis that a Gram matrix gave: rounding over the smallest singular value."""

MOST_TENSORS = 512
"""More invariant tensors of one kind than this are not listed."""


def invariant_tensors(
    slots: list[np.ndarray], components: list[np.ndarray], tolerance: float
) -> np.ndarray:
    """A basis of the tensors T with Σ over slots X_a T = 0 for every generator a, and left alone by
    every further component, shape `(tensors, *dimensions)`.

    `slots[s]` holds the matrices of the generators on the s-th slot, shape `(generators, d_s, d_s)`,
    `components[s]` those of the group's other components.

    Null spaces of the whole tensor product are avoided where a smaller one does. A tensor invariant
    under all generators is invariant under a random combination of them, and so lies in its
    zero-weight space: spanned by the products of eigenvectors whose eigenvalues sum to zero. A few
    random combinations generate most algebras; what they leave is all that the others are tried on.
    """
    shape = tuple(slot.shape[1] for slot in slots)
    count = len(slots[0])
    rng = np.random.default_rng(2)
    mixtures = rng.normal(size=(min(count, MIXTURES), count))
    mixed = [np.tensordot(mixtures, slot, axes=1) for slot in slots]
    basis = _zero_weight_space([slot[:1] for slot in mixed], tolerance)
    stages = [mixed] if count > MIXTURES else []
    if basis is None:
        basis, stages = _null_of_sum(mixed, shape, tolerance), stages[1:]
    if count > 1 or not stages:
        stages = [*stages, slots]
        tolerance = max(tolerance, LOST)
    for generators in stages:
        if not len(basis):
            break
        basis = _null_on(basis, generators, tolerance)
    if len(basis):
        basis = _unchanged(basis, components, tolerance)
    if not len(basis):
        return np.zeros((0, *shape))
    if len(basis) > MOST_TENSORS:
        raise TooManyTensors(f"{len(basis)} invariant tensors of rank {len(shape)}")
    # Real and imaginary parts span a real space of the same dimension.
    flat = basis.reshape(len(basis), -1)
    real = np.linalg.svd(np.concatenate([np.real(flat), np.imag(flat)]), full_matrices=False)[2]
    return readable_basis(real[: len(basis)], slots, components, shape)


def _zero_weight_space(slots: list[np.ndarray], tolerance: float) -> np.ndarray | None:
    """Products of eigenvectors of a generator whose eigenvalues sum to zero, or `None` if its
    eigenvectors are no good basis (nilpotent generators)."""
    shape = tuple(slot.shape[1] for slot in slots)
    values, vectors = [], []
    for slot in slots:
        matrix = slot[0] if len(slot) else np.zeros(slot.shape[1:])
        eigenvalues, eigenvectors = np.linalg.eig(matrix)
        if np.linalg.cond(eigenvectors) > WELL_CONDITIONED:
            return None
        values.append(eigenvalues)
        vectors.append(eigenvectors)
    scale = max(1.0, max(float(np.abs(value).max()) for value in values))
    total = np.zeros(())
    for value in values:
        total = np.add.outer(total, value)
    index = np.argwhere(np.abs(total) <= np.sqrt(max(tolerance, 1e-14)) * scale)
    basis = np.ones((len(index), 1))
    for vector, chosen in zip(vectors, index.T, strict=True):
        basis = np.einsum("mi,jm->mij", basis, vector[:, chosen])
        basis = basis.reshape(len(index), basis.shape[1] * basis.shape[2])
    return basis.reshape(len(index), *shape)


def _null_of_sum(slots: list[np.ndarray], shape: tuple[int, ...], tolerance: float) -> np.ndarray:
    """Tensors that every generator annihilates, from the Gram matrix on the whole product."""
    size = int(np.prod(shape))
    gram = np.zeros((size, size))
    for generators in zip(*slots, strict=True):
        largest = max(float(np.abs(matrix).max()) for matrix in generators)
        total = np.zeros((size, size))
        for position, matrix in enumerate(generators):
            before = np.eye(int(np.prod(shape[:position])))
            after = np.eye(int(np.prod(shape[position + 1 :])))
            total += np.kron(np.kron(before, matrix / max(largest, 1e-300)), after)
        gram += total.T @ total
    return null_of_gram(gram, tolerance).T.reshape(-1, *shape)


def _null_on(basis: np.ndarray, slots: list[np.ndarray], tolerance: float) -> np.ndarray:
    """The tensors in the span of `basis` that every generator annihilates."""
    basis = _orthonormal(basis)
    size = max(1e-300, max(float(np.abs(slot).max(initial=0.0)) for slot in slots))

    def image(generators):
        return derivative(generators, basis).reshape(len(basis), -1) / size

    images = map(image, zip(*slots, strict=True))
    return np.tensordot(null_combinations(images, basis, tolerance), basis, 1)


def _unchanged(basis: np.ndarray, components: list[np.ndarray], tolerance: float) -> np.ndarray:
    """The tensors in the span of `basis` that every further component leaves as they are."""
    for maps in zip(*components, strict=True):
        basis = _orthonormal(basis)
        change = (transformed(maps, basis) - basis).reshape(len(basis), -1)
        basis = np.tensordot(null_combinations([change], basis, tolerance), basis, axes=1)
        if not len(basis):
            break
    return basis


def _orthonormal(basis: np.ndarray) -> np.ndarray:
    flat = basis.reshape(len(basis), -1)
    return np.linalg.qr(flat.T)[0].T.reshape(basis.shape)
