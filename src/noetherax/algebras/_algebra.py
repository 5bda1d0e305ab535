"""The Lie algebra of an affine group as matrices, and the checks it must pass.

An affine generator ξ_a(q_i) = A_a q_i + b_a is the matrix [[A_a, b_a], [0, 0]] in homogeneous
coordinates (q, 1); brackets of generators are commutators of these matrices. All of this is float64
NumPy at construction, outside `jax.jit`; tolerances follow the precision the generators came in.
"""

from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class AffineAlgebra(NamedTuple):
    """Generators of an affine group: `linear` `(k, space, space)`, `shift` `(k, space)`, float64.

    `tolerance` is what counts as zero for generators of unit size. `components` `(c, space, space)`
    are linear maps that reach the other connected components of the group.
    """

    linear: np.ndarray
    shift: np.ndarray
    tolerance: float
    components: np.ndarray

    @property
    def precision(self) -> float:
        """The rounding of the numbers that the generators came in."""
        return self.tolerance ** (4 / 3)

    @property
    def homogeneous(self) -> np.ndarray:
        """The generators as matrices on (q, 1), shape `(k, space + 1, space + 1)`."""
        count, space = self.shift.shape
        matrices = np.zeros((count, space + 1, space + 1))
        matrices[:, :space, :space] = self.linear
        matrices[:, :space, space] = self.shift
        return matrices


def affine_algebra(group) -> AffineAlgebra:
    """What `group.algebra()` returns, brought into shape. Raises if it has none."""
    with jax.ensure_compile_time_eval():
        result = group.algebra()
    name = type(group).__name__
    expected = (
        f"{name}.algebra() must return a pair: linear of shape (generators, space, space) and "
        "shift of shape (generators, space)"
    )
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(f"{expected}, but it returned {type(result).__name__}: {result!r}.")
    arrays = []
    for part in result:
        if isinstance(part, Tracer):
            raise TypeError(
                f"{name}.algebra() depends on an array that jax.jit traces. The generators of a group "
                "are constants: hold what they depend on as static fields (numbers or tuples)."
            )
        try:
            arrays.append(np.asarray(part))
        except ValueError as error:
            raise ValueError(f"{expected}, but a part is ragged: {part!r}.") from error
    linear, shift = arrays
    shapes_fit = (
        linear.ndim == 3
        and shift.ndim == 2
        and linear.shape[1] == linear.shape[2] == shift.shape[1]
        and len(linear) == len(shift)
    )
    if not shapes_fit:
        raise ValueError(
            f"{expected}, but the shapes are {linear.shape} and {shift.shape}. "
            "A single generator has shapes (1, space, space) and (1, space)."
        )
    if linear.shape[1] < 1:
        raise ValueError(f"{expected}, but the space has no axes.")
    for part, array in (("linear", linear), ("shift", shift)):
        if not (jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.kind in "iub"):
            raise TypeError(f"{expected}, of real numbers, but {part} has dtype {array.dtype}.")
    precision = max(_precision(linear), _precision(shift))
    linear, shift = linear.astype(np.float64), shift.astype(np.float64)
    for part, array in (("linear", linear), ("shift", shift)):
        bad = [a for a in range(len(array)) if not np.all(np.isfinite(array[a]))]
        if bad:
            raise ValueError(
                f"Generator {bad[0]} of {name} is not finite: {part} = {array[bad[0]]}."
            )
    # Between the rounding of one product of generators and any structure constant of interest.
    return AffineAlgebra(linear, shift, precision**0.75, _component_maps(group, linear.shape[1]))


@singledispatch
def component_representatives(group) -> np.ndarray:
    """Linear maps of the space that, with the identity component, generate the whole group.

    Generators only know the elements that are connected to the identity. A group with more, such as
    reflections, registers one map for every further component,

        @noetherax.component_representatives.register
        def _(group: MyGroup):
            return np.array([np.diag([1.0, 1.0, -1.0])])

    and features that change under them are dropped. They have no charges.

    **Arguments:**

    - `group`: a [`noetherax.SymmetryGroup`][].

    **Returns:**

    An array of shape `(maps, space, space)`; none, unless the type of the group registers some.
    """
    return np.zeros((0, group.space, group.space))


def _component_maps(group, space: int) -> np.ndarray:
    if component_representatives.dispatch(type(group)) is component_representatives.dispatch(
        object
    ):
        return np.zeros(
            (0, space, space)
        )  # nothing registered: not even `group.space` is asked for
    maps = np.asarray(component_representatives(group), np.float64)
    if maps.ndim != 3 or maps.shape[1:] != (space, space):
        raise ValueError(
            f"component_representatives of {type(group).__name__} must have shape (maps, {space}, "
            f"{space}), but the shape is {maps.shape}."
        )
    return maps


