"""Tolerances of the laws, each with its reason, what a law has seen, and the report of a violation."""

from typing import NamedTuple, final

import numpy as np


@final
class Tolerance(NamedTuple):
    """A relative tolerance in units of a power of the rounding error ε of the state's precision."""

    factor: float
    reason: str
    power: float = 1.0

    def of(self, precision) -> float:
        return self.factor * float(np.finfo(precision).eps) ** self.power

    def __str__(self) -> str:
        power = {"0": "", "1": " ε"}.get(f"{self.power:g}", f" ε^{self.power:g}")
        return f"{self.factor:.0e}{power}, {self.reason}"


ROUNDING = Tolerance(
    1e4, "rounding of some thousand operations: matrix exponentials, networks, second derivatives"
)
SOLVED = Tolerance(
    1e5,
    "rounding of a linear solve, relative to |∂I/∂v| (|a| + |M⁻¹||force|), so that ill-conditioned "
    "states pass",
)
DIFFERENCES = Tolerance(
    1e4,
    "central differences of fourth order with steps of ε^(1/5), and the rounding of values",
    0.8,
)

UNDERFLOW = 1e4
"""Times the smallest normal number: below it numbers have fewer digits, or none."""


NO_COMPONENTS = "the group has no further components"
NO_PERIODS = "the group has no periods"
"""Why a law of a group had nothing to judge."""


@final
class Seen(NamedTuple):
    """What a law that held has seen. Printed, it is one line.

    - `law`: its name.
    - `cases`: how many were drawn.
    - `skipped`: how many of them could not be judged.
    - `reason`: why they could not, or why there were none.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        group = nx.Translations(1)
        subject = nx.testing.Group(group, points=1, dtype=np.float32, max_examples=16)
        (law,) = (x for x in nx.testing.laws(subject) if x.__name__ == "identity_law")
        seen = law(subject)
        assert (seen.law, seen.cases, seen.skipped) == ("identity_law", 16, 0)
        assert str(seen) == "identity_law: held in 16 of 16 cases"
        ```
    """

    law: str
    cases: int
    skipped: int = 0
    reason: str = ""

    def __str__(self) -> str:
        line = f"{self.law}: held in {self.cases - self.skipped} of {self.cases} cases"
        if not self.skipped and self.reason:
            return f"{line}; {self.reason}"
        return f"{line}, {self.skipped} skipped: {self.reason}" if self.skipped else line


@final
class Drawn(NamedTuple):
    """The cases of a subject as evidence: arrays with a leading axis of cases, `distinct` of them
    different, and the rest repeated to fill the batch."""

    parameters: object
    q: np.ndarray
    v: np.ndarray
    coefficients: np.ndarray
    t: np.ndarray
    distinct: int

    @property
    def state(self) -> np.ndarray:
        return np.stack([self.q, self.v], axis=1)

    def subset(self, index: np.ndarray) -> "Drawn":
        """Some of the cases, without their weights."""
        q, v, coefficients, t = (x[index] for x in (self.q, self.v, self.coefficients, self.t))
        return Drawn(None, q, v, coefficients, t, int(np.sum(index < self.distinct)))


