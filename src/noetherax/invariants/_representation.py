"""Invariant tensors of a representation: the null space of its generators on a tensor product."""

from collections.abc import Iterable
from typing import final

import numpy as np

WELL_CONDITIONED = 1e4
"""Eigenvectors of a random generator with a smaller condition number are used for the reduction."""

MIXTURES = 2
"""Random combinations of generators tried before all of them; two generate any semisimple algebra."""

LOST = 1e-9
"""What vanishes on a basis that a Gram matrix gave: rounding over the smallest singular value."""

PIVOT = 1e-3
"""Smallest pivot of the reduction to echelon form, which divides by it."""

SMALL = 512
"""Up to this size a null space comes from all eigenvalues; beyond, from inverse iteration."""

UNCLEAR = 100.0
"""What exceeds the bound of what counts as zero by less than this factor is neither zero nor apart."""

MOST_TENSORS = 512
"""More invariant tensors of one kind than this are not listed."""


NEARLY = (
    "Numbers that should agree, such as two frequencies, a frequency and a multiple of another, or "
    "a coupling and zero, do so nearly: make them agree exactly, or differ clearly. Or else the "
    "generators are noisy or their coordinates ill-conditioned: give them in float64, in coordinates "
    "that make their entries of similar size."
)


@final
class IllConditioned(ValueError):
    """Whether something is invariant, or new, cannot be told from rounding."""


@final
class TooManyTensors(ValueError):
    """A representation has more invariant tensors than anyone could use as features."""


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
    return _polish(_row_echelon(real[: len(basis)]), slots, components, shape)


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
    return _null_of_gram(gram, tolerance).T.reshape(-1, *shape)


def _null_on(basis: np.ndarray, slots: list[np.ndarray], tolerance: float) -> np.ndarray:
    """The tensors in the span of `basis` that every generator annihilates."""
    basis = _orthonormal(basis)
    size = max(1e-300, max(float(np.abs(slot).max(initial=0.0)) for slot in slots))

    def image(generators):
        moved = sum(_apply(matrix, basis, s) for s, matrix in enumerate(generators))
        return np.asarray(moved).reshape(len(basis), -1) / size

    return np.tensordot(_null(map(image, zip(*slots, strict=True)), basis, tolerance), basis, 1)


def _unchanged(basis: np.ndarray, components: list[np.ndarray], tolerance: float) -> np.ndarray:
    """The tensors in the span of `basis` that every further component leaves as they are."""
    for maps in zip(*components, strict=True):
        basis = _orthonormal(basis)
        image = basis
        for position, matrix in enumerate(maps):
            image = _apply(matrix, image, position)
        change = (image - basis).reshape(len(basis), -1)
        basis = np.tensordot(_null([change], basis, tolerance), basis, axes=1)
        if not len(basis):
            break
    return basis


def _orthonormal(basis: np.ndarray) -> np.ndarray:
    flat = basis.reshape(len(basis), -1)
    return np.linalg.qr(flat.T)[0].T.reshape(basis.shape)


def _null(images: Iterable[np.ndarray], basis: np.ndarray, tolerance: float) -> np.ndarray:
    """Coefficients (rows) of the combinations of `basis` whose `images` all vanish.

    Small ones by a singular value decomposition, which tells what vanishes from what is small by the
    ill-conditioning of the coordinates to the power of the rank; a Gram matrix squares that.
    """
    count = len(basis)
    if count > SMALL:
        gram = np.zeros((count, count), basis.dtype)
        for image in images:
            gram += image.conj() @ image.T
        return _null_of_gram(gram, tolerance).T
    triangle = np.zeros((0, count), basis.dtype)
    for image in images:
        triangle = np.linalg.qr(np.concatenate([triangle, image.T]), mode="r")
    if len(triangle) < count:
        triangle = np.concatenate([triangle, np.zeros((count - len(triangle), count))])
    _, values, right = np.linalg.svd(triangle)
    bound = tolerance * max(values[0], 1.0) * count
    unclear = values[(values > bound) & (values < UNCLEAR * bound)]
    if len(unclear):
        raise IllConditioned(
            f"The generators change a tensor by {unclear.min():.2g} of its size, where rounding "
            f"explains {bound:.1g}: it is neither invariant nor clearly not. {NEARLY}"
        )
    return right[values <= bound].conj()