def _precision(array: np.ndarray) -> float:
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return float(jnp.finfo(array.dtype).eps) if floating else float(np.finfo(np.float64).eps)


def powers_of_two(sizes: np.ndarray) -> np.ndarray:
    """The largest power of two up to each of `sizes`, by which numbers are divided without rounding; 1
    for zero."""
    return np.where(sizes > 0, np.ldexp(1.0, np.frexp(sizes)[1] - 1), 1.0)


def unit_generators(algebra: AffineAlgebra) -> tuple[AffineAlgebra, np.ndarray]:
    """The same group by generators with entries about one, and what they are divided by. Squares of
    entries such as 1e300 or 1e-300 are no numbers any more."""
    size = powers_of_two(np.abs(algebra.homogeneous).max(axis=(1, 2), initial=0.0))
    linear, shift = algebra.linear / size[:, None, None], algebra.shift / size[:, None]
    return algebra._replace(linear=linear, shift=shift), size


def check_precision(algebra: AffineAlgebra, dtype, name: str) -> None:
    """Raises if entries of generators are no numbers in the precision of a state, or vanish in it."""
    limits = jnp.finfo(dtype)
    entries = np.abs(algebra.homogeneous)
    wrong = (entries > float(limits.max)) | ((entries > 0) & (entries < float(limits.tiny)))
    if np.any(wrong):
        raise ValueError(
            f"The generators of {name} have an entry of {entries[wrong][0]:.3g}, which {dtype} does "
            f"not hold (it ends at {float(limits.tiny):.2g} and {float(limits.max):.2g}). Take other "
            "units, or states in float64."
        )


def balance(algebra: AffineAlgebra) -> tuple[AffineAlgebra, np.ndarray]:
    """The algebra in coordinates x / unit whose generators have entries of similar size, and `unit`.

    A speed of light of 3e8 or lengths in metres would otherwise drown what is small in the same
    matrix. Units are powers of two, so that nothing is rounded.
    """
    from scipy.linalg import matrix_balance  # here, since it is slow to import

    unit = np.ones(algebra.shift.shape[1])
    for _ in range(2):  # the size of a generator depends on the units, and the units on it
        linear = algebra.linear * unit / unit[:, None]
        size = np.abs(linear).max(axis=(1, 2), initial=0.0)
        if not np.any(size > 0):
            break
        total = np.sqrt(np.sum((linear[size > 0] / size[size > 0, None, None]) ** 2, axis=0))
        np.fill_diagonal(total, 0.0)
        with np.errstate(all="ignore"):
            _, (scaling, _) = matrix_balance(total, permute=False, separate=True)
        if not np.all(np.isfinite(scaling)) or np.any(scaling <= 0):
            break
        unit = unit * scaling
    unit = unit / 2.0 ** np.round(np.mean(np.log2(unit)))
    linear = algebra.linear * unit / unit[:, None]
    # A centre far away makes shifts large; its distance is then the unit of length.
    size = np.abs(linear).max(axis=(1, 2), initial=0.0)
    reach = np.abs(algebra.shift / unit).max(axis=1, initial=0.0)
    turning = size > algebra.tolerance * np.maximum(reach, np.finfo(float).tiny)
    length = np.max(reach[turning] / size[turning], initial=1.0)
    unit = unit * 2.0 ** np.round(np.log2(length))
    components = algebra.components * unit / unit[:, None]
    return AffineAlgebra(linear, algebra.shift / unit, algebra.tolerance, components), unit