def require(
    law: str,
    error,
    scale,
    tolerance: Tolerance,
    cases: Drawn,
    *,
    judged=None,
    precision=None,
    index: tuple[str, ...] = (),
    fields=None,
    **evidence: np.ndarray,
) -> None:
    """Raises an `AssertionError` with all the evidence where `error` exceeds `tolerance · scale`.

    The first axis of `error` and `scale` is the case, `index` names the others; if the first of those
    is a generator, `fields` holds these. `judged` are the cases that count. Of those violated, the
    report shows the one whose state has the shortest numbers.
    """
    precision = cases.q.dtype if precision is None else precision
    error, scale = np.abs(np.asarray(error, float)), np.asarray(scale, float)
    bound = tolerance.of(precision) * scale + UNDERFLOW * float(np.finfo(precision).tiny)
    bad, error, bound = np.broadcast_arrays(~(error <= bound), error, bound)
    if judged is not None:
        bad = bad & judged.reshape(-1, *[1] * (bad.ndim - 1))
    if not np.any(bad):
        return
    cases_bad = np.asarray(bad.reshape(len(bad), -1).any(axis=1))
    case = _simplest(cases, np.flatnonzero(cases_bad))
    excess = np.where(bad[case], np.nan_to_num(error[case], nan=np.inf), -1)
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    place = [f"{name} {int(i)}" for name, i in zip(index, worst, strict=False)]
    where = f" at {', '.join(place)}" if place else ""
    lines = [
        f"{law}: violated by {error[case][worst]:.3g}{where}, "
        f"where {bound[case][worst]:.3g} is allowed",
        f"  tolerance: {tolerance}",
        *_state_lines(cases, case),
    ]
    if fields is not None:
        field = np.asarray(fields[case][worst[0]]).tolist()
        lines.append(f"  generator {int(worst[0])}: ξ(q) = {field}")
    lines += [f"  {name} = {np.asarray(x[case]).tolist()}" for name, x in evidence.items()]
    lines.append(_share(cases, cases_bad, judged))
    for axis, name in enumerate(index[: bad.ndim - 1], start=1):
        if bad.shape[axis] > 1:
            concerned = np.moveaxis(bad, axis, 0).reshape(bad.shape[axis], -1).any(axis=1)
            concerned = np.flatnonzero(concerned).tolist()
            lines.append(f"  of {bad.shape[axis]}, concerns {name} {concerned}")
    raise AssertionError("\n".join(lines))


def require_finite(law: str, array, cases: Drawn, judged=None) -> None:
    """Raises an `AssertionError` where an array, its first axis the case, is not finite."""
    bad = ~np.isfinite(np.asarray(array, float))
    if judged is not None:
        bad = bad & judged.reshape(-1, *[1] * (bad.ndim - 1))
    cases_bad = np.asarray(bad.reshape(len(bad), -1).any(axis=1))
    if not np.any(cases_bad):
        return
    case = _simplest(cases, np.flatnonzero(cases_bad))
    first = tuple(int(i) for i in np.argwhere(bad[case])[0])
    lines = [
        f"{law}: not finite at index {first} of shape {bad.shape[1:]}",
        *_state_lines(cases, case),
        _share(cases, cases_bad, judged),
        "  Is it defined there? If not, give a state_strategy of states where it is.",
    ]
    raise AssertionError("\n".join(lines))


def seen(law: str, cases: Drawn, judged: np.ndarray, reason: str, needed: int = 1) -> Seen:
    """What a law has seen; raises an `AssertionError` if that is nothing."""
    judged = judged[: cases.distinct]
    skipped = int(np.sum(~judged))
    if cases.distinct - skipped < needed:
        raise AssertionError(
            f"{law}: saw nothing. All {cases.distinct} cases were skipped: {reason}.\n"
            "  A law that saw nothing does not hold. Give a state_strategy of states where it can be "
            "judged, or leave the law out."
        )
    return Seen(law, cases.distinct, skipped, reason if skipped else "")


def _state_lines(cases: Drawn, case: int) -> list[str]:
    return [f"  q = {cases.q[case].tolist()}", f"  v = {cases.v[case].tolist()}"]


def _share(cases: Drawn, bad: np.ndarray, judged) -> str:
    judged = np.ones(len(bad), bool) if judged is None else judged
    return (
        f"  violated in {int(np.sum(bad[: cases.distinct]))} of "
        f"{int(np.sum(judged[: cases.distinct]))} cases; shown is the one with the shortest numbers"
    )


def _simplest(cases: Drawn, candidates: np.ndarray) -> int:
    def length(case: int) -> int:
        numbers = np.concatenate(
            [np.ravel(x[case]) for x in (cases.q, cases.v, cases.coefficients)]
        )
        return sum(len(repr(number)) for number in numbers.tolist())

    return int(min(candidates.tolist(), key=length))
