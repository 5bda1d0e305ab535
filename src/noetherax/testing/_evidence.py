"""Tolerances of the laws, each with its reason, and the report of a violation."""

from typing import NamedTuple

import numpy as np


class Tolerance(NamedTuple):
    """A relative tolerance in units of the rounding error ε of the state's precision."""

    epsilons: float
    reason: str


ROUNDING = Tolerance(
    1e4, "rounding of some thousand operations: matrix exponentials, networks, second derivatives"
)
SOLVED = Tolerance(
    1e5, "rounding of a linear solve, relative to ‖∂I/∂v‖‖a‖, so that ill-conditioned states pass"
)


def require(
    law: str,
    error,
    scale,
    tolerance: Tolerance,
    *,
    state,
    precision,
    index: tuple[str, ...] = (),
    fields=None,
    **evidence: object,
) -> None:
    """Raises an `AssertionError` with all the evidence if `error` exceeds `tolerance · ε · scale`.

    `index` names the axes of `error`; if the first is a generator, `fields` holds those.
    """
    error, scale = np.abs(np.asarray(error, float)), np.asarray(scale, float)
    bound = tolerance.epsilons * float(np.finfo(precision).eps) * scale
    bad = ~(error <= bound)  # also where the error is not a number
    if not np.any(bad):
        return
    bad, error, bound = np.broadcast_arrays(bad, error, bound)
    worst = np.unravel_index(
        np.argmax(np.where(bad, np.nan_to_num(error, nan=np.inf), -1)), bad.shape
    )
    place = [f"{name} {int(i)}" for name, i in zip(index, worst, strict=False)]
    where = f" at {', '.join(place)}" if place else ""
    lines = [
        f"{law}: violated by {error[worst]:.3g}{where}, where {bound[worst]:.3g} is allowed",
        f"  tolerance: {tolerance.epsilons:.0e} ε, {tolerance.reason}",
    ]
    q, v = state
    lines += [f"  q = {np.asarray(q).tolist()}", f"  v = {np.asarray(v).tolist()}"]
    if fields is not None:
        lines.append(f"  generator {int(worst[0])}: ξ(q) = {np.asarray(fields[worst[0]]).tolist()}")
    lines += [f"  {name} = {np.asarray(value).tolist()}" for name, value in evidence.items()]
    raise AssertionError("\n".join(lines))


def require_finite(law: str, array, *, state, **evidence: object) -> None:
    """Raises an `AssertionError` if an array is not finite."""
    array = np.asarray(array)
    if np.all(np.isfinite(array)):
        return
    first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    q, v = state
    lines = [f"{law}: not finite at index {first} of shape {array.shape}"]
    lines += [f"  q = {np.asarray(q).tolist()}", f"  v = {np.asarray(v).tolist()}"]
    lines += [f"  {name} = {np.asarray(value).tolist()}" for name, value in evidence.items()]
    raise AssertionError("\n".join(lines))
