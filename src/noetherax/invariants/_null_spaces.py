"""What generators annihilate, told from what they change a little."""

from collections.abc import Iterable

import numpy as np

from ._errors import NEARLY, IllConditioned

SMALL = 512
"""Up to this size a null space comes from all eigenvalues; beyond, from inverse iteration."""

UNCLEAR = 100.0
"""What exceeds the bound of what counts as zero by less than this factor is neither zero nor apart."""


def null_combinations(
    images: Iterable[np.ndarray], basis: np.ndarray, tolerance: float
) -> np.ndarray:
    """Coefficients (rows) of the combinations of `basis` whose `images` all vanish.

    Small ones by a singular value decomposition, which tells what vanishes from what is small by the
    ill-conditioning of the coordinates to the power of the rank; a Gram matrix squares that.
    """
    count = len(basis)
    if count > SMALL:
        gram = np.zeros((count, count), basis.dtype)
        for image in images:
            gram += image.conj() @ image.T
        return null_of_gram(gram, tolerance).T
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


def null_of_gram(gram: np.ndarray, tolerance: float) -> np.ndarray:
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
