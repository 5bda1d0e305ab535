"""Files that appear whole or not at all: written under a name of their own, synced, and renamed."""

import contextlib
import errno
import os
import re
import secrets
from pathlib import Path
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # on Windows
    import fcntl

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}\.unfinished")
"""Names of files that are being written, or were when their process was killed."""

LONGEST_START = 32
"""Characters of a name in that of its unfinished file, which disks limit in length."""


def checked_path(name: str, path: Any) -> Path:
    """A path as one would give it to `open`; `TypeError` or `ValueError` for what is none."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{name} must be a path, a string or pathlib.Path, but it is {path!r}.")
    if isinstance(path, str) and not path.strip():
        raise ValueError(f"{name} must be a path, but it is the empty string.")
    return Path(path)


def write_atomically(path: Path, chunks: list[bytes]) -> None:
    """Writes a file, in a folder that is made if it is not there.

    The file is locked until it has its name, so that another process can tell it from one whose writer
    was killed; see `remove_unfinished`.
    """
    make_folder(path.parent)
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device or pipe"
        raise IsADirectoryError(errno.EISDIR, f"This is a {kind}, not a file", str(path))
    remove_unfinished(path.parent, path.name)
    temporary, descriptor = _new_file(path)
    try:
        try:
            with open(descriptor, "wb", closefd=False) as file:
                for chunk in chunks:
                    file.write(chunk)
            os.fsync(descriptor)
            if fcntl is not None:
                os.replace(temporary, path)
        finally:
            os.close(descriptor)
        if fcntl is None:
            os.replace(temporary, path)  # Windows renames no open file
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder if it is not there; says which part of its path is a file."""
    for part in (folder, *folder.parents):
        if part.exists():
            if not part.is_dir():
                message = "This is a file, where a folder is needed"
                raise NotADirectoryError(errno.ENOTDIR, message, str(part))
            break
    folder.mkdir(parents=True, exist_ok=True)


def remove_unfinished(folder: Path, name: str) -> None:
    """Removes what killed processes left of a file of this name, and leaves what living ones write:
    theirs are locked, and a lock ends with its process."""
    if fcntl is None:
        return
    start = f".{name[:LONGEST_START]}"
    with contextlib.suppress(OSError):  # a folder that cannot be read, or another was faster
        for entry in os.scandir(folder):
            if entry.name.startswith(start) and UNFINISHED.fullmatch(entry.name):
                _remove_if_free(entry.path)


def _remove_if_free(path: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(descriptor)


def _new_file(path: Path) -> tuple[str, int]:
    """A new file beside `path`, with the permissions of any new file, open and locked."""
    while True:
        name = f".{path.name[:LONGEST_START]}.{secrets.token_hex(8)}.unfinished"
        temporary = str(path.parent / name)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(temporary, flags, 0o666)
        except OSError as error:
            error.filename = str(path)  # the name that the caller knows
            raise
        _lock(descriptor)
        if os.path.exists(temporary):
            return temporary, descriptor
        os.close(descriptor)  # another process took it for left over, before it was locked


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network disks have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last, where folders can be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of disks that know no such thing
            raise
    finally:
        os.close(descriptor)
