"""Invariant tensors of a representation: the null space of its generators on a tensor product."""

import itertools

import numpy as np

WELL_CONDITIONED = 1e4
"""Eigenvectors of a random generator with a smaller condition number are used for the reduction."""


def invariant_tensors(slots: list[np.ndarray], tolerance: float) -> list[np.ndarray]:
    """A basis of the tensors T with Σ over slots X_a T = 0 for every generator a.

    `slots[s]` holds the matrices of the generators on the s-th slot, shape `(generators, d_s, d_s)`.

    A tensor invariant under all generators is invariant under a random combination of them, and so
    lies in its zero-weight space: spanned by the products of eigenvectors whose eigenvalues sum to
    zero. That space is far smaller than the tensor product, and the generators are only solved on it.
    """
    shape = tuple(slot.shape[1] for slot in slots)
    count = len(slots[0])
    basis = _zero_weight_space(slots, tolerance)
    if basis is None:
        basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    if not len(basis):
        return []
    size = max(1.0, max(float(np.abs(slot).max(initial=0.0)) for slot in slots))
    gram = np.zeros((len(basis), len(basis)), basis.dtype)
    for a in range(count):
        image = sum(_apply(slot[a], basis, position) for position, slot in enumerate(slots))
        flat = np.asarray(image).reshape(len(basis), -1) / size
        gram += flat.conj() @ flat.T
    values, vectors = np.linalg.eigh(gram)
    # Eigenvalues of the Gram matrix are squares: compare to the square of the tolerance, but not
    # below what the rounding of eigh leaves.
    threshold = max(tolerance**2, 1e-14) * max(float(values[-1]), 1.0) * len(basis)
    null = vectors[:, values <= threshold]
    if not null.shape[1]:
        return []
    tensors = np.tensordot(null.T, basis, axes=1).reshape(null.shape[1], -1)
    real = np.concatenate([np.real(tensors), np.imag(tensors)])
    reduced = _row_echelon(real, np.sqrt(max(tolerance, 1e-14)))
    return [tensor.reshape(shape) for tensor in _polish(reduced, slots, shape)]


def _zero_weight_space(slots: list[np.ndarray], tolerance: float) -> np.ndarray | None:
    """Products of eigenvectors of a random generator whose eigenvalues sum to zero, or `None` if its
    eigenvectors are no good basis (nilpotent generators)."""
    shape = tuple(slot.shape[1] for slot in slots)
    rng = np.random.default_rng(2)
    weights = rng.normal(size=len(slots[0]))
    values, vectors = [], []
    for slot in slots:
        eigenvalues, eigenvectors = np.linalg.eig(np.tensordot(weights, slot, axes=1))
        if np.linalg.cond(eigenvectors) > WELL_CONDITIONED:
            return None
        values.append(eigenvalues)
        vectors.append(eigenvectors)
    scale = max(1.0, max(float(np.abs(value).max()) for value in values))
    tuples = [
        index
        for index in itertools.product(*(range(d) for d in shape))
        if abs(sum(value[i] for value, i in zip(values, index, strict=True)))
        <= np.sqrt(max(tolerance, 1e-14)) * scale
    ]
    basis = np.zeros((len(tuples), *shape), complex)
    for row, index in enumerate(tuples):
        product = np.ones((), complex)
        for vector, i in zip(vectors, index, strict=True):
            product = np.multiply.outer(product, vector[:, i])
        basis[row] = product
    return basis


def _apply(matrix: np.ndarray, tensors: np.ndarray, position: int) -> np.ndarray:
    """`matrix` on slot `position` of a stack of tensors."""
    moved = np.tensordot(tensors, matrix, axes=(position + 1, 1))
    return np.moveaxis(moved, -1, position + 1)


def _row_echelon(rows: np.ndarray, tolerance: float) -> np.ndarray:
    """Reduced row echelon form: a sparse, readable and deterministic basis of the row space."""
    rows = rows.copy()
    basis: list[np.ndarray] = []
    scale = np.abs(rows).max(initial=0.0)
    for column in range(rows.shape[1]):
        if not len(rows):
            break
        pivot = int(np.argmax(np.abs(rows[:, column])))
        if np.abs(rows[pivot, column]) <= tolerance * scale:
            continue
        row = rows[pivot] / rows[pivot, column]
        rows = np.delete(rows, pivot, axis=0)
        rows = rows - np.outer(rows[:, column], row)
        basis = [other - other[column] * row for other in basis]
        basis.append(row)
        if np.abs(rows).max(initial=0.0) <= tolerance * scale:
            break
    return np.array(basis).reshape(len(basis), rows.shape[1])


def _polish(tensors: np.ndarray, slots: list[np.ndarray], shape) -> list[np.ndarray]:
    """Rounds entries to nearby fractions where that is at least as invariant: most tensors of physics
    are integers, and exact ones keep the features invariant to the last bit."""

    def residual(tensor):
        tensor = tensor.reshape(1, *shape)
        return max(
            (
                float(np.abs(sum(_apply(s[a], tensor, p) for p, s in enumerate(slots))).max())
                for a in range(len(slots[0]))
            ),
            default=0.0,
        )

    polished = []
    for tensor in tensors:
        tensor = np.where(np.abs(tensor) <= 1e-10 * np.abs(tensor).max(), 0.0, tensor)
        rounded = np.round(tensor * 12) / 12
        close = np.abs(rounded - tensor).max() <= 1e-6 * np.abs(tensor).max()
        polished.append(rounded if close and residual(rounded) <= residual(tensor) else tensor)
    return polished