def check_algebra(algebra: AffineAlgebra, name: str) -> None:
    """Raises a `ValueError` with the evidence if generators are redundant or do not close."""
    algebra, size = unit_generators(algebra)
    balanced, _ = balance(algebra)
    matrices = balanced.homogeneous
    count = len(matrices)
    if not count:
        return
    norms = np.linalg.norm(matrices, axis=(1, 2))
    for a in range(count):
        if norms[a] <= np.finfo(float).tiny:
            raise ValueError(
                f"Generator {a} of {name} is zero. Leave it out: generators must be independent."
            )
    unit = matrices / norms[:, None, None]
    flat = unit.reshape(count, matrices.shape[1] ** 2)
    bound = algebra.tolerance * count
    basis, triangle = np.linalg.qr(flat.T)
    # The diagonal of R is the distance of each generator from the span of those before it.
    if count > flat.shape[1] or np.any(np.abs(np.diag(triangle)) <= bound):
        independent = independent_rows(flat, algebra.tolerance)
        a = min(set(range(count)) - set(independent))
        weights, *_ = np.linalg.lstsq(flat[:a].T, flat[a], rcond=None)
        sum_of = " + ".join(
            f"{weight * norms[a] / norms[b] * (size[a] / size[b]):.3g}·[{b}]"
            for b, weight in enumerate(weights)
            if abs(weight) > np.sqrt(algebra.tolerance)
        )
        raise ValueError(
            f"The generators of {name} are redundant: generator {a} = {sum_of}. Leave it out."
        )
    # The bracket of two random combinations leaves the span if and only if some bracket does.
    first, second = np.tensordot(np.random.default_rng(4).normal(size=(2, count)), unit, axes=1)
    bracket = (first @ second - second @ first)[None] / count
    if np.all(_outside(bracket, basis) <= bound):
        _check_components(balanced, unit, basis, name)
        return
    for a in range(count):
        brackets = unit[a] @ unit - unit @ unit[a]
        residual = _outside(brackets, basis)
        b = int(np.argmax(residual > bound))
        if residual[b] > bound:
            raise ValueError(
                f"The generators of {name} must close under the bracket, but [{a}, {b}] leaves "
                f"their span by {residual[b]:.2g} (generators scaled to unit size). Its matrix on "
                f"(q, 1), scaled likewise, is\n{brackets[b].round(3)}\n"
                "Add the missing generators, or drop one of these two."
            )


def _check_components(algebra: AffineAlgebra, unit: np.ndarray, basis: np.ndarray, name: str):
    """Other components must map the identity component to itself: R ξ R⁻¹ stays in the span."""
    for index, component in enumerate(algebra.components):
        if not np.linalg.cond(component) < 1 / algebra.tolerance:
            raise ValueError(
                f"Component {index} of {name} is a singular map:\n{component.round(3)}"
            )
        extended = np.eye(len(component) + 1)
        extended[:-1, :-1] = component
        residual = _outside(extended @ unit @ np.linalg.inv(extended), basis)
        if np.any(residual > algebra.tolerance * len(unit) * np.linalg.cond(component)):
            a = int(np.argmax(residual))
            raise ValueError(
                f"Component {index} of {name} must normalise the identity component, but it takes "
                f"generator {a} out of their span by {residual[a]:.2g}."
            )


def _outside(matrices: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Distance of each matrix from the span of the columns of an orthonormal `basis`."""
    flat = matrices.reshape(len(matrices), -1)
    return np.linalg.norm(flat - flat @ basis @ basis.T, axis=1)


def independent_rows(rows: np.ndarray, tolerance: float) -> list[int]:
    """Indices of the first linearly independent rows, each row scaled to unit size."""
    sizes = np.linalg.norm(rows, axis=1)
    candidates = np.flatnonzero(sizes > tolerance)
    bound = tolerance * max(1, len(rows))
    unit = rows[candidates] / sizes[candidates, None]
    if 1 < len(unit) <= rows.shape[1]:
        distance = np.abs(np.diag(np.linalg.qr(unit.T, mode="r")))
        if np.all(distance > bound):
            return candidates.tolist()
    chosen: list[int] = []
    basis = np.zeros((min(unit.shape), rows.shape[1]))
    for index, row in zip(candidates.tolist(), unit, strict=True):
        known = basis[: len(chosen)]
        rest = row - known.T @ (known @ row)
        rest = rest - known.T @ (known @ rest)
        size = np.linalg.norm(rest)
        if size > bound and len(chosen) < len(basis):
            basis[len(chosen)] = rest / size
            chosen.append(index)
    return chosen


def null_space(matrix: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal basis of {x : matrix x = 0} as rows."""
    columns = matrix.shape[1]
    if matrix.shape[0] == 0 or columns == 0:
        return np.eye(columns)
    if matrix.shape[0] < columns:
        matrix = np.concatenate([matrix, np.zeros((columns - matrix.shape[0], columns))])
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    scale = max(singular[0], 1.0)
    return right[singular <= tolerance * scale]


def translations(algebra: AffineAlgebra) -> np.ndarray:
    """Orthonormal basis (rows) of the pure translations of the algebra, {b : (0, b) in the span}."""
    count, space = algebra.shift.shape
    if not np.any(algebra.shift):
        return np.zeros((0, space))
    weights = null_space(
        algebra.linear.reshape(count, space * space).T, algebra.tolerance * max(count, 1)
    )
    shifts = weights @ algebra.shift
    if not len(shifts):
        return np.zeros((0, space))
    _, singular, right = np.linalg.svd(shifts, full_matrices=False)
    return right[singular > algebra.tolerance * max(count, 1)]
