"""Invariants of a group that contains a screw: those of the rest of it, carried back along the screw.

Let ℓ be a covector with ℓ·A_a = 0 for every generator, so that ℓ·ξ_a(x) = c_a is the same everywhere.
The generators with c_a = 0 span an ideal N, and ξ with ℓ·ξ = 1 is the screw. If S is invariant under N,
S(exp(−τ ξ)·q) with τ = ℓ·q_n is invariant under all of the group, and complete if S is.
"""

from collections.abc import Callable

import jax
import numpy as np

from ..algebras import AffineAlgebra, CheckedAlgebra, null_space
from ..features import Comoving, ConfigurationFeatures, Turn
from ._frame import nested

SEMISIMPLE = 1e4
"""Condition number of eigenvectors above which a matrix is taken for one that has too few of them."""

SAME = 1e-9
"""Eigenvalues that differ by less, relative to the largest, are one."""

VARIES = 1e-4
"""Least change of a feature over random configurations, relative to that of S itself."""


def comoving_invariants(
    algebra: CheckedAlgebra,
    points: int,
    periods: np.ndarray,
    invariants: Callable[[AffineAlgebra], ConfigurationFeatures],
) -> ConfigurationFeatures | None:
    """What the group leaves alone if it contains a screw, or `None` if there is none.

    `invariants` are those of an ideal, given by its generators.
    """
    balanced, unit = _of_unit_size(algebra.balanced), algebra.unit
    if len(balanced.components) or (found := _screw(balanced)) is None:
        return None
    advance, rates = found
    linear = np.tensordot(rates, balanced.linear, 1) / (rates @ rates)
    shift = rates @ balanced.shift / (rates @ rates)
    turning = np.isfinite(periods)
    concerned = np.concatenate([advance[None], linear, linear.T])[:, turning]
    if np.any(np.abs(concerned) > balanced.tolerance) or (parts := _turns(linear, shift)) is None:
        return None
    turns, centre, drift = parts
    rest = null_space(rates[None], balanced.tolerance)
    ideal = AffineAlgebra(
        np.tensordot(rest, balanced.linear, 1) * unit[:, None] / unit,
        rest @ balanced.shift * unit,
        balanced.tolerance,
        balanced.components,
    )
    inner = invariants(ideal)
    frame = unit[:, None] / unit
    carried = Comoving(
        inner,
        tuple((advance / unit).tolist()),
        tuple((centre * unit).tolist()),
        tuple((drift * unit).tolist()),
        tuple(Turn(r, f, nested(even * frame), nested(odd * frame)) for r, f, even, odd in turns),
    )
    return carried.only(_varying(carried, points, unit))


def _of_unit_size(block: AffineAlgebra) -> AffineAlgebra:
    """The same group: units of length leave generators of any size."""
    size = np.abs(block.homogeneous).max(axis=(1, 2), initial=0.0)
    size = np.where(size > 0, size, 1.0)
    return block._replace(
        linear=block.linear / size[:, None, None], shift=block.shift / size[:, None]
    )


def _screw(block: AffineAlgebra) -> tuple[np.ndarray, np.ndarray] | None:
    """ℓ and c: of all covectors with ℓ·A_a = 0 that along which the group advances the most."""
    dim = block.shift.shape[1]
    rows = np.swapaxes(block.linear, 1, 2).reshape(-1, dim)
    covectors = null_space(rows, block.tolerance)
    if not len(covectors):
        return None
    _, size, right = np.linalg.svd(block.shift @ covectors.T)
    if not len(size) or size[0] <= np.sqrt(block.tolerance):
        return None
    advance = right[0] @ covectors
    advance = _clean(advance / advance[np.argmax(np.abs(advance))])
    rates = block.shift @ advance
    return advance, np.where(np.abs(rates) <= block.tolerance, 0.0, rates)


def _turns(linear: np.ndarray, shift: np.ndarray):
    """exp(−τ A) as terms of one rate and frequency each, and centre and drift of x → A x + b; `None` if
    A has too few eigenvectors."""
    values, vectors = np.linalg.eig(linear)
    if np.linalg.cond(vectors) > SEMISIMPLE:
        return None
    inverse = np.linalg.inv(vectors)
    near = SAME * float(np.abs(values).max())
    real, imaginary = (
        np.where(np.abs(x) <= near, 0, x) for x in (np.real(values), np.imag(values))
    )
    values = real + 1j * imaginary
    turns, kernel, left = [], np.zeros_like(linear), imaginary >= 0
    while np.any(left):
        value = values[np.argmax(left)]
        same = np.abs(values - value) <= near
        left &= ~same
        projector = (vectors[:, same] @ inverse[same]) * (2 if value.imag else 1)
        even, odd = _clean(np.real(projector)), _clean(np.imag(projector))
        turns.append((float(value.real), float(value.imag), even, odd))
        if value == 0:
            kernel = even
    drift = kernel @ shift
    centre = -np.linalg.pinv(linear, rcond=SAME) @ (shift - drift)
    return turns, _clean(centre), _clean(drift)


def _clean(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers where that is what is meant."""
    whole = np.round(numbers)
    return np.where(np.abs(numbers - whole) <= 1e-12, whole + 0.0, numbers)


def _varying(features: Comoving, points: int, unit: np.ndarray) -> tuple[int, ...]:
    """Indices of the features that are not the same everywhere, as ℓ·q_n is when carried back."""
    q = np.random.default_rng(8).normal(size=(4, points, len(unit))) * unit
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    with jax.ensure_compile_time_eval():
        moved = np.array([features(x) for x in q.astype(dtype)], float)
        still = np.array([features.inner(x) for x in q.astype(dtype)], float)
    change = np.ptp(moved, axis=0)
    return tuple(np.flatnonzero(change > VARIES * np.abs(still).max(axis=0, initial=0)).tolist())
