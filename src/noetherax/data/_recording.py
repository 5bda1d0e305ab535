"""One recording: what was observed of one motion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float

from ._numbers import as_numbers

MEMBERS = {"q": "positions", "v": "velocities", "a": "accelerations", "u": "inputs"}


@final
@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """One motion as it was observed, NumPy arrays of float64 that cannot be written to.

    - `name`: what tells it from others.
    - `t`: times, increasing, shape `(times,)`.
    - `q`: positions, shape `(times, points, space)`.
    - `v`, `a`: velocities and accelerations of the same shape, or `None`.
    - `u`: inputs, shape `(times, inputs)`, or `None`.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 1.0, 11)
        height = -9.81 * t**2 / 2
        tracks = nx.Tracks(t, height[:, None, None], names=["fall"])
        recording = tracks[0]
        assert recording.name == "fall" and recording.span == 1.0
        assert recording.q.shape == (11, 1, 1)  # times, points, space
        assert recording.v is None  # velocities were not recorded
        assert len(recording[:5]) == 5
        ```
    """

    name: Any
    t: Float[np.ndarray, " times"]
    q: Float[np.ndarray, "times points space"]
    v: Float[np.ndarray, "times points space"] | None = None
    a: Float[np.ndarray, "times points space"] | None = None
    u: Float[np.ndarray, "times inputs"] | None = None

    def __post_init__(self):
        for array in self.arrays.values():
            array.flags.writeable = False

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Those of the members that there are, by name."""
        members = {name: getattr(self, name) for name in ("t", *MEMBERS)}
        return {name: array for name, array in members.items() if array is not None}

    @property
    def span(self) -> float:
        """Time from the first sample to the last one."""
        return float(self.t[-1] - self.t[0])

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, samples: slice) -> "Recording":
        """Some of the samples, which must remain in the order of time."""
        return Recording(self.name, **{k: np.array(x[samples]) for k, x in self.arrays.items()})

    def __repr__(self) -> str:
        _, points, space = self.q.shape
        return (
            f"Recording({self.name!r}: {len(self)} samples of {', '.join(self.arrays)}, {points} "
            f"point{'s' * (points > 1)} of space {space}, t = {self.t[0]:.10g} to {self.t[-1]:.10g})"
        )


def recording_of(name: Any, t: np.ndarray, arrays: dict[str, Any], row: Callable) -> Recording:
    """A recording from numbers that are not yet checked; `row` tells a reader where a sample stands."""
    check_order(t, name, row)
    checked = {}

    def place(index):
        return f"{row(index[0])}, entry {list(index[1:])}" if index else "its only entry"

    for member, values in arrays.items():
        label = f"{MEMBERS[member]} of recording {name!r}"
        checked[member] = array = as_numbers(label, values, place)
        _check_shape(label, member, array)
        if len(array) != len(t):
            raise ValueError(
                f"{label} have {len(array)} samples, but its times are {len(t)}: one each."
            )
    q = checked["q"]
    for member in ("v", "a"):
        if member in checked and checked[member].shape != q.shape:
            raise ValueError(
                f"{MEMBERS[member]} of recording {name!r} must have the shape of its positions, "
                f"{q.shape}, but they have {checked[member].shape}."
            )
    return Recording(name, t, **checked)


def check_order(t: np.ndarray, name: Any, row: Callable) -> None:
    """A recording has two samples at least, and its times increase."""
    if t.ndim != 1:
        raise ValueError(f"times of recording {name!r} must have shape (times,), not {t.shape}.")
    if len(t) < 2:
        raise ValueError(
            f"Recording {name!r} has {len(t)} sample{'s' * (len(t) != 1)}, but a motion takes two at "
            "least. Leave it out; states and accelerations that belong to no motion are no tracks, but "
            "noetherax.Observations."
        )
    back = np.flatnonzero(np.diff(t) <= 0)
    if len(back):
        i = int(back[0])
        same = "the same time twice" if t[i] == t[i + 1] else "out of order"
        raise ValueError(
            f"times of recording {name!r} must increase, but {len(back)} do not: {row(i)} has "
            f"{float(t[i])!r} and {row(i + 1)} {float(t[i + 1])!r}, {same}. If these are several "
            "recordings, say which sample belongs to which; otherwise sort them and leave out what is "
            "there twice."
        )


def _check_shape(label: str, member: str, array: np.ndarray) -> None:
    wanted = "(times, inputs)" if member == "u" else "(times, points, space)"
    if array.ndim != wanted.count(",") + 1:
        hints = {
            ("q", 2): " One point per sample is array[:, None, :].",
            ("q", 1): " One coordinate of one point is array[:, None, None].",
            ("u", 1): " One input is array[:, None].",
        }
        hint = hints.get(("u" if member == "u" else "q", array.ndim), "")
        raise ValueError(f"{label} must have shape {wanted}, but they have {array.shape}.{hint}")
    if 0 in array.shape:
        raise ValueError(f"{label} are empty: their shape is {array.shape}.")
