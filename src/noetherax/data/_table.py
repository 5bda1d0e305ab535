"""Recordings from a table: anything with named columns."""

import difflib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._checks import is_missing
from ._angles import check_periods, unwrapped
from ._compact_dates import warn_of_compact_dates
from ._dates import Instant, earliest
from ._numbers import as_numbers, as_times
from ._recording import Recording, recording_of

Columns = Sequence[Sequence[Hashable]]
"""Names of columns: for every point one per coordinate."""


class Table(NamedTuple):
    """Columns by name, how a row is told to a reader, and the name of the recording if it is one."""

    columns: Any
    row: Callable[[int], str]
    name: str | None = None


def recordings_of_tables(
    tables: Sequence[Table], periods: Mapping | None, names: dict[str, Any]
) -> tuple[list[Recording], np.ndarray]:
    """The recordings of several tables with the same columns, angles unwrapped, and their periods."""
    position, label, found = names["position"], names["recording"], []
    wanted = np.zeros(0)
    epoch = earliest(_column(table.columns, names["time"]) for table in tables)
    for table in tables:
        recordings, rows = _recordings(table, epoch, **names)
        wanted = check_periods(_periods(periods, position), *recordings[0].q.shape[1:])
        for recording, own in zip(recordings, rows.values(), strict=True):
            whole = unwrapped(
                [recording],
                wanted,
                lambda point, axis: f"Column {position[point][axis]!r}",
                _row_of(own, table.row),
            )
            name = recording.name
            if table.name is not None:
                name = table.name if label is None else f"{table.name} {name}"
            found += [Recording(name, **x.arrays) for x in whole]
    warn_of_compact_dates(f"The times of column {names['time']!r}", found)
    return found, wanted


def _recordings(
    source: Table,
    epoch: Instant | None,
    *,
    time: Hashable,
    position: Columns,
    velocity: Columns | None,
    acceleration: Columns | None,
    inputs: Sequence[Hashable] | None,
    recording: Hashable | None,
) -> tuple[list[Recording], dict[Any, list[int]]]:
    """The recordings of a table, in the order in which they begin, and the rows of each."""
    table, row, _ = source
    members = {"q": _names("position", position)}
    for member, argument, given in (
        ("v", "velocity", velocity),
        ("a", "acceleration", acceleration),
    ):
        if given is not None:
            members[member] = _names(argument, given)
            _check_same(argument, members[member], members["q"])
    if inputs is not None:
        members["u"] = _input_names(inputs)
    _check_once([time, *(name for names in members.values() for name in names.flat)])

    labels = None if recording is None else _labels(_column(table, recording))

    def place(name):
        def of(index):
            whose = (labels or [])[index[0] : index[0] + 1]
            return f"column {name!r}, {row(index[0])}" + "".join(
                f" of recording {label!r}" for label in whose
            )

        return of

    t = as_times(f"Column {time!r}", _column(table, time), place(time), epoch)
    arrays = {}
    for member, names in members.items():
        columns = []
        for name in names.flat:
            column = as_numbers(f"Column {name!r}", _column(table, name), place(name))
            _check_length(name, column, time, t)
            columns.append(column)
        arrays[member] = np.stack(columns, axis=-1).reshape(len(t), *names.shape)
    if not len(t):
        raise ValueError("The table has no rows.")
    rows = {0: list(range(len(t)))}
    if labels is not None:
        _check_length(recording, labels, time, t)
        rows = _rows_of(labels, recording, row)
    found = []
    for label, own in rows.items():
        own_row = _row_of(own, row)
        found.append(recording_of(label, t[own], {k: x[own] for k, x in arrays.items()}, own_row))
    return found, rows


