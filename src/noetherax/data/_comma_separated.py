"""Columns of a file of comma-separated values."""

import csv
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ._dates import check_held, dates_of
from ._table import Table

MISSING = {"", "na", "n/a", "nan", "null", "none"}
"""What stands in files where nothing was measured."""


def read_tables(paths: Any, delimiter: str, recording: str | None) -> list[Table]:
    """The tables of one file or several; each of several lends its recordings a name."""
    if isinstance(paths, str | os.PathLike):
        return [_read_table(paths, delimiter, recording, None)]
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("No file was given: paths is empty.")
    twice = [str(path) for k, path in enumerate(files) if path in files[:k]]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice.")
    stems = {path.stem for path in files}
    names = [path.stem if len(stems) == len(files) else str(path) for path in files]
    return [
        _read_table(path, delimiter, recording, name)
        for path, name in zip(files, names, strict=True)
    ]


def _read_table(
    path: str | os.PathLike, delimiter: str, recording: str | None, name: str | None
) -> Table:
    """All columns of a file with a header, numbers where every entry is one; what tells recordings
    apart stays text. Empty lines and those that begin with # are skipped."""
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, such as ',', but it is {delimiter!r}.")
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for entries in reader:
            if not any(entry.strip() for entry in entries) or entries[0].startswith("#"):
                continue
            if not header:
                header = _checked_header([entry.strip() for entry in entries], path, delimiter)
                continue
            if len(entries) != len(header):
                raise ValueError(
                    f"{os.fspath(path)!r} has {len(header)} columns, but line {reader.line_num} has "
                    f"{len(entries)} entries: {delimiter.join(entries)!r:.80}."
                )
            rows.append([entry.strip() for entry in entries])
            lines.append(reader.line_num)
    if not rows:
        raise ValueError(f"{os.fspath(path)!r} has no rows below a header.")
    columns = {
        column: _parsed([row[k] for row in rows], column == recording)
        for k, column in enumerate(header)
    }
    where = "" if name is None else f" of {name}"
    return Table(columns, lambda k: f"line {lines[k]}{where}", name)


def _checked_header(names: list[str], path: Any, delimiter: str) -> list[str]:
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise ValueError(f"{os.fspath(path)!r} has two columns named {twice[0]!r}.")
    if all(_is_number(name) for name in names):
        raise ValueError(
            f"{os.fspath(path)!r} must begin with a line that names its columns, but it begins with "
            f"numbers: {delimiter.join(names)!r:.80}."
        )
    for other in ";\t|,":
        if len(names) == 1 and other != delimiter and other in names[0]:
            raise ValueError(
                f"{os.fspath(path)!r} has one column, {names[0]!r}. Give delimiter={other!r}."
            )
    return names


def _parsed(entries: list[str], text: bool) -> np.ndarray:
    """Numbers if all entries are, else dates if all are, else what they are, which errors then show."""
    if text:  # what is missing in a column of numbers is no name of a recording either
        return np.array([None if x.lower() in MISSING else x for x in entries], object)
    if all(_is_number(entry) for entry in entries):
        return np.array([np.nan if x.lower() in MISSING else float(x) for x in entries])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of time zones, which would be dropped
            dates = dates_of(entries)
    except (ValueError, Warning):
        # Floats next to what is none, so that an error names the first entry that is no number.
        mixed = [float(x) if _is_number(x) and x.lower() not in MISSING else x for x in entries]
        return np.array(mixed, object)
    check_held(dates, entries)
    return dates


def _is_number(entry: str) -> bool:
    if entry.lower() in MISSING:
        return True
    try:
        float(entry)
    except ValueError:
        return False
    return True