def _null_of_gram(gram: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal columns that a positive semi-definite matrix annihilates."""
    # Eigenvalues of the Gram matrix are squares: compare to the square of the tolerance, but not
    # below what the rounding of its eigenvalues leaves.
    threshold = max(tolerance**2, 1e-14) * max(float(np.abs(gram).max()), 1.0) * len(gram)
    if len(gram) <= SMALL:
        values, vectors = np.linalg.eigh(gram)
        return vectors[:, values <= threshold]
    from scipy.linalg import cho_factor, cho_solve  # here, since it is slow to import

    # Inverse iteration from random blocks: whatever is annihilated grows by 1/shift at each step.
    shift = threshold / 10
    factor = cho_factor(gram + shift * np.eye(len(gram)), overwrite_a=True)
    rng = np.random.default_rng(5)
    width = 32
    while True:
        block = rng.normal(size=(len(gram), min(width, len(gram)))).astype(gram.dtype)
        for _ in range(3):
            block = np.linalg.qr(cho_solve(factor, block))[0]
        values, mixing = np.linalg.eigh(block.conj().T @ gram @ block)
        null = block @ mixing[:, values <= threshold]
        if null.shape[1] < block.shape[1] or block.shape[1] == len(gram):
            return null
        width *= 4


def _apply(matrix: np.ndarray, tensors: np.ndarray, position: int) -> np.ndarray:
    """`matrix` on slot `position` of a stack of tensors."""
    moved = np.tensordot(tensors, matrix, axes=(position + 1, 1))
    return np.moveaxis(moved, -1, position + 1)


def _row_echelon(rows: np.ndarray) -> np.ndarray:
    """Reduced row echelon form: a sparse, readable and deterministic basis of the row space of
    orthonormal rows. Where that would lose digits, the rows as they are."""
    reduced = rows.copy()
    done = 0
    for column in range(rows.shape[1]):
        if done == len(rows):
            return reduced
        pivot = done + int(np.argmax(np.abs(reduced[done:, column])))
        if np.abs(reduced[pivot, column]) <= PIVOT:
            continue
        reduced[[done, pivot]] = reduced[[pivot, done]]
        reduced[done] /= reduced[done, column]
        others = np.flatnonzero(reduced[:, column])
        others = others[others != done]
        reduced[others] -= np.outer(reduced[others, column], reduced[done])
        done += 1
    return reduced if done == len(rows) else rows


def _polish(tensors: np.ndarray, slots, components, shape) -> np.ndarray:
    """Rounds entries to nearby fractions where that is at least as invariant: most tensors of physics
    are integers, and exact ones keep the features invariant to the last bit."""

    size = int(np.prod(shape))

    def residual(tensors):
        worst = np.zeros(len(tensors))
        for generators in zip(*slots, strict=True):
            image = sum(_apply(matrix, tensors, s) for s, matrix in enumerate(generators))
            worst = np.maximum(worst, np.abs(image).reshape(len(tensors), size).max(axis=1))
        for maps in zip(*components, strict=True):
            image = tensors
            for position, matrix in enumerate(maps):
                image = _apply(matrix, image, position)
            change = np.abs(image - tensors).reshape(len(tensors), size)
            worst = np.maximum(worst, change.max(axis=1))
        return worst

    largest = np.abs(tensors).max(axis=1, keepdims=True)
    tensors = np.where(np.abs(tensors) <= 1e-10 * largest, 0.0, tensors)
    rounded = np.round(tensors * 12) / 12
    close = np.abs(rounded - tensors).max(axis=1) <= 1e-6 * largest[:, 0]
    tensors, rounded = tensors.reshape(-1, *shape), rounded.reshape(-1, *shape)
    close &= residual(rounded) <= residual(tensors)
    return np.where(close.reshape(-1, *(1,) * len(shape)), rounded, tensors)
