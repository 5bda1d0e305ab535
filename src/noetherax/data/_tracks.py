"""Tracks: what people record."""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final, overload

import numpy as np
from jaxtyping import PRNGKeyArray

from ._angles import check_periods, unwrapped
from ._arrays import recordings_of_arrays
from ._comma_separated import read_tables
from ._cutting import windows_of
from ._observations import Observations, TimedObservations, observations_of
from ._recording import Recording
from ._smoothed import Smoothing, smoothed
from ._splitting import split_of
from ._table import Columns, Table, recordings_of_tables
from ._times import described, even_interval
from ._windows import DrivenWindows, Noise, TimedWindows, Windows


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Tracks:
    """Recorded motions: times, positions, and where there are some velocities, accelerations, inputs.

    Several recordings may differ in length; their samples may lie at equal intervals of time or not.
    All hold the same: velocities of all recordings or of none, and likewise for the rest. Numbers are
    kept in float64, since times such as Julian dates need it; what follows from tracks,
    [`noetherax.Observations`][] and [`noetherax.Windows`][], is in JAX's own precision.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 20.0, 801)
        noise = 1e-3 * np.random.default_rng(0).normal(size=(801, 1, 2))
        circle = np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None] + noise
        tracks = nx.Tracks(t, circle)
        observations = tracks.smooth().observations()
        ```

    **Arguments:**

    - `times`: of one recording, shape `(times,)`, increasing, or a list of such arrays. Dates
        (`datetime64`) become seconds since the earliest one of all recordings. Digits that all read as
        dates, such as 20200130, are taken as numbers, with a warning.
    - `positions`: of shape `(times, points, space)`, or a list of such arrays.
    - `velocities`, `accelerations`: of the same shape, or not given.
    - `inputs`: of shape `(times, inputs)`, what acted from outside, or not given.
    - `names`: of the recordings, for errors and figures; their numbers if not given.
    - `periods`: those of coordinates that are angles, shape `(points, space)`, or `(space,)` as
        `noetherax.periods(group)` gives them for all points; with `None` for the
        others: `[[None, 2 * np.pi]]`. Where they jumped by a period they then go on. A coordinate of
        which nothing is said, and which jumps by 2π or 360, is warned about; an infinite period says
        that it is no angle.

    **Raises:**

    `ValueError` or `TypeError` that names recording, sample and entry where times do not increase, a
    number is missing or none, or shapes do not belong together.
    """

    recordings: tuple[Recording, ...]
    periods: np.ndarray
    smoothing: Smoothing | None

    def __init__(
        self,
        times: Any,
        positions: Any,
        velocities: Any = None,
        accelerations: Any = None,
        inputs: Any = None,
        *,
        names: Sequence[Hashable] | None = None,
        periods: Any = None,
    ):
        members = {"q": positions, "v": velocities, "a": accelerations, "u": inputs}
        recordings = recordings_of_arrays(times, members, names)
        periods = check_periods(periods, *recordings[0].q.shape[1:])
        _set(self, unwrapped(recordings, periods), periods)

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        time: Hashable,
        position: Columns,
        velocity: Columns | None = None,
        acceleration: Columns | None = None,
        inputs: Sequence[Hashable] | None = None,
        recording: Hashable | None = None,
        periods: Mapping | None = None,
    ) -> "Tracks":
        """Tracks from anything with named columns: a data frame, a structured array, a dictionary.

        Rows of one recording must be in the order of time; those of different ones may be mixed.

        !!! example

            ```python
            table = {"run": [1, 1, 1, 2, 2], "t": [0.0, 0.1, 0.2, 0.0, 0.1]}
            table |= {"x": [0.0, 0.1, 0.2, 5.0, 5.1], "y": [1.0, 1.0, 1.1, 0.0, 0.2]}
            tracks = nx.Tracks.from_table(table, time="t", position=[["x", "y"]], recording="run")
            ```

        **Arguments:**

        - `table`: columns by name, `table[name]`.
        - `time`: the column of times.
        - `position`: for every point a list of columns, one per coordinate.
        - `velocity`, `acceleration`: columns likewise, or `None`.
        - `inputs`: a list of columns, or `None`.
        - `recording`: the column that tells recordings apart, by numbers or texts.
        - `periods`: a dictionary from columns of positions that are angles to their period; `None`
            as a period, or no entry, says nothing, and infinity that it is none.

        **Raises:**

        `ValueError` or `TypeError` that names column, row (counted from 0) and recording.
        """
        names = dict(position=position, velocity=velocity, acceleration=acceleration)
        names |= dict(time=time, inputs=inputs, recording=recording)
        return _tracks(*recordings_of_tables([Table(table, "row {}".format)], periods, names))

    @classmethod
    def from_csv(
        cls,
        paths: str | os.PathLike | Sequence[str | os.PathLike],
        *,
        time: str,
        position: Columns,
        velocity: Columns | None = None,
        acceleration: Columns | None = None,
        inputs: Sequence[str] | None = None,
        recording: str | None = None,
        periods: Mapping | None = None,
        delimiter: str = ",",
    ) -> "Tracks":
        """Tracks from a file of comma-separated values whose first line names the columns, or from
        several such files: then each is a recording, or holds some, and lends them its name.

        Lines that begin with # are skipped. Errors name the line. Dates have hyphens, as in 2020-01-30;
        digits without are numbers, with a warning where all read as dates. Other arguments are those of
        [`noetherax.Tracks.from_table`][].

        **Arguments:**

        - `paths`: of one file or several.
        - `delimiter`: what stands between entries.
        """
        names = dict(position=position, velocity=velocity, acceleration=acceleration)
        names |= dict(time=time, inputs=inputs, recording=recording)
        tables = read_tables(paths, delimiter, recording)
        return _tracks(*recordings_of_tables(tables, periods, names))

    @property
    def points(self) -> int:
        return self.recordings[0].q.shape[1]

    @property
    def space(self) -> int:
        return self.recordings[0].q.shape[2]

    @property
    def interval(self) -> float | None:
        """Time between samples, or `None` where it is not the same for all. It may be so up to the
        decimals that times were written with, and to rounding."""
        return even_interval([recording.t for recording in self.recordings])

    def __len__(self) -> int:
        return len(self.recordings)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self.recordings)

    def __getitem__(self, index: int) -> Recording:
        return self.recordings[index]

    def __repr__(self) -> str:
        first = self.recordings[0]
        lines = [
            f"Tracks of {described(self.recordings)}",
            f"  points {self.points}, space {self.space}; there are {', '.join(first.arrays)}",
        ]
        return "\n".join([*lines, *([] if self.smoothing is None else [f"  {self.smoothing}"])])

    @overload
    def observations(self, *, timed: Literal[True]) -> TimedObservations: ...
    @overload
    def observations(self, *, timed: Literal[False]) -> Observations: ...
    @overload
    def observations(self, *, timed: bool | None = None) -> Any: ...
    def observations(self, *, timed: bool | None = None) -> Any:
        """All states and accelerations, each of shape `(samples, points, space)`.

        **Arguments:**

        - `timed`: whether times and inputs come with them, as models take that depend on these; if not
            given, where there are inputs.

        **Returns:**

        [`noetherax.Observations`][], `(q, v, a)`, or [`noetherax.TimedObservations`][],
        `(q, v, a, t, u)`. `fit` and its relatives, given tracks, choose by the model.

        **Raises:**

        `ValueError` where velocities or accelerations were not recorded; [`noetherax.Tracks.smooth`][]
        estimates them.
        """
        return observations_of(self.recordings, timed)

    def windows(
        self,
        times: int | np.integer,
        *,
        stride: int | np.integer | None = None,
        timed: bool | None = None,
    ) -> Windows | TimedWindows | DrivenWindows:
        """Windows of so many samples in the order of time, along all recordings.

        Every sample stands in one window at least: the last window of a recording ends at its end.

        **Arguments:**

        - `times`: samples in a window, at least three.
        - `stride`: samples from the start of a window to that of the next; half a window if not given.
        - `timed`: as for `observations`.

        **Returns:**

        [`noetherax.Windows`][] where all samples lie at the same interval, which is `tracks.interval`;
        otherwise [`noetherax.TimedWindows`][], with times of their own. With times and inputs,
        [`noetherax.DrivenWindows`][].

        **Raises:**

        `ValueError` if no recording is as long as a window. A `UserWarning` names those that are not.
        """
        timed = "u" in self.recordings[0].arrays if timed is None else timed
        return windows_of(self.recordings, times, stride, timed)

    def smooth(
        self,
        *,
        degree: int | np.integer | None = None,
        times: int | np.integer | None = None,
        noise: Noise | None = None,
    ) -> "Tracks":
        """States and accelerations from noisy recordings, with an estimate of their error.

        Around every sample, a polynomial of time is fitted to a window of samples by least squares, as
        by [`noetherax.smooth`][], to all that was recorded of q, v and a; the new q, v and a are its
        value, slope and curvature in the sample. What is wrong with them has two parts: the noise that
        is left, σ² Σ w², and truncation, where the polynomial does not follow the motion, which is what
        two degrees more would change, less what noise makes of that change. Long windows lower the
        first part, short ones and high degrees the second. Degree and length are those with the least
        estimated error of the acceleration, in units of each coordinate's noise; the noise is what
        polynomials leave over. It is taken for independent between samples: where it is not (a device
        that smooths by itself, a drift), the estimate is too small, by a factor of two or so. A fast
        mode is told from such noise by its acceleration, which shorter windows find within less than
        half of it, and because it oscillates: then the windows follow it. Sharp turns are told by the
        peaks of what is left over: windows become shorter, the noise is that between the turns, and
        the errors count all that is left over beside it. Noise that comes in bursts has peaks as well,
        and is treated so. All windows have the same number of samples, so recordings of unlike
        intervals are smoothed apart.

        With recorded velocities or accelerations shorter windows are enough. Those that would make the
        estimated error larger are not used; where they are not the derivatives of the positions, a
        warning says by how much.

        Samples whose window would leave the recording, or bridge a gap of half its length, are left
        out: their errors would be far larger.

        **Arguments:**

        - `degree`: of the polynomials, two or more; chosen from 2, 4, 6, 8 if not given.
        - `times`: samples in a window, odd, at least four more than the degree; chosen if not given.
        - `noise`: standard deviation of the samples, one for all that is recorded or one for each of
            q, v, a that are; estimated if not given.

        **Returns:**

        Tracks with velocities and accelerations. Their `smoothing` says what was chosen: `degree`,
        `times`, `noise`, the estimated `error` of q, v and a by coordinate, and all `trials`.

        **Raises:**

        `ValueError` if recordings are too short. A `UserWarning` names those that are, and says so
        where accelerations would be mostly noise, where what windows leave over may be motion, and
        where intervals between samples are unlike.
        """
        if self.smoothing is not None:
            raise ValueError(
                "These tracks are smoothed already, and noise that is left in them is no longer "
                "independent between samples. Smooth the recorded ones, with another degree or times."
            )
        recordings, smoothing = smoothed(self.recordings, degree, times, noise)
        return _tracks(recordings, self.periods, smoothing)

    def split(
        self, fraction: float = 0.8, *, by: str = "time", key: PRNGKeyArray | None = None
    ) -> tuple["Tracks", "Tracks"]:
        """Tracks for training and for validation.

        **Arguments:**

        - `fraction`: for training.
        - `by`: `"time"` cuts every recording at that part of its span, so that validation is what comes
            later; `"recording"` keeps recordings whole.
        - `key`: chooses recordings by chance; the first ones are for training if not given.

        **Raises:**

        `ValueError` where a part would be empty, or too short for a motion.
        """
        parts = split_of(self.recordings, fraction, by, key)
        first, second = (_tracks(found, self.periods, self.smoothing) for found in parts)
        return first, second


def _tracks(recordings: Sequence[Recording], periods, smoothing: Smoothing | None = None) -> Tracks:
    """Tracks of recordings that are checked."""
    tracks = object.__new__(Tracks)
    _set(tracks, recordings, periods, smoothing)
    return tracks


def _set(tracks: Tracks, recordings, periods, smoothing: Smoothing | None = None) -> None:
    periods = np.array(periods)
    periods.flags.writeable = False
    members = dict(recordings=tuple(recordings), periods=periods, smoothing=smoothing)
    for name, value in members.items():
        object.__setattr__(tracks, name, value)  # the class is frozen