def _periods(periods: Mapping | None, position: Columns) -> Any:
    """Periods by column as an array of the shape of a configuration."""
    if periods is None:
        return None
    if not isinstance(periods, Mapping):
        raise TypeError(
            "periods of a table must be a dictionary from the name of a column to its period, but "
            f"they are {periods!r}."
        )
    names = [name for point in position for name in point]
    for name in periods:
        if name not in names:
            raise ValueError(
                f"periods has {name!r}, which is no column of positions; those are {names}."
            )
    return [[periods.get(name) for name in point] for point in position]


def _names(argument: str, given: Any) -> np.ndarray:
    """Names of columns as an array of shape `(points, space)`."""
    example = "[['x', 'y']] for one point of two coordinates, [['x1'], ['x2']] for two of one"
    flat = isinstance(given, str) or not isinstance(given, list | tuple) or not given
    if flat or not all(isinstance(point, list | tuple) and point for point in given):
        raise TypeError(
            f"{argument} must list the names of columns of every point, such as {example}, but it "
            f"is {given!r}."
        )
    if len({len(point) for point in given}) > 1:
        raise ValueError(
            f"{argument} must list as many columns for every point as space has dimensions, but it "
            f"lists {[len(point) for point in given]}: {given!r}."
        )
    names = np.empty((len(given), len(given[0])), object)
    for point, columns in enumerate(given):
        names[point] = columns
    return names


def _input_names(inputs: Any) -> np.ndarray:
    if not isinstance(inputs, list | tuple) or not inputs:
        raise TypeError(f"inputs must list names of columns, such as ['u1'], but it is {inputs!r}.")
    names = np.empty(len(inputs), object)
    names[:] = inputs
    return names


def _check_same(argument: str, names: np.ndarray, position: np.ndarray) -> None:
    if names.shape != position.shape:
        raise ValueError(
            f"{argument} must list a column for every one of position, {position.tolist()}, but it "
            f"lists {names.tolist()}."
        )


def _check_once(names: list) -> None:
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise ValueError(f"Column {twice[0]!r} is named twice; each holds one coordinate.")


def _column(table: Any, name: Hashable) -> np.ndarray | Any:
    try:
        column = table[name]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise _no_column(table, name, error) from None
    if np.ndim(column) != 1:
        raise ValueError(
            f"Column {name!r} must have one number per row, but its shape is {np.shape(column)}."
        )
    return column


def _no_column(table: Any, name: Hashable, error: Exception) -> Exception:
    dtype = getattr(table, "dtype", None)
    known = getattr(dtype, "names", None)
    if known is None and callable(getattr(table, "keys", None)):
        known = list(table.keys())
    if known is None:
        return TypeError(
            "table must have named columns, as a data frame, a structured array or a dictionary has, "
            f"but it is a {type(table).__name__} ({error}). Plain arrays go to "
            "noetherax.Tracks(times, positions), a file to Tracks.from_csv."
        )
    near = difflib.get_close_matches(str(name), [str(x) for x in known], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ValueError(f"The table has no column {name!r}, but {[*known]}.{hint}")


def _check_length(name, column, time, t) -> None:
    if len(column) != len(t):
        raise ValueError(
            f"All columns must be equally long, but {time!r} has {len(t)} rows and {name!r} "
            f"{len(column)}."
        )


def _labels(column: Any) -> list:
    """Entry by entry; those that are masked are `None`."""
    return np.ma.array(np.asarray(column), mask=np.ma.getmask(column)).tolist()


def _rows_of(labels: list, name: Hashable, row: Callable) -> dict[Any, list[int]]:
    rows: dict[Any, list[int]] = {}
    for k, label in enumerate(labels):
        if is_missing(label):
            raise ValueError(
                f"Column {name!r}, which tells recordings apart, is empty in {row(k)}. Leave out rows "
                "that belong to no recording, or give theirs a name. Words such as NaN and none in a "
                "file are empty, too."
            )
        rows.setdefault(label, []).append(k)
    return rows


def _row_of(rows: Sequence[int], row: Callable) -> Callable[[int], str]:
    return lambda sample: row(rows[sample])
